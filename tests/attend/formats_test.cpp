// What the program reads and writes other than .npy files of float32 and float64.
#include "examples/support/sixteen_bits.hpp"
#include "tests/attend/program.hpp"
#include "tests/support/random.hpp"

#include <Eigen/Core>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

using namespace nadaraya::test;

namespace {

using Shape = std::vector<std::size_t>;

template <class T>
std::string bytes_of(const std::vector<T>& numbers) {
  return std::string(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T));
}

std::vector<float> normal(std::uint64_t seed, std::size_t count) {
  Random random(seed);
  std::vector<float> numbers(count);
  for (float& x : numbers) x = static_cast<float>(random.normal());
  return numbers;
}

void put_npy(const Folder& folder, const std::string& name, const std::string& type, const Shape& shape,
             const std::string& data) {
  folder.put(name, npy::prologue(type, shape) + data);
}

struct Tensor {
  std::string name, type;
  Shape shape;
  std::string data;
};

std::string safetensors_of(const std::vector<Tensor>& tensors) {
  std::string header = "{\"__metadata__\":{\"by\":\"a test\"}", data;
  for (const Tensor& tensor : tensors) {
    header += ",\"" + tensor.name + "\":{\"dtype\":\"" + tensor.type + "\",\"shape\":[";
    for (std::size_t d = 0; d < tensor.shape.size(); ++d) header += (d == 0 ? "" : ",") + std::to_string(tensor.shape[d]);
    header +=
        "],\"data_offsets\":[" + std::to_string(data.size()) + ',' + std::to_string(data.size() + tensor.data.size()) + "]}";
    data += tensor.data;
  }
  header += '}';
  return bytes_of(std::vector<std::uint64_t>{header.size()}) + header + data;
}

const Arguments valid = {"query=q.npy", "key=k.npy", "value=v.npy", "kernel=biweight", "scale=0.8", "output-dir=out"};
const Shape query_shape = {2, 4, 9, 5}, key_shape = {2, 2, 7, 5}, value_shape = {2, 2, 7, 3};
constexpr std::size_t queries = 360, keys = 140, values = 84;

void put_inputs(const Folder& folder) {
  put_npy(folder, "q.npy", "<f4", query_shape, bytes_of(normal(1, queries)));
  put_npy(folder, "k.npy", "<f4", key_shape, bytes_of(normal(2, keys)));
  put_npy(folder, "v.npy", "<f4", value_shape, bytes_of(normal(3, values)));
}

std::uint64_t number_at(const std::string& bytes, std::size_t at, int size) {
  std::uint64_t value = 0;
  for (int i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes.at(at + static_cast<std::size_t>(i)));
  return value;
}

std::uint32_t crc32(const std::string& bytes) {
  std::uint32_t crc = 0xffffffffu;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1u ? 0xedb88320u : 0u);
  }
  return ~crc;
}

/// The uncompressed files of an archive, found through its list at the end, with 64-bit sizes.
std::map<std::string, std::string> unzip(const std::string& archive) {
  std::map<std::string, std::string> files;
  REQUIRE(archive.size() > 98);
  const std::size_t end = archive.size() - 22, locator = end - 20, list_end = number_at(archive, locator + 8, 8);
  REQUIRE(archive.substr(end, 4) == "PK\x05\x06");
  REQUIRE(archive.substr(locator, 4) == "PK\x06\x07");
  REQUIRE(archive.substr(list_end, 4) == "PK\x06\x06");
  std::size_t at = number_at(archive, list_end + 48, 8);
  REQUIRE(at + number_at(archive, list_end + 40, 8) == list_end);
  for (std::uint64_t n = number_at(archive, list_end + 32, 8); n-- > 0;) {
    REQUIRE(archive.substr(at, 4) == "PK\x01\x02");
    REQUIRE(number_at(archive, at + 10, 2) == 0);  // stored
    const std::size_t name_size = number_at(archive, at + 28, 2), extra = at + 46 + name_size;
    const std::string name = archive.substr(at + 46, name_size);
    REQUIRE(number_at(archive, extra, 2) == 1);
    const std::size_t size = number_at(archive, extra + 4, 8), begin = number_at(archive, extra + 20, 8);
    REQUIRE(archive.substr(begin, 4) == "PK\x03\x04");
    const std::size_t data = begin + 30 + number_at(archive, begin + 26, 2) + number_at(archive, begin + 28, 2);
    files[name] = archive.substr(data, size);
    REQUIRE(number_at(archive, begin + 14, 4) == crc32(files[name]));
    REQUIRE(number_at(archive, at + 16, 4) == crc32(files[name]));
    at = extra + 4 + number_at(archive, extra + 2, 2);
  }
  REQUIRE(at == list_end);
  return files;
}

