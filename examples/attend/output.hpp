// The folder that receives the files: all of them, or none.
#pragma once

#include "problem.hpp"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
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
    for (const auto& [part, unused] : staged_) fs::remove(part, ignored);
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

  void stage(const std::string& name, const npy::Array& array) {
    const fs::path target = fs::path(folder_) / (name + ".npy");
    std::error_code ignored;
    if (fs::is_directory(target, ignored)) fail(name + ".npy: it is a folder");
    fs::path part = target;
    part += ".part";
    staged_.emplace_back(part, target);
    try {
      npy::write(part.string(), array);
    } catch (const npy::Error& error) {
      fail(name + ".npy: " + error.what());
    }
  }

  void commit() {
    for (; !staged_.empty(); staged_.pop_back()) {
      const auto& [part, target] = staged_.back();
      std::error_code failure;
      fs::rename(part, target, failure);
      if (failure) fail(target.filename().string() + ": it cannot be put in place: " + failure.message());
    }
    made_.clear();
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { refuse("--output-dir " + folder_ + ": " + what); }

  std::string folder_;
  std::vector<fs::path> made_;                         // outermost first
  std::vector<std::pair<fs::path, fs::path>> staged_;  // temporary and final name
};

}  // namespace program
