// Files and folders of a program: read whole, written whole, and what goes wrong told with the option's name.
#pragma once

#include "usage.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace program {

/// The content of a file. Throws UsageError, which begins with `what`: the option and the path.
inline std::string read_file(const std::string& path, const std::string& what) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) refuse(what + ": it cannot be opened" + reason(errno));
  std::string content;
  std::vector<char> buffer(std::size_t{1} << 16);
  ssize_t n = 0;
  while ((n = ::read(descriptor, buffer.data(), buffer.size())) > 0 || (n < 0 && errno == EINTR)) {
    if (n > 0) content.append(buffer.data(), static_cast<std::size_t>(n));
  }
  const int error = errno;
  ::close(descriptor);
  if (n < 0) refuse(what + ": it cannot be read" + reason(error));
  return content;
}

/// A file that is there in full, or as it was. It is written under a temporary name; `commit` puts it on the disk and
/// then in place of what was there. What is not committed disappears. Throws UsageError, which begins with `what`.
class SafeFile {
 public:
  SafeFile(std::string path, std::string what)
      : path_(std::move(path)),
        what_(std::move(what)),
        part_(path_ + ".part"),
        descriptor_(::open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
    if (descriptor_ < 0) fail();
  }
  SafeFile(const SafeFile&) = delete;
  SafeFile& operator=(const SafeFile&) = delete;
  ~SafeFile() {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
      ::unlink(part_.c_str());
    }
  }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno != EINTR) fail();
      if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  void commit() {
    if (::fsync(descriptor_) != 0 || std::rename(part_.c_str(), path_.c_str()) != 0) fail();
    ::close(std::exchange(descriptor_, -1));
    // The new name is on the disk when the folder is.
    const std::string folder = std::filesystem::path(path_).parent_path().string();
    const int directory = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return;
    ::fsync(directory);
    ::close(directory);
  }

 private:
  [[noreturn]] void fail() const { refuse(what_ + ": it cannot be written" + reason(errno)); }

  std::string path_, what_, part_;
  int descriptor_;
};

inline void write_file(const std::string& path, std::string_view content, const std::string& what) {
  SafeFile file(path, what);
  file.write(content);
  file.commit();
}

/// Makes a folder, and those above it, where they are missing; afterwards files can be made in it. Throws UsageError,
/// which begins with `what`.
inline void make_folder(const std::string& path, const std::string& what) {
  namespace fs = std::filesystem;
  std::error_code failure, ignored;
  fs::create_directories(path, failure);
  if (!fs::is_directory(path, ignored)) {
    refuse(what + ": it cannot be made, or is no folder" + (failure ? ": " + failure.message() : ""));
  }
  if (::access(path.c_str(), W_OK | X_OK) != 0) refuse(what + ": it cannot be written" + reason(errno));
}

}  // namespace program
