// The .npy reader and writer: what is written is read back, and what is malformed is refused.
#include "examples/support/npy.hpp"
#include "examples/support/npy_rows.hpp"

#include "tests/support/catch.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

using namespace nadaraya::test;

namespace {

/// A file from its parts. The header is taken as it is, without NumPy's padding.
std::string file(int version, const std::string& header, const std::string& data) {
  std::string text("\x93NUMPY");
  text += static_cast<char>(version);
  text += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) text += static_cast<char>(header.size() >> (8 * i) & 255u);
  return text + header + data;
}

std::string header(const std::string& type, const std::string& shape, const std::string& fortran_order = "False") {
  return "{'descr': '" + type + "', 'fortran_order': " + fortran_order + ", 'shape': " + shape + ", }\n";
}

npy::Array parse(const std::string& text) {
  std::istringstream stream(text);
  return npy::read(stream);
}

/// Counts up from 1, in C order.
npy::Array counting(const std::vector<std::size_t>& shape) {
  npy::Array array = npy::zeros<double>(shape);
  for (std::size_t i = 0; i < npy::count(shape, 8); ++i) array.data<double>()[i] = 1.0 + static_cast<double>(i);
  return array;
}

std::string data_of(const npy::Array& array) { return std::string(array.bytes.begin(), array.bytes.end()); }

}  // namespace

TEST_CASE("arrays of any rank and size come back from their files", "[npy]") {
  const Folder folder;
  const std::vector<std::vector<std::size_t>> shapes = {
      {}, {0}, {3}, {0, 4}, {2, 0}, {2, 3}, {0, 0, 0}, {2, 1, 3, 4}, {1, 0, 2, 5}, std::vector<std::size_t>(64, 1)};
  for (const auto& shape : shapes) {
    npy::Array doubles = counting(shape);
    npy::Array floats = npy::zeros<float>(shape);
    for (std::size_t i = 0; i < npy::count(shape, 4); ++i) floats.data<float>()[i] = 0.5f + static_cast<float>(i);
    for (const npy::Array& array : {doubles, floats}) {
      INFO("rank " << shape.size() << ", bytes an element " << array.item_size);
      npy::write(folder / "a.npy", array);
      const npy::Array again = npy::read(folder / "a.npy");
      REQUIRE(again.shape == array.shape);
      REQUIRE(again.item_size == array.item_size);
      REQUIRE(again.bytes == array.bytes);
      // NumPy aligns the data to 64 bytes.
      REQUIRE((folder.content("a.npy").size() - array.bytes.size()) % 64 == 0);
    }
  }
}

TEST_CASE("every version of the format is read, in C and in Fortran order", "[npy]") {
  const npy::Array array = counting({2, 3, 4});
  std::string fortran;
  for (std::size_t k = 0; k < 4; ++k) {
    for (std::size_t j = 0; j < 3; ++j) {
      for (std::size_t i = 0; i < 2; ++i) fortran.append(data_of(array), ((i * 3 + j) * 4 + k) * 8, 8);
    }
  }
  for (const int version : {1, 2, 3}) {
    INFO("version " << version);
    REQUIRE(parse(file(version, header("<f8", "(2, 3, 4)"), data_of(array))).bytes == array.bytes);
    REQUIRE(parse(file(version, header("<f8", "(2, 3, 4)", "True"), fortran)).bytes == array.bytes);
  }
  REQUIRE(parse(file(1, header("<f8", "(0, 3)", "True"), "")).shape == std::vector<std::size_t>{0, 3});
}