/// The elements of a .npy file whose header begins with a description.
template <class T>
std::vector<T> elements(const std::string& file, const std::string& description) {
  REQUIRE_THAT(file.substr(10, 100), catch_shim::contains(description));
  const std::size_t begin = 10 + number_at(file, 8, 2);
  std::vector<T> all((file.size() - begin) / sizeof(T));
  std::memcpy(all.data(), file.data() + begin, all.size() * sizeof(T));
  return all;
}

}  // namespace

TEST_CASE("every number of 16 bits is read as the float it is", "[program]") {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float from_half = sixteen_bits::from_half(half), from_bfloat16 = sixteen_bits::from_bfloat16(half);
    const float same_half = static_cast<float>(std::bit_cast<Eigen::half>(half));
    const float same_bfloat16 = static_cast<float>(std::bit_cast<Eigen::bfloat16>(half));
    if (std::isnan(same_half) ? !std::isnan(from_half)
                              : std::bit_cast<std::uint32_t>(from_half) != std::bit_cast<std::uint32_t>(same_half)) {
      FAIL("half " << bits << ": " << from_half << ", expected " << same_half);
    }
    if (std::isnan(same_bfloat16)
            ? !std::isnan(from_bfloat16)
            : std::bit_cast<std::uint32_t>(from_bfloat16) != std::bit_cast<std::uint32_t>(same_bfloat16)) {
      FAIL("bfloat16 " << bits << ": " << from_bfloat16 << ", expected " << same_bfloat16);
    }
  }
}

TEST_CASE("arrays mean the same in .npy and .safetensors files, in 16 bits as in the float32 they stand for", "[program]") {
  const Folder folder;
  const auto check = [&](const auto& narrow, const std::string& npy_type, const std::string& type) {
    using Narrow = decltype(narrow(0.0f));
    INFO(type);
    std::vector<Tensor> tensors;
    const auto put = [&](const std::string& name, const Shape& shape, std::uint64_t seed, std::size_t count) {
      std::vector<Narrow> stored;
      std::vector<float> meant;
      for (const float x : normal(seed, count)) {
        stored.push_back(narrow(x));
        meant.push_back(static_cast<float>(stored.back()));
      }
      put_npy(folder, name + ".npy", "<f4", shape, bytes_of(meant));
      put_npy(folder, name + "_stored.npy", npy_type, shape, bytes_of(stored));
      tensors.push_back(Tensor{name, type, shape, bytes_of(stored)});
    };
    put("q", query_shape, 1, queries);
    put("k", key_shape, 2, keys);
    put("v", value_shape, 3, values);
    tensors.insert(tensors.begin(), Tensor{"an index", "I64", {1}, std::string(8, '\0')});
    folder.put("model.safetensors", safetensors_of(tensors));
    folder.put("value.safetensors", safetensors_of({tensors.back()}));
    require_success(folder, valid.text());
    const std::string out = folder.content("out/out.npy");
    const auto same = [&](const std::vector<std::string>& changes) {
      require_success(folder, valid.with(changes).text());
      return folder.content("out/out.npy") == out;
    };
    REQUIRE(same({"query=q_stored.npy", "key=k_stored.npy", "value=v_stored.npy"}));
    REQUIRE(same({"query=model.safetensors:q", "key=model.safetensors:k", "value=model.safetensors:v"}));
    REQUIRE(same({"key=k_stored.npy", "value=value.safetensors"}));
  };
  check([](float x) { return x; }, "<f4", "F32");
  check([](float x) { return Eigen::half(x); }, "<f2", "F16");
  check([](float x) { return Eigen::bfloat16(x); }, "<V2", "BF16");

  std::vector<double> doubles;
  for (const float x : normal(3, values)) doubles.push_back(static_cast<double>(x));
  folder.put("double.safetensors", safetensors_of({{"v", "F64", value_shape, bytes_of(doubles)}}));
  require_refused(folder, valid.with({"value=double.safetensors"}).text(),
                  "--query and --value must both be float32 or both float64");
}

