#include "safetensors.hpp"

#include "../support/files.hpp"

#include <nlohmann/json.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>

namespace safetensors {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie");

/// The format's own limit on headers.
constexpr std::uint64_t longest_header = 100'000'000;

/// The numbers of a tensor whose place in the data its header gives.
Tensor take(const nlohmann::json& entry, std::string_view data, std::uint64_t& taken, const std::string& what) {
  if (entry.at("dtype").get<std::string>() != "F32") program::refuse(what + " is not of float32");
  Tensor tensor;
  std::uint64_t count = 1;
  for (const auto& size : entry.at("shape")) {
    const auto n = size.get<std::uint64_t>();
    // A tensor without numbers may have other dimensions of any size.
    if (n > std::uint64_t{std::numeric_limits<std::int32_t>::max()} || (n != 0 && count > data.size() / n)) {
      program::refuse(what + " is larger than the file");
    }
    count *= n;
    tensor.shape.push_back(static_cast<Index>(n));
  }
  const auto begin = entry.at("data_offsets").at(0).get<std::uint64_t>();
  const auto end = entry.at("data_offsets").at(1).get<std::uint64_t>();
  if (begin > end || end > data.size() || end - begin != count * sizeof(float)) {
    program::refuse(what + " is not where its header says");
  }
  tensor.values.resize(count);
  if (count > 0) std::memcpy(tensor.values.data(), data.data() + begin, count * sizeof(float));
  taken += end - begin;
  return tensor;
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
  for (const View& tensor : tensors) file.write({reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size_bytes()});
  file.commit();
}

File read(const std::string& path, const std::string& what) {
  const std::string bytes = program::read_file(path, what);
  std::uint64_t length = 0;
  if (bytes.size() < sizeof length) program::refuse(what + ": it is no safetensors file, or truncated");
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > longest_header) program::refuse(what + ": it is no safetensors file");
  if (length > bytes.size() - sizeof length) program::refuse(what + ": it is truncated");
  const std::string_view data = std::string_view(bytes).substr(sizeof length + length);
  File file;
  try {
    const nlohmann::json header = nlohmann::json::parse(bytes.begin() + sizeof length, bytes.begin() + static_cast<std::ptrdiff_t>(sizeof length + length));
    // Where tensors end tells a truncated file from a wrong one.
    std::uint64_t end = 0, taken = 0;
    for (const auto& [name, entry] : header.items()) {
      if (name != "__metadata__") end = (std::max)(end, entry.at("data_offsets").at(1).get<std::uint64_t>());
    }
    if (end > data.size()) program::refuse(what + ": it is truncated");
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") {
        file.metadata = entry.get<std::map<std::string, std::string>>();
      } else {
        file.tensors.emplace(name, take(entry, data, taken, what + ": its tensor " + name));
      }
    }
    if (taken != data.size()) program::refuse(what + ": it is longer than its tensors");
  } catch (const nlohmann::json::exception&) {
    program::refuse(what + ": it is no safetensors file: its header is malformed");
  }
  return file;
}

}  // namespace safetensors