TEST_CASE("a header may be spelled in other ways than NumPy's", "[npy]") {
  const std::string data = data_of(counting({2, 1}));
  for (const std::string text : {"{\"descr\":\"<f8\",\"fortran_order\":False,\"shape\":(2,1)}",
                                 "{'shape': (2, 1,), 'fortran_order': False, 'descr': '<f8'}      ",
                                 "{u'descr': u'<f8', u'fortran_order': (False), u'shape': (2L, 1L)}", "\n({'descr' '': '<f8', 'fortran_order': False, 'shape': (2, 1)})\n\f # ours\n",
                                 "{ # ours\n'descr':\\\n'<f8',\n'fortran_order': False,\n'shape': (2, 1)\n,}\n",
                                 " { 'descr' : '<f8' ,\t'fortran_order' : False , 'shape' : ( 2 , 1 ) , } \r\n"}) {
    INFO(text);
    REQUIRE(parse(file(1, text, data)).shape == std::vector<std::size_t>{2, 1});
  }
}

TEST_CASE("types are described as numpy.dtype takes them", "[npy]") {
  // 1.5 and -2 as big-endian float64 and float32.
  const std::string big("\x3f\xf8\0\0\0\0\0\0\xc0\0\0\0\0\0\0\0", 16), big_single("\x3f\xc0\0\0\xc0\0\0\0", 8);
  const std::string little(big.rbegin(), big.rend()), little_single(big_single.rbegin(), big_single.rend());
  const auto check = [](const std::string& type, const std::string& data, double first, double second) {
    INFO(type);
    npy::Array array = parse(file(1, "{'descr': " + type + ", 'fortran_order': False, 'shape': (2,)}", data));
    REQUIRE(array.item_size == data.size() / 2);
    const auto at = [&](std::size_t i) { return array.is_float32() ? static_cast<double>(array.data<float>()[i]) : array.data<double>()[i]; };
    REQUIRE(at(0) == first);
    REQUIRE(at(1) == second);
  };
  for (const std::string type : {"'<f8'", "'=f8'", "'|f8'", "'f8'", "'d'", "'<d'", "'=d'", "'float64'", "'double'", "'float'", "u'<f8'", "r'<f8'",
                                 "U\"=f8\"", "'<' 'f8'", "('f8')", "'\\x3cf8'", "'\\74f8'", "'\\u003cf8'", "'''<f8'''", "'<f8' # a comment\n"}) {
    check(type, little, -2, 1.5);
  }
  for (const std::string type : {"'<f4'", "'=f4'", "'|f4'", "'f4'", "'f'", "'<f'", "'float32'", "'single'", "u'f4'"}) check(type, little_single, -2, 1.5);
  for (const std::string type : {"'>f8'", "'>d'", "u'>f8'"}) check(type, big, 1.5, -2);
  for (const std::string type : {"'>f4'", "'>f'"}) check(type, big_single, 1.5, -2);
  for (const std::string type : {"'f2'", "'f16'", "'>i8'", "'<c8'", "'F8'", "' f8'", "'f8 '", "'< f8'", "'!f8'", "'>float64'", "'<double'", "'d8'", "'<'", "''",
                                 "'<<f8'", "'O'", "'float16'", "'longdouble'"}) {
    INFO(type);
    REQUIRE_THROWS_WITH(parse(file(1, "{'descr': " + type + ", 'fortran_order': False, 'shape': (2,)}", little)),
                        catch_shim::contains("neither float32 nor float64"));
  }
  for (const std::string type : {"b'<f8'", "f'<f8'", "ur'f8'", "None", "<f8", "'<f8", "'<\nf8'", "'\\x3'", "'\\"}) {
    INFO(type);
    REQUIRE_THROWS_WITH(parse(file(1, "{'descr': " + type + ", 'fortran_order': False, 'shape': (2,)}", little)),
                        catch_shim::contains("its header is malformed"));
  }
}

TEST_CASE("big-endian files in Fortran order come out in C order", "[npy]") {
  const npy::Array array = counting({2, 3});
  std::string fortran;
  for (std::size_t j = 0; j < 3; ++j) {
    for (std::size_t i = 0; i < 2; ++i) {
      const std::string item = data_of(array).substr((i * 3 + j) * 8, 8);
      fortran.append(item.rbegin(), item.rend());
    }
  }
  REQUIRE(parse(file(3, header(">f8", "(2, 3)", "True"), fortran)).bytes == array.bytes);
}

