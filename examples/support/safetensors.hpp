// Reading and writing .safetensors files.
// Format: github.com/huggingface/safetensors, README.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace safetensors {

using Index = std::ptrdiff_t;

/// A tensor as it is in memory, to be written.
struct View {
  std::string name;
  std::vector<Index> shape;
  std::span<const float> values;
};

struct Tensor {
  std::vector<Index> shape;
  std::vector<float> values;
};

struct File {
  std::map<std::string, std::string> metadata;
  std::map<std::string, Tensor> tensors;
};

/// Puts a file in place of an earlier one, or leaves that as it is. Throws program::UsageError, which begins with `what`.
void write(const std::string& path, const std::map<std::string, std::string>& metadata, const std::vector<View>& tensors,
           const std::string& what);

/// Throws program::UsageError, which begins with `what`, for what is not a safetensors file of float32 in full.
File read(const std::string& path, const std::string& what);

/// A tensor of any type, as it lies in a file.
struct Bytes {
  std::string type;  ///< the format's name of it: F32, F64, F16, BF16, I64, ...
  std::vector<Index> shape;
  std::string bytes;
};

/// Reads one tensor, and nothing of the others. An empty name stands for the only one of a file. Throws
/// program::UsageError, which begins with `what`, where the file is malformed or has no such tensor.
Bytes read_tensor(const std::string& path, const std::string& name, const std::string& what);

}  // namespace safetensors
