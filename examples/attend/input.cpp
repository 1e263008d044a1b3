#include "input.hpp"

#include "../support/attention_arrays.hpp"
#include "../support/safetensors.hpp"
#include "../support/usage.hpp"

#include <cstddef>
#include <string_view>
#include <utility>

namespace program {
namespace {

npy::Array load_tensor(const std::string& path, const std::string& name, const std::string& what) {
  safetensors::Bytes tensor = safetensors::read_tensor(path, name, what);
  std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
  std::vector<char> bytes(tensor.bytes.begin(), tensor.bytes.end());
  if (tensor.type == "F16" || tensor.type == "BF16") {
    return npy::from_sixteen_bits(std::move(shape), bytes, tensor.type == "BF16");
  }
  if (tensor.type != "F32" && tensor.type != "F64") {
    throw npy::Error("its elements are of type " + tensor.type + ", and must be of F32, F64, F16 or BF16");
  }
  return npy::Array{std::move(shape), tensor.type == "F32" ? std::size_t{4} : std::size_t{8}, std::move(bytes)};
}

npy::Array load_any(const std::string& value, const std::string& what) {
  constexpr std::string_view ending = ".safetensors";
  const std::size_t at = value.find(std::string(ending) + ":");
  if (at != std::string::npos)
    return load_tensor(value.substr(0, at + ending.size()), value.substr(at + ending.size() + 1), what);
  if (value.ends_with(ending)) return load_tensor(value, "", what);
  return npy::read_with_sixteen_bits(value);
}

}  // namespace

npy::Array load(const std::string& option, const std::string& value) {
  const std::string what = option + " " + value;
  try {
    npy::Array array = load_any(value, what);
    check_dimensions(array.shape);
    return array;
  } catch (const npy::Error& error) {
    refuse(what + ": " + error.what());
  }
}

}  // namespace program