TEST_CASE("rows of a file are those of the whole array, in either order of bytes and elements", "[npy]") {
  const Folder folder;
  const auto fortran = [](const npy::Array& array, const std::vector<std::size_t>& shape) {
    // The same elements for the shape in reverse are those in C order.
    npy::Array turned{{shape.rbegin(), shape.rend()}, array.item_size, array.bytes};
    npy::detail::to_c_order(turned.shape, turned.item_size, turned.bytes);
    return data_of(turned);
  };
  for (const std::vector<std::size_t>& shape : {std::vector<std::size_t>{7, 3}, {2, 3, 5, 4}, {1, 1, 6, 1}, {2, 0, 3, 2}, {4, 0}}) {
    const npy::Array all = counting(shape);
    std::string sizes = "(";
    for (const std::size_t n : shape) sizes += std::to_string(n) + ",";
    std::string swapped = data_of(all);
    for (std::size_t at = 0; at < swapped.size(); at += 8) std::reverse(swapped.begin() + static_cast<long>(at), swapped.begin() + static_cast<long>(at + 8));
    const std::size_t halves = npy::count(shape, 2);
    folder.put("c.npy", file(1, header("<f8", sizes + ")"), data_of(all)));
    folder.put("fortran.npy", file(2, header("<f8", sizes + ")", "True"), fortran(all, shape)));
    folder.put("big.npy", file(3, header(">f8", sizes + ")"), swapped));
    folder.put("half.npy", file(1, header("<f2", sizes + ")"), data_of(all).substr(0, 2 * halves)));
    for (const std::string name : {"c.npy", "fortran.npy", "big.npy", "half.npy"}) {
      INFO(name << " of " << sizes);
      const npy::RowFile part(folder / name);
      const npy::Array whole = npy::read_with_sixteen_bits(folder / name);
      REQUIRE(part.shape() == shape);
      REQUIRE(part.item_size() == whole.item_size);
      const std::size_t rows = shape[shape.size() - 2], row = shape.back() * whole.item_size;
      for (std::size_t first = 0; first <= rows; ++first) {
        for (std::size_t n = 0; first + n <= rows; ++n) {
          std::string expected;
          for (std::size_t at = 0; at < whole.bytes.size(); at += rows * row) expected.append(data_of(whole), at + first * row, n * row);
          REQUIRE(data_of(part.rows(first, n)) == expected);
        }
      }
    }
  }
  const auto refused = [&](const std::string& content) {
    folder.put("bad.npy", content);
    return npy::RowFile(folder / "bad.npy");
  };
  REQUIRE_THROWS_WITH(refused(file(1, header("<f8", "(2, 1)"), std::string(15, '\0'))), "it is truncated");
  REQUIRE_THROWS_WITH(refused(file(1, header("<f8", "(2, 1)"), std::string(17, '\0'))), "it is longer than its shape");
  REQUIRE_THROWS_WITH(refused(file(1, header("<f8", "(2,)"), std::string(16, '\0'))), "it has no rows");
  REQUIRE_THROWS_WITH(npy::RowFile(folder / "missing.npy"), catch_shim::contains("it cannot be opened"));
}