TEST_CASE("tensors that cannot be used are refused", "[program]") {
  const Folder folder;
  put_inputs(folder);
  const Tensor q{"q", "F32", query_shape, bytes_of(normal(1, queries))}, index{"i", "I64", {1, 1}, std::string(8, '\0')},
      line{"line", "F32", {2}, std::string(8, '\0')};
  const std::string good = safetensors_of({q, index, line});
  folder.put("m.safetensors", good);
  folder.put("cut.safetensors", good.substr(0, good.size() - 1));
  folder.put("short.safetensors", good.substr(0, 4));
  folder.put("more.safetensors", good + "x");
  folder.put("text.safetensors", std::string(16, ' '));
  folder.put("broken.safetensors", bytes_of(std::vector<std::uint64_t>{4}) + "{]{]");
  const auto check = [&](const std::string& value, const std::string& reason) {
    require_refused(folder, valid.with({"query=" + value}).text(), "--query " + value + ": " + reason);
  };
  check("m.safetensors", "which of its tensors is meant? Write FILE:NAME, of i, line, q");
  check("m.safetensors:k", "it has no tensor k, only i, line, q");
  check("m.safetensors:i", "its elements are of type I64, and must be of F32, F64, F16 or BF16");
  check("m.safetensors:line", "it must be [N, D] or [batch, heads, N, D], and has 1 dimension");
  check("missing.safetensors:q", "it cannot be opened: No such file or directory");
  check("cut.safetensors:q", "it is truncated");
  check("short.safetensors:q", "it is no safetensors file, or truncated");
  check("more.safetensors:q", "it is longer than its tensors");
  check("text.safetensors:q", "it is no safetensors file");
  check("broken.safetensors:q", "it is no safetensors file: its header is malformed");
  require_success(folder, valid.with({"query=m.safetensors:q"}).text());
}

TEST_CASE("the weights are written as compressed sparse rows, and make the output", "[program]") {
  const Folder folder;
  put_inputs(folder);
  require_success(folder, valid.with({"mask=causal", "weights=w.npz", "threads=2"}).text());
  const auto files = unzip(folder.content("w.npz"));
  REQUIRE(files.size() == 5);
  REQUIRE(elements<char>(files.at("format.npy"), "'descr': '|S3', 'fortran_order': False, 'shape': ()") ==
          std::vector<char>{'c', 's', 'r'});
  REQUIRE(elements<std::int64_t>(files.at("shape.npy"), "'descr': '<i8', 'fortran_order': False, 'shape': (2, )") ==
          std::vector<std::int64_t>{2 * 4 * 9, 7});
  const auto data = elements<float>(files.at("data.npy"), "'descr': '<f4'");
  const auto columns = elements<std::int32_t>(files.at("indices.npy"), "'descr': '<i4'");
  const auto offsets =
      elements<std::int32_t>(files.at("indptr.npy"), "'descr': '<i4', 'fortran_order': False, 'shape': (73, )");
  REQUIRE(data.size() == columns.size());
  REQUIRE(static_cast<std::size_t>(offsets.back()) == data.size());
  const npy::Array out = npy::read(folder / "out/out.npy"), value = npy::read(folder / "v.npy");
  for (std::size_t row = 0; row < 72; ++row) {
    const std::size_t head = row / 9, key_head = head / 4 * 2 + head % 4 / 2;
    for (std::size_t d = 0; d < 3; ++d) {
      float sum = 0;
      for (auto at = static_cast<std::size_t>(offsets[row]); at < static_cast<std::size_t>(offsets[row + 1]); ++at) {
        sum += data[at] * value.data<float>()[(key_head * 7 + static_cast<std::size_t>(columns[at])) * 3 + d];
      }
      REQUIRE(std::abs(sum - out.data<float>()[row * 3 + d]) <= 1e-6f);
    }
  }
}

TEST_CASE("a head's weights are drawn, where gnuplot is installed", "[program]") {
  const Folder folder;
  put_inputs(folder);
  const Arguments plot = valid.with({"plot=p.svg", "plot-head=7"});
  if (std::system("gnuplot --version > /dev/null 2>&1") == 0) {
    require_success(folder, plot.text());
    REQUIRE_THAT(folder.content("p.svg"), catch_shim::contains("biweight, head 7"));
    REQUIRE_THAT(folder.content("p.svg"), catch_shim::contains("</svg>"));
  }
  require_refused(folder, plot.with({"output-dir=new"}).text(),
                  "--plot p.svg: gnuplot is missing (apt-get install gnuplot-nox)", "PATH=");
}

TEST_CASE("weights and pictures that cannot be written are refused", "[program]") {
  const Folder folder;
  put_inputs(folder);
  fs::create_directory(folder / "folder");
  put_npy(folder, "none.npy", "<f4", {2, 4, 0, 5}, "");
  const auto check = [&](const std::vector<std::string>& changes, const std::string& reason) {
    require_refused(folder, valid.with(changes).text(), reason);
  };
  check({"weights=folder"}, "--weights folder: it is a folder");
  check({"weights=missing/w.npz"}, "--weights missing/w.npz: it cannot be written: No such file or directory");
  check({"weights=out/../out/out.npy"}, "--weights out/../out/out.npy: it is the file of --output-dir out: out.npy");
  check({"plot-head=1"}, "--plot-head goes with --plot only");
  check({"plot=p.svg", "plot-head=8"}, "--plot-head must lie between 0 and 7, of 8 heads, got 8");
  check({"plot=p.svg", "plot-head=-1"}, "--plot-head must lie between 0 and 7, of 8 heads, got -1");
  check({"plot=p.svg", "query=none.npy"}, "--plot p.svg: there are no weights to draw");
}
