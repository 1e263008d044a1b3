// The arrays of attention: their files, their shapes, and whether they go together.
#pragma once

#include "npy.hpp"
#include "usage.hpp"

#include <nadaraya/types.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace program {

using nadaraya::Index;

/// Paths of the arrays, and the folder for the results.
struct ArrayPaths {
  std::string query, key, value, output_dir;
  std::optional<std::string> grad_output;
};

/// [batch, heads, rows, cols]; [rows, cols] is one head.
struct Shape {
  Index batch = 1, heads = 1, rows, cols;

  explicit Shape(const std::vector<std::size_t>& shape) {
    const std::size_t rank = shape.size();
    if (rank == 4) {
      batch = static_cast<Index>(shape[0]);
      heads = static_cast<Index>(shape[1]);
    }
    rows = static_cast<Index>(shape[rank - 2]);
    cols = static_cast<Index>(shape[rank - 1]);
  }
  explicit Shape(const npy::Array& array) : Shape(array.shape) {}
};

/// What an array is, without its elements.
struct ArrayKind {
  std::vector<std::size_t> shape;
  std::size_t item_size;

  ArrayKind(std::vector<std::size_t> its_shape, std::size_t size) : shape(std::move(its_shape)), item_size(size) {}
  ArrayKind(const npy::Array& array) : ArrayKind(array.shape, array.item_size) {}
};

inline std::string text(const std::vector<std::size_t>& shape) {
  std::string result = "[";
  for (std::size_t d = 0; d < shape.size(); ++d) result += (d == 0 ? "" : ", ") + std::to_string(shape[d]);
  return result + "]";
}

/// Throws npy::Error unless an array is [N, D] or [batch, heads, N, D].
inline void check_dimensions(const std::vector<std::size_t>& shape) {
  if (shape.size() == 2 || shape.size() == 4) return;
  throw npy::Error("it must be [N, D] or [batch, heads, N, D], and has " + std::to_string(shape.size()) +
                   (shape.size() == 1 ? " dimension" : " dimensions"));
}

/// Throws UsageError unless the arrays go together, the gradient of the output with them if there is one.
inline void check_shapes(const ArrayKind& query, const ArrayKind& key, const ArrayKind& value,
                         const std::optional<ArrayKind>& grad_output) {
  const auto mismatch = [](const std::string& what, const ArrayKind& a, const ArrayKind& b) {
    refuse(what + ": " + text(a.shape) + " and " + text(b.shape));
  };
  const auto same_kind = [&](const std::string& flag, const ArrayKind& other) {
    if (other.item_size != query.item_size) refuse("--query and " + flag + " must both be float32 or both float64");
    if (other.shape.size() != query.shape.size()) {
      mismatch("--query and " + flag + " must have the same number of dimensions", query, other);
    }
  };
  same_kind("--key", key);
  same_kind("--value", value);
  const Shape q(query.shape), k(key.shape), v(value.shape);
  if (q.batch != k.batch) mismatch("--query and --key must have the same batch size", query, key);
  if (q.cols != k.cols) mismatch("--query and --key must have the same last dimension", query, key);
  if (k.batch != v.batch || k.heads != v.heads || k.rows != v.rows) {
    mismatch("--key and --value must agree in all but the last dimension", key, value);
  }
  if (k.heads == 0 ? q.heads != 0 : q.heads % k.heads != 0) {
    mismatch("the heads of --query must be a multiple of those of --key", query, key);
  }
  if (!grad_output) return;
  same_kind("--grad-output", *grad_output);
  std::vector<std::size_t> out = query.shape;
  out.back() = value.shape.back();
  if (grad_output->shape != out) {
    refuse("--grad-output must have the shape of the output, " + text(out) + ", got " + text(grad_output->shape));
  }
}

}  // namespace program