TEST_CASE("sizes are written as Python 2 and 3 write whole numbers", "[npy]") {
  const std::string data = data_of(counting({4, 3}));
  const std::vector<std::size_t> expected{4, 3};
  for (const std::string shape : {"(4L, 3L)", "(4L,3L,)", "(4 L, 3)", "(0x4L, 3)", "(0x4, 0b11)", "(0o4, 3)", "(+4, 3)", "((4), 3)", "((4, 3))", "(4,\n3)",
                                  "(4, # rows\n 3)", "(4,\\\n3)", "(\f4\t,\r\n3)", "(0_4, 3)"}) {
    INFO(shape);
    if (shape == "(0_4, 3)") {
      REQUIRE_THROWS_WITH(parse(file(1, header("<f8", shape), data)), catch_shim::contains("its shape is malformed"));
      continue;
    }
    REQUIRE(parse(file(1, header("<f8", shape), data)).shape == expected);
    REQUIRE(parse(file(2, header("<f8", shape), data)).shape == expected);
    // Version 3 is younger than Python 2.
    if (shape.find('L') == std::string::npos) {
      REQUIRE(parse(file(3, header("<f8", shape), data)).shape == expected);
    } else {
      REQUIRE_THROWS_AS(parse(file(3, header("<f8", shape), data)), npy::Error);
    }
  }
  REQUIRE(parse(file(1, header("<f8", "(0L, 00)"), "")).shape == std::vector<std::size_t>{0, 0});
  REQUIRE(parse(file(1, header("<f8", "(1_2L,)"), data)).shape == std::vector<std::size_t>{12});
  for (const std::string shape : {"(4l, 3)", "(4LL, 3)", "(L, 3)", "(04, 3)", "(4.0, 3)", "(4, 3j)", "(0x, 3)", "(4_, 3)", "(1__2,)", "(_4, 3)", "(- 4, 3)",
                                  "(~3, 3)", "(True, 3)", "(None,)", "('4', 3)", "(4, (3,))", "((4, 3),)", "((4, 3), 3)", "(4L)", "((4))", "(4 3)", "(++4, 3)"}) {
    INFO(shape);
    REQUIRE_THROWS_WITH(parse(file(1, header("<f8", shape), data)), catch_shim::contains("its shape is malformed"));
  }
  const std::string odd = " ({ # c\nu'descr' :\\\n ('''\\x3cf\\70''' ''), \"fortran_order\": (False), 'shape': ((+0x4L), 3L,), }) # c";
  REQUIRE(parse(file(1, odd, data)).shape == expected);
  for (std::size_t end = 0; end < odd.size() - 4; ++end) {
    INFO(end);
    REQUIRE_THROWS_AS(parse(file(1, odd.substr(0, end), data)), npy::Error);
  }
  const std::string deep(100000, '(');
  REQUIRE_THROWS_AS(parse(file(2, header("<f8", deep), data)), npy::Error);
  REQUIRE_THROWS_AS(parse(file(2, "{" + deep, data)), npy::Error);
  REQUIRE_THROWS_AS(parse(file(2, deep, data)), npy::Error);
}

