// All parameters of a model in one stretch of memory, each with a name, a shape and a place.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Where a parameter lies, and as which matrix it is read.
struct Slot {
  Index offset = 0;  ///< of the first number
  Index rows = 0;  ///< of the matrix
  Index cols = 0;  ///< of the matrix

  Index size() const { return rows * cols; }  ///< How many numbers.
};

/// The list of a model's parameters, in the order of their modules. Optimizer, checkpoint, clipping and
/// finite differences all walk it.
class Layout {
 public:
  /// A parameter of the list.
  struct Entry {
    std::string name;  ///< as in a checkpoint
    std::vector<Index> shape;  ///< as in a checkpoint
    Slot slot;  ///< where it lies
  };

  /// A parameter of a shape, read as a matrix with the given number of columns. Throws std::invalid_argument if a
  /// dimension is below 1, the size is beyond what memory can hold, or the name is taken.
  Slot add(std::string name, std::vector<Index> shape, Index cols) {
    // Bytes, of all parameters together, are counted in an Index too.
    const Index limit = (std::numeric_limits<Index>::max)() / 64 - size_;
    Index count = 1;
    for (const Index n : shape) {
      nadaraya::detail::require(n >= 1, "mosaic::Layout::add: ", name, " has a dimension of ", n);
      nadaraya::detail::require(n <= limit / count, "mosaic::Layout::add: ", name, " is too large");
      count *= n;
    }
    nadaraya::detail::require(find(name) == nullptr, "mosaic::Layout::add: there are two parameters ", name);
    const Slot slot{size_, count / cols, cols};
    entries_.push_back(Entry{std::move(name), std::move(shape), slot});
    size_ += count;
    return slot;
  }

  const std::vector<Entry>& entries() const { return entries_; }  ///< All parameters, in order.
  Index size() const { return size_; }  ///< How many numbers they have together.

  /// Null if there is none of that name.
  const Entry* find(const std::string& name) const {
    const auto at = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
    return at == entries_.end() ? nullptr : &*at;
  }

 private:
  std::vector<Entry> entries_;
  Index size_ = 0;
};

/// Parameters that form one work item, where each is one of its own.
inline constexpr Index numbers_at_once = 16384;

/// Numbers for a layout: parameters, their gradients, or an optimizer's moments. Zero at first.
template <class Scalar>
class Parameters {
 public:
  using Map = Eigen::Map<RowMatrix<Scalar>>;  ///< A parameter to write.
  using ConstMap = Eigen::Map<const RowMatrix<Scalar>>;  ///< A parameter to read.
  using Vector = Eigen::Map<Eigen::Array<Scalar, Eigen::Dynamic, 1>>;  ///< All parameters to write.
  using ConstVector = Eigen::Map<const Eigen::Array<Scalar, Eigen::Dynamic, 1>>;  ///< All parameters to read.

  Parameters() = default;
  /// Zeros for each parameter of the layout.
  explicit Parameters(const Layout& layout) : values_(static_cast<std::size_t>(layout.size()), Scalar(0)) {}

  /// A parameter as a matrix.
  Map operator[](const Slot& slot) { return Map(values_.data() + slot.offset, slot.rows, slot.cols); }
  /// A parameter as a matrix.
  ConstMap operator[](const Slot& slot) const { return ConstMap(values_.data() + slot.offset, slot.rows, slot.cols); }

  /// All of them.
  Vector vector() { return Vector(values_.data(), size()); }
  ConstVector vector() const { return ConstVector(values_.data(), size()); }  ///< All of them.
  Index size() const { return static_cast<Index>(values_.size()); }  ///< How many numbers.

  void set_zero() { std::fill(values_.begin(), values_.end(), Scalar(0)); }  ///< Sets every number to zero.

 private:
  std::vector<Scalar> values_;
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
