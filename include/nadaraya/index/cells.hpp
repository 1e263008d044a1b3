// Cells of space, and the order of rows that follows from them.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/loops/packed.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Cubic cells of one size in up to three dimensions.
template <class Scalar>
class Cells {
 public:
  Cells() = default;

  /// `points` has 1 to 3 columns; `side` is positive and finite.
  Cells(const View<Scalar>& points, const Scalar& side) : dimension_(points.cols), inverse_side_(1.0 / double(side)) {
    // The origin is the median of a sample, which outliers do not move.
    const Index step = 1 + points.rows / 1024;
    std::vector<double> sample;
    for (Index d = 0; d < dimension_; ++d) {
      sample.clear();
      for (Index j = 0; j < points.rows; j += step) {
        if (detail::is_finite(points.row(j)[d])) sample.push_back(double(points.row(j)[d]));
      }
      if (sample.empty()) continue;
      const auto middle = sample.begin() + static_cast<std::ptrdiff_t>(sample.size() / 2);
      std::nth_element(sample.begin(), middle, sample.end());
      origin_[std::size_t(d)] = *middle;
    }
  }

  Index dimension() const { return dimension_; }

  bool finite(const Scalar* x) const {
    bool all = true;
    for (Index d = 0; d < dimension_; ++d) all = all && detail::is_finite(x[d]);
    return all;
  }

  /// Returns the cell of a coordinate of x, 0 beyond the last axis. Monotone in the coordinate, rounding included. The
  /// outermost cells are unbounded.
  std::int32_t of(Index axis, const Scalar* x) const {
    if (axis >= dimension_) return 0;
    constexpr double outermost = 1 << 30;
    const double at = (double(x[axis]) - origin_[std::size_t(axis)]) * inverse_side_;
    const double clamped = std::clamp(at, -outermost, outermost);
    // Rounds down without the library call of std::floor.
    const auto cell = static_cast<std::int32_t>(clamped);
    return cell - (double(cell) > clamped ? 1 : 0);
  }

 private:
  Index dimension_ = 0;
  double inverse_side_ = 0;
  std::array<double, 3> origin_{};
};

/// Returns the rows in Morton order (Morton 1966): by cells of a given size, the bits of whose coordinates are interleaved.
/// Consecutive rows are mostly close to each other; rows that are not finite come last.
template <class Scalar>
std::vector<KeyIndex> morton_order(const View<Scalar>& rows, const Scalar& side) {
  struct Position {
    std::uint64_t code;
    KeyIndex row;
    bool operator<(const Position& other) const { return code < other.code || (code == other.code && row < other.row); }
  };
  constexpr int bits = 20;
  const Cells<Scalar> cells(rows, side);
  std::vector<Position> positions(std::size_t(rows.rows));
  for (Index i = 0; i < rows.rows; ++i) {
    std::uint64_t code = ~std::uint64_t(0);
    if (cells.finite(rows.row(i))) {
      code = 0;
      for (Index d = 0; d < rows.cols; ++d) {
        constexpr std::int32_t half = 1 << (bits - 1);
        const auto cell = std::uint64_t(std::clamp(cells.of(d, rows.row(i)), -half, half - 1) + half);
        for (int bit = 0; bit < bits; ++bit) code |= (cell >> bit & 1) << (bit * int(rows.cols) + int(d));
      }
    }
    positions[std::size_t(i)] = Position{code, static_cast<KeyIndex>(i)};
  }
  std::sort(positions.begin(), positions.end());
  std::vector<KeyIndex> order(positions.size());
  std::transform(positions.begin(), positions.end(), order.begin(), [](const Position& position) { return position.row; });
  return order;
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
