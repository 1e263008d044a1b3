// A file that is there in full, or as it was before.
#pragma once

#include <string>
#include <string_view>

namespace program {

/// Written aside under a temporary name; commit puts it on the disk and then in place of what was there.
/// What is not committed disappears. Errors: UsageError, which names the file.
class SafeFile {
 public:
  explicit SafeFile(std::string path);
  SafeFile(const SafeFile&) = delete;
  SafeFile& operator=(const SafeFile&) = delete;
  ~SafeFile();

  void write(std::string_view bytes);
  void commit();

 private:
  [[noreturn]] void fail() const;

  std::string path_, part_;
  int descriptor_;
};

}  // namespace program
