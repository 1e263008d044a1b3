// Reading and writing .safetensors files of float32.
// Format: github.com/huggingface/safetensors, README.
#pragma once

#include <nadaraya/types.hpp>

#include <map>
#include <span>
#include <string>
#include <vector>

namespace safetensors {

using nadaraya::Index;

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

}  // namespace safetensors
