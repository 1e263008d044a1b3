// Writing .zip archives of uncompressed files, in parts, such as NumPy's .npz.
// Format: PKWARE's APPNOTE.TXT, with the extension for sizes beyond 4 GiB (4.5.3) on every file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace zip {

/// CRC-32 of ISO 3309, of bytes that follow those of `crc`.
inline std::uint32_t crc32(std::uint32_t crc, std::string_view bytes) {
  static const std::array<std::uint32_t, 256> table = [] {
    std::array<std::uint32_t, 256> all{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ ((value & 1u) != 0 ? 0xedb88320u : 0u);
      all[i] = value;
    }
    return all;
  }();
  crc = ~crc;
  for (const char c : bytes) crc = table[(crc ^ static_cast<unsigned char>(c)) & 255u] ^ crc >> 8;
  return ~crc;
}

/// An archive, handed part by part to write(std::string_view).
template <class Write>
class Writer {
 public:
  explicit Writer(const Write& write) : write_(write) {}

  /// A file of the archive: its name, and its content in parts.
  void add(const std::string& name, const std::vector<std::string_view>& parts) {
    File file{name, 0, 0, at_};
    for (const std::string_view part : parts) {
      file.crc = crc32(file.crc, part);
      file.size += part.size();
    }
    std::string header = "PK\x03\x04";
    put_common(header, file);
    header += name;
    put(header, 1, 2);
    put(header, 16, 2);
    put(header, file.size, 8);
    put(header, file.size, 8);
    emit(header);
    for (const std::string_view part : parts) emit(part);
    files_.push_back(file);
  }

  /// The list of files, which ends an archive.
  void finish() {
    const std::uint64_t begin = at_;
    for (const File& file : files_) {
      std::string header = "PK\x01\x02";
      put(header, version, 2);
      put_common(header, file, 28);
      put(header, 0, 2 + 2 + 2 + 4);  // no comment, disk 0, attributes
      put(header, 0xffffffff, 4);     // where it begins: below
      header += file.name;
      put(header, 1, 2);
      put(header, 24, 2);
      put(header, file.size, 8);
      put(header, file.size, 8);
      put(header, file.begin, 8);
      emit(header);
    }
    const std::uint64_t size = at_ - begin, end = at_;
    std::string header = "PK\x06\x06";
    put(header, 44, 8);
    put(header, version, 2);
    put(header, version, 2);
    put(header, 0, 4 + 4);
    put(header, files_.size(), 8);
    put(header, files_.size(), 8);
    put(header, size, 8);
    put(header, begin, 8);
    header += "PK\x06\x07";
    put(header, 0, 4);
    put(header, end, 8);
    put(header, 1, 4);
    header += "PK\x05\x06";
    put(header, 0, 2 + 2);
    put(header, files_.size(), 2);
    put(header, files_.size(), 2);
    put(header, 0xffffffff, 4);
    put(header, 0xffffffff, 4);
    put(header, 0, 2);
    emit(header);
  }

 private:
  static constexpr std::uint64_t version = 45;  ///< sizes beyond 4 GiB

  struct File {
    std::string name;
    std::uint32_t crc;
    std::uint64_t size, begin;
  };

  static void put(std::string& to, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) to += i < 8 ? static_cast<char>(value >> (8 * i) & 255u) : '\0';
  }

  /// What both headers of a file have; the sizes are in an extra field of `extra` bytes.
  static void put_common(std::string& header, const File& file, std::uint64_t extra = 20) {
    put(header, version, 2);
    put(header, 0, 2 + 2 + 2);  // no flags, no compression, midnight
    put(header, 0x21, 2);       // of 1 January 1980
    put(header, file.crc, 4);
    put(header, 0xffffffff, 4);
    put(header, 0xffffffff, 4);
    put(header, file.name.size(), 2);
    put(header, extra, 2);
  }

  void emit(std::string_view bytes) {
    write_(bytes);
    at_ += bytes.size();
  }

  const Write& write_;
  std::uint64_t at_ = 0;
  std::vector<File> files_;
};

}  // namespace zip
