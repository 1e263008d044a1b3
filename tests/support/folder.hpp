// A temporary folder for programs to work in.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <system_error>

namespace nadaraya::test {

namespace fs = std::filesystem;

/// A new folder, gone with this object.
class Folder {
 public:
  Folder() {
    std::random_device random;
    do {
      path_ = fs::temp_directory_path() / ("nadaraya_" + std::to_string(random()));
    } while (!fs::create_directory(path_));
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

  std::string content(const std::string& name) const {
    std::ifstream stream(*this / name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }

  void put(const std::string& name, const std::string& content) const {
    std::ofstream(*this / name, std::ios::binary) << content;
  }

  /// Everything below the folder: what a file holds, "/" for a folder.
  std::map<std::string, std::string> snapshot() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(path_)) {
      const std::string name = entry.path().lexically_relative(path_).string();
      all[name] = entry.is_directory() ? "/" : content(name);
    }
    return all;
  }

 private:
  fs::path path_;
};

}  // namespace nadaraya::test
