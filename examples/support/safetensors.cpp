#include "safetensors.hpp"

#include "files.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

namespace safetensors {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie");

/// The format's own limit on headers.
constexpr std::uint64_t longest_header = 100'000'000;

/// A tensor of a header, and where it lies in the data.
struct Entry {
  std::string type;
  std::vector<Index> shape;
  std::uint64_t begin = 0, end = 0;
};

struct Header {
  std::map<std::string, std::string> metadata;
  std::map<std::string, Entry> tensors;
};

/// Bytes of an element; 0 for a type that is unknown, or of fractions of a byte.
std::uint64_t size_of(const std::string& type) {
  constexpr std::pair<std::string_view, std::uint64_t> sizes[] = {
      {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},  {"I32", 4},     {"I16", 2},    {"I8", 1},
      {"U64", 8}, {"U32", 4}, {"U16", 2}, {"U8", 1},   {"BOOL", 1}, {"F8_E5M2", 1}, {"F8_E4M3", 1}};
  for (const auto& [name, size] : sizes) {
    if (name == type) return size;
  }
  return 0;
}

Entry parse_entry(const nlohmann::json& entry, std::uint64_t data_size, const std::string& what) {
  Entry tensor{entry.at("dtype").get<std::string>(), {}};
  const std::uint64_t element = size_of(tensor.type);
  std::uint64_t count = 1;
  for (const auto& size : entry.at("shape")) {
    const auto n = size.get<std::uint64_t>();
    // A tensor without numbers may have other dimensions of any size.
    if (n > std::uint64_t{std::numeric_limits<std::int32_t>::max()} || (n != 0 && count > data_size / n)) {
      program::refuse(what + " is larger than the file");
    }
    count *= n;
    tensor.shape.push_back(static_cast<Index>(n));
  }
  tensor.begin = entry.at("data_offsets").at(0).get<std::uint64_t>();
  tensor.end = entry.at("data_offsets").at(1).get<std::uint64_t>();
  const bool fits = element == 0 || tensor.end - tensor.begin == count * element;
  if (tensor.begin > tensor.end || tensor.end > data_size || !fits) program::refuse(what + " is not where its header says");
  return tensor;
}

/// The header of a file whose tensors take up `data_size` bytes.
Header parse_header(std::string_view text, std::uint64_t data_size, const std::string& what) {
  Header header;
  try {
    const nlohmann::json all = nlohmann::json::parse(text.begin(), text.end());
    // Where tensors end tells a truncated file from a wrong one.
    std::uint64_t end = 0, taken = 0;
    for (const auto& [name, entry] : all.items()) {
      if (name != "__metadata__") end = (std::max)(end, entry.at("data_offsets").at(1).get<std::uint64_t>());
    }
    if (end > data_size) program::refuse(what + ": it is truncated");
    for (const auto& [name, entry] : all.items()) {
      if (name == "__metadata__") {
        header.metadata = entry.get<std::map<std::string, std::string>>();
      } else {
        const Entry& tensor =
            header.tensors.emplace(name, parse_entry(entry, data_size, what + ": its tensor " + name)).first->second;
        taken += tensor.end - tensor.begin;
      }
    }
    if (taken != data_size) program::refuse(what + ": it is longer than its tensors");
  } catch (const nlohmann::json::exception&) {
    program::refuse(what + ": it is no safetensors file: its header is malformed");
  }
  return header;
}

/// The length of a header, of the first bytes of a file of `size` bytes.
std::uint64_t header_length(std::string_view bytes, std::uint64_t size, const std::string& what) {
  std::uint64_t length = 0;
  if (bytes.size() < sizeof length) program::refuse(what + ": it is no safetensors file, or truncated");
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > longest_header) program::refuse(what + ": it is no safetensors file");
  if (length > size - sizeof length) program::refuse(what + ": it is truncated");
  return length;
}

}  // namespace

void write(const std::string& path, const std::map<std::string, std::string>& metadata, const std::vector<View>& tensors,
           const std::string& what) {
  nlohmann::json header;
  header["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (const View& tensor : tensors) {
    const std::size_t end = offset + tensor.values.size_bytes();
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // The data begin at a multiple of 8 bytes.
  const std::uint64_t length = text.size();
  program::SafeFile file(path, what);
  file.write({reinterpret_cast<const char*>(&length), sizeof length});
  file.write(text);
  for (const View& tensor : tensors)
    file.write({reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size_bytes()});
  file.commit();
}

File read(const std::string& path, const std::string& what) {
  const std::string bytes = program::read_file(path, what);
  const std::uint64_t length = header_length(bytes, bytes.size(), what);
  const std::string_view text = std::string_view(bytes).substr(sizeof length);
  const std::string_view data = text.substr(length);
  Header header = parse_header(text.substr(0, length), data.size(), what);
  File file;
  file.metadata = std::move(header.metadata);
  for (auto& [name, entry] : header.tensors) {
    if (entry.type != "F32") program::refuse(what + ": its tensor " + name + " is not of float32");
    Tensor& tensor = file.tensors[name];
    tensor.shape = std::move(entry.shape);
    tensor.values.resize((entry.end - entry.begin) / sizeof(float));
    if (!tensor.values.empty()) std::memcpy(tensor.values.data(), data.data() + entry.begin, entry.end - entry.begin);
  }
  return file;
}

Bytes read_tensor(const std::string& path, const std::string& name, const std::string& what) {
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) program::refuse(what + ": it cannot be opened" + program::reason(errno));
  const auto take = [&](std::uint64_t n) {
    std::string bytes(n, '\0');
    stream.read(bytes.data(), static_cast<std::streamsize>(n));
    bytes.resize(static_cast<std::size_t>(stream.gcount()));
    if (stream.bad()) program::refuse(what + ": it cannot be read" + program::reason(errno));
    return bytes;
  };
  const std::string start = take(sizeof(std::uint64_t));
  stream.seekg(0, std::ios::end);
  const std::streamoff end = stream.tellg();
  const auto size = static_cast<std::uint64_t>(end < 0 ? 0 : end);
  const std::uint64_t length = header_length(start, size, what);
  stream.clear();
  stream.seekg(sizeof length);
  Header header = parse_header(take(length), size - sizeof length - length, what);
  auto found = header.tensors.find(name);
  if (name.empty() && header.tensors.size() == 1) found = header.tensors.begin();
  if (found == header.tensors.end()) {
    std::string names;
    for (const auto& [one, unused] : header.tensors) names += (names.empty() ? "" : ", ") + one;
    program::refuse(
        what +
        (name.empty() ? ": which of its tensors is meant? Write FILE:NAME, of " : ": it has no tensor " + name + ", only ") +
        names);
  }
  Entry& entry = found->second;
  stream.seekg(static_cast<std::streamoff>(sizeof length + length + entry.begin));
  Bytes tensor{entry.type, std::move(entry.shape), take(entry.end - entry.begin)};
  if (tensor.bytes.size() != entry.end - entry.begin) program::refuse(what + ": it is truncated");
  return tensor;
}

}  // namespace safetensors