TEST_CASE("malformed files are refused, each for its reason", "[npy]") {
  const std::string eight(8, '\0');
  const auto one_number = [&](const std::string& text) { return file(1, text, eight); };
  const auto shaped = [&](const std::string& shape) { return one_number(header("<f8", shape)); };
  const std::string good = shaped("(1,)");
  REQUIRE(parse(good).shape == std::vector<std::size_t>{1});

  struct Row {
    std::string text, reason;
  };
  const std::string type = "neither float32 nor float64", dictionary = "its header is malformed";
  const std::string malformed = "its shape is malformed", overflow = "its shape overflows";
  const std::vector<Row> rows = {
      {"", "it is truncated"},
      {good.substr(0, 7), "it is truncated"},
      {good.substr(0, 9), "it is truncated"},
      {good.substr(0, 40), "it is truncated"},
      {good.substr(0, good.size() - 1), "it is truncated"},
      {file(2, header("<f8", "(1,)"), eight).substr(0, 11), "it is truncated"},
      {good + '\0', "it is longer than its shape"},
      {"PK\x03\x04 not an array", "it is not a .npy file"},
      {file(0, header("<f8", "(1,)"), eight), "version is unknown"},
      {file(4, header("<f8", "(1,)"), eight), "version is unknown"},
      {good.substr(0, 7) + '\x01' + good.substr(8), "version is unknown"},
      {one_number(header("<i8", "(1,)")), type},
      {one_number(header("<f2", "(4,)")), type},
      {one_number(header("<f88", "(1,)")), type},
      {one_number("{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (1,), }"), type},
      {shaped("(-1,)"), malformed},
      {shaped("(1.0,)"), malformed},
      {shaped("(,)"), malformed},
      {shaped("(1, , 1)"), malformed},
      {shaped("(1 1)"), malformed},
      {shaped("(1)"), malformed},
      {shaped("(1,"), malformed},
      {shaped("[1]"), dictionary},
      {shaped("1"), dictionary},
      {shaped("(18446744073709551616,)"), overflow},
      {shaped("(18446744073709551615, 0)"), overflow},
      {shaped("(1152921504606846976,)"), overflow},
      {shaped("(4294967296, 4294967296)"), overflow},
      {shaped("(0, 4294967296, 4294967296)"), overflow},
      {shaped("(1152921504606846975,)"), "it is truncated"},
      {shaped("(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,"
              " 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)"),
       "too many dimensions"},
      {one_number(""), dictionary},
      {one_number("{"), dictionary},
      {one_number("{}"), dictionary},
      {one_number("{'descr': '<f8', 'fortran_order': False}"), dictionary},
      {one_number("{'descr': '<f8', 'shape': (1,)}"), dictionary},
      {one_number("{'fortran_order': False, 'shape': (1,)}"), dictionary},
      {one_number("{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}"), dictionary},
      {one_number("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'more': 1}"), dictionary},
      {one_number("{'descr': '<f8' 'fortran_order': False, 'shape': (1,)}"), dictionary},
      {one_number("{'descr': '<f8', 'fortran_order': 0, 'shape': (1,)}"), dictionary},
      {one_number("{'descr: <f8, fortran_order: False, shape: (1,)}"), dictionary},
      {one_number(header("<f8", "(1,)") + "x"), dictionary},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    REQUIRE_THROWS_AS(parse(row.text), npy::Error);
    REQUIRE_THROWS_WITH(parse(row.text), catch_shim::contains(row.reason));
  }
}

TEST_CASE("a path that is no readable file is refused", "[npy]") {
  const Folder folder;
  REQUIRE_THROWS_WITH(npy::read(folder / "missing.npy"), catch_shim::contains("it cannot be opened"));
  REQUIRE_THROWS_WITH(npy::read(folder / "."), catch_shim::contains("it cannot be read"));
  REQUIRE_THROWS_AS(npy::write(folder / "missing/a.npy", npy::zeros<float>({1})), npy::Error);
}

TEST_CASE("a damaged file is read within its bounds or refused", "[npy]") {
  const std::vector<std::string> files = {
      file(1, header("<f8", "(2, 3)"), data_of(counting({2, 3}))),
      file(2, header("<f8", "(2, 3, 2)", "True"), data_of(counting({2, 3, 2}))),
      file(3, header("<f4", "(0, 7)"), ""),
      file(1, header("<f4", "()"), std::string(4, '\1')),
  };
  const std::string meaningful = "0123456789(),'{}: <>=|f48ieTFLxuru\\#_+\"\n";
  Random random(5);
  const auto below = [&](std::size_t n) {
    return static_cast<std::size_t>(random.below(static_cast<nadaraya::Index>(n)));
  };
  int read = 0, refused = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    std::string text = files[below(files.size())];
    for (std::size_t change = 1 + below(3); change > 0 && !text.empty(); --change) {
      const std::size_t at = below(text.size());
      const char byte = below(2) == 0 ? static_cast<char>(below(256)) : meaningful[below(meaningful.size())];
      switch (below(5)) {
        case 0:
          text.insert(at, 1, byte);
          break;
        case 1:
          text.erase(at, 1 + below(8));
          break;
        case 2:
          text.resize(at);
          break;
        default:
          text[at] = byte;
      }
    }
    INFO(text);
    try {
      const npy::Array array = parse(text);
      ++read;
      REQUIRE(array.bytes.size() == npy::count(array.shape, array.item_size) * array.item_size);
    } catch (const npy::Error&) {
      ++refused;
    }
  }
  REQUIRE(read > 500);
  REQUIRE(refused > 500);
}
