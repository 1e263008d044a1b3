#include "weights.hpp"

#include "../support/files.hpp"
#include "../support/gnuplot.hpp"
#include "../support/zip.hpp"

#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string_view>
#include <system_error>

namespace program {
namespace {

template <class T>
std::string_view bytes_of(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}

/// A folder for the time of a picture.
class Temporary {
 public:
  explicit Temporary(const std::string& what) : path_((std::filesystem::temp_directory_path() / "attend.XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) refuse(what + ": a temporary folder cannot be made" + reason(errno));
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

std::string npz(const Weights& weights) {
  std::string archive;
  const auto append = [&](std::string_view part) { archive += part; };
  zip::Writer writer(append);
  const auto add = [&](const std::string& name, const std::string& type, const std::vector<std::size_t>& shape,
                       std::string_view content) {
    writer.add(name + ".npy", {npy::prologue(type, shape), content});
  };
  const std::vector<std::int64_t> shape = {weights.rows, weights.cols};
  const std::size_t count = weights.columns.size(), rows = weights.offsets.size();
  // Indices and offsets have one type, as SciPy has them: 32 bits where that is enough.
  if (count <= static_cast<std::size_t>((std::numeric_limits<std::int32_t>::max)())) {
    std::vector<std::int32_t> offsets;
    for (const std::int64_t offset : weights.offsets) offsets.push_back(static_cast<std::int32_t>(offset));
    add("indices", "<i4", {count}, bytes_of(weights.columns));
    add("indptr", "<i4", {rows}, bytes_of(offsets));
  } else {
    const std::vector<std::int64_t> columns(weights.columns.begin(), weights.columns.end());
    add("indices", "<i8", {count}, bytes_of(columns));
    add("indptr", "<i8", {rows}, bytes_of(weights.offsets));
  }
  add("format", "|S3", {}, "csr");
  add("shape", "<i8", {2}, bytes_of(shape));
  add("data", weights.values.is_float32() ? "<f4" : "<f8", {count}, {weights.values.bytes.data(), weights.values.bytes.size()});
  writer.finish();
  return archive;
}

std::string picture(const Weights& weights, std::ptrdiff_t first, std::ptrdiff_t queries, const std::string& title,
                    const std::string& what) {
  // As many cells as can be told apart; one that stands for several weights shows the largest.
  using Index = std::ptrdiff_t;
  constexpr Index most = 200;
  const Index keys = weights.cols, down = (std::min)(queries, most), across = (std::min)(keys, most);
  std::vector<double> cells(static_cast<std::size_t>(down * across), 0.0);
  double largest = 0;
  for (Index i = 0; i < queries; ++i) {
    for (auto at = weights.offsets[static_cast<std::size_t>(first + i)];
         at < weights.offsets[static_cast<std::size_t>(first + i) + 1]; ++at) {
      const auto place = static_cast<std::size_t>(at);
      const double weight = weights.values.is_float32() ? static_cast<double>(weights.values.data<float>()[place])
                                                        : weights.values.data<double>()[place];
      double& cell = cells[static_cast<std::size_t>(i * down / queries * across + weights.columns[place] * across / keys)];
      cell = (std::max)(cell, weight);
      largest = (std::max)(largest, weight);
    }
  }
  const double height = static_cast<double>(queries) / static_cast<double>(down),
               width = static_cast<double>(keys) / static_cast<double>(across);
  std::string script =
      "set terminal svg size 700,640 background 'white' enhanced font 'sans-serif,13'\nset output 'weights.svg'\n";
  script += "set title " + gnuplot::label(title) + " noenhanced\nset xlabel 'key'\nset ylabel 'query'\nset cblabel 'weight'\n";
  script += "set palette defined (0 'white', 0.001 '#c6dbef', 0.3 '#4292c6', 1 '#08306b')\nset cbrange [0:" +
            gnuplot::number(largest > 0 ? largest : 1) + "]\n";
  script += "set xrange [0:" + std::to_string(keys) + "]\nset yrange [" + std::to_string(queries) +
            ":0]\nset tics out nomirror\nset size ratio -1\nunset key\n";
  if (keys > 4 * queries || queries > 4 * keys) script += "set size noratio\n";
  // Zeros are left out: the picture shows where there is no weight.
  script += "set style fill solid noborder\n$cells << EOD\n";
  for (Index i = 0; i < down; ++i) {
    for (Index j = 0; j < across; ++j) {
      const double weight = cells[static_cast<std::size_t>(i * across + j)];
      if (!(weight > 0)) continue;
      const double x = static_cast<double>(j) * width, y = static_cast<double>(i) * height;
      for (const double number : {x + width / 2, y + height / 2, x, x + width, y, y + height, weight})
        script += gnuplot::number(number) + ' ';
      script += '\n';
    }
  }
  script += "EOD\n";
  script += largest > 0 ? "plot $cells using 1:2:3:4:5:6:7 with boxxyerror palette\n" : "plot 1/0 palette\n";
  const Temporary folder(what);
  if (!gnuplot::draw(folder.path(), "weights.gnuplot", script, {"weights.svg"}, what)) {
    refuse(what + ": gnuplot is missing (apt-get install gnuplot-nox)");
  }
  return read_file(folder.path() + "/weights.svg", what);
}

}  // namespace program
