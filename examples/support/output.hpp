// The files that a program writes: all of them, or none.
#pragma once

#include "npy.hpp"
#include "npy_rows.hpp"
#include "usage.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace program {

namespace fs = std::filesystem;

/// Files are staged under temporary names and get their own in `commit`, over those of an earlier
/// run. What is not committed disappears with this object, and so do the folders that it made.
class Output {
 public:
  explicit Output(std::string folder) : folder_(std::move(folder)) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  ~Output() {
    std::error_code ignored;
    for (const Staged& one : staged_) fs::remove(one.part, ignored);
    for (; !made_.empty(); made_.pop_back()) fs::remove(made_.back(), ignored);
  }

  /// Makes the folder, and those above it, where they are missing.
  void open() {
    std::error_code failure;
    std::vector<fs::path> missing;
    for (fs::path path = fs::weakly_canonical(folder_, failure); !path.empty() && !fs::exists(path, failure);
         path = path.parent_path()) {
      missing.push_back(path);
    }
    for (; !missing.empty() && !failure; missing.pop_back()) {
      if (fs::create_directory(missing.back(), failure)) made_.push_back(missing.back());
    }
    std::error_code ignored;
    if (!fs::is_directory(folder_, ignored)) fail("it cannot be made, or is no folder" + (failure ? ": " + failure.message() : ""));
    if (::access(folder_.c_str(), W_OK | X_OK) != 0) fail("it cannot be written" + reason(errno));
  }

  /// Stages an array as a file of the folder.
  void stage(const std::string& name, const npy::Array& array) {
    const std::string what = file(name);
    const fs::path part = add(path(name), what);
    write(what, [&] { npy::write(part.string(), array); });
  }

  /// Stages the file of an array whose rows others write, see `write_rows`: zeros until then.
  void stage_rows(const std::string& name, const std::vector<std::size_t>& shape, std::size_t item_size) {
    const std::string what = file(name);
    const fs::path part = add(path(name), what);
    write(what, [&] { npy::RowWriter::make(part.string(), shape, item_size); });
  }

  /// Writes rows first, ... of an array that another process has staged for the same folder, by stage_rows.
  void write_rows(const std::string& name, const std::vector<std::size_t>& shape, std::size_t first, const npy::Array& rows) const {
    write(file(name), [&] { npy::RowWriter(part_of(path(name)).string(), shape, rows.item_size).write(first, rows); });
  }

  /// Stages a file at a path of its own, which an option names.
  void stage(const std::string& option, const std::string& path, std::string_view content) {
    const std::string what = option + " " + path;
    const fs::path part = add(path, what);
    errno = 0;
    std::ofstream stream(part, std::ios::binary);
    stream.write(content.data(), static_cast<std::streamsize>(content.size()));
    stream.close();
    if (!stream) refuse(what + ": it cannot be written" + reason(errno));
  }

  void commit() {
    for (; !staged_.empty(); staged_.pop_back()) {
      const auto& [part, target, what] = staged_.back();
      std::error_code failure;
      fs::rename(part, target, failure);
      if (failure) refuse(what + ": it cannot be put in place: " + failure.message());
    }
    made_.clear();
  }

 private:
  struct Staged {
    fs::path part, target;  ///< temporary and final name
    std::string what;
  };

  /// Returns the temporary name of a file.
  fs::path add(const fs::path& target, const std::string& what) {
    std::error_code ignored;
    if (fs::is_directory(target, ignored)) refuse(what + ": it is a folder");
    const fs::path same = fs::weakly_canonical(target, ignored);
    for (const Staged& other : staged_) {
      if (fs::weakly_canonical(other.target, ignored) == same) refuse(what + ": it is the file of " + other.what);
    }
    fs::path part = part_of(target);
    staged_.push_back(Staged{part, target, what});
    return part;
  }

  std::string file(const std::string& name) const { return "--output-dir " + folder_ + ": " + name + ".npy"; }
  fs::path path(const std::string& name) const { return fs::path(folder_) / (name + ".npy"); }
  static fs::path part_of(fs::path target) { return target += ".part"; }

  template <class Work>
  static void write(const std::string& what, const Work& work) {
    try {
      work();
    } catch (const npy::Error& error) {
      refuse(what + ": " + error.what());
    }
  }

  [[noreturn]] void fail(const std::string& what) const { refuse("--output-dir " + folder_ + ": " + what); }

  std::string folder_;
  std::vector<fs::path> made_;  // outermost first
  std::vector<Staged> staged_;
};

}  // namespace program
