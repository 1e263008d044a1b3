// A spatial index of points in up to three dimensions.
#pragma once

#include "nadaraya/index/cell_lines.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/packed.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// The keys near a query and their positions in the grid; and room to sort them.
struct NearKeys {
  std::vector<KeyIndex> keys;
  std::vector<KeyIndex> positions;
  std::vector<KeyIndex> ranks;
  std::vector<std::uint64_t> bits;
  std::vector<KeyIndex> before;

  /// Room for n keys, and a vector.
  void reserve(Index n) {
    const std::size_t room = std::size_t(n) + pack_slack;
    if (keys.size() >= room) return;
    for (auto* list : {&keys, &positions, &ranks}) list->resize(2 * room);
  }
};

/// A spatial index of points. A query scans the lines of cells within its radius, in each one run of points found by
/// bisection. Memory: D + 1 numbers per point.
template <class Scalar>
class Grid {
 public:
  static constexpr Index max_dimension = 3;

  Grid() = default;

  /// For queries that look about as far as `radius`, positive and finite. `points` has 1 to 3 columns.
  Grid(const View<Scalar>& points, const Scalar& radius) : lines_(points, radius), keys_(lines_.entries().size() + pack_slack) {
    const auto& entries = lines_.entries();
    for (std::size_t d = 0; d < std::size_t(points.cols); ++d) axes_[d].resize(entries.size() + pack_slack);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      keys_.data()[i] = entries[i].point;
      const Scalar* x = points.row(entries[i].point);
      for (std::size_t d = 0; d < std::size_t(points.cols); ++d) axes_[d].data()[i] = x[d];
    }
    lines_.drop_entries();
  }

  bool empty() const { return keys_.empty(); }

  /// The points that near() does not find, ascending: those that are not finite.
  const std::vector<KeyIndex>& not_finite() const { return lines_.not_finite(); }
  bool finite(const Scalar* x) const { return lines_.cells().finite(x); }

  /// Finds every finite point at a distance of at most `radius` from q, which is finite, and perhaps some
  /// that are farther by a rounding; in no order. Returns how many were written.
  Index around(const Scalar* q, const Scalar& radius, NearKeys& found) const {
    switch (lines_.cells().dimension()) {
      case 1:
        return near_in<1>(q, radius, found);
      case 2:
        return near_in<2>(q, radius, found);
      default:
        return near_in<3>(q, radius, found);
    }
  }

  /// The coordinates of the point at a position.
  void copy_point(KeyIndex position, Scalar* x) const {
    for (std::size_t d = 0; d < std::size_t(lines_.cells().dimension()); ++d) x[d] = axes_[d].data()[position];
  }

 private:
  /// At most x - radius.
  static Scalar below(const Scalar& x, const Scalar& radius) {
    const Scalar at = x - radius;
    return at - std::abs(at) * Eigen::NumTraits<Scalar>::epsilon();
  }

  /// The first of the positions [begin, end) of a line that is not before(its first coordinate), or end.
  template <class Before>
  Index bisect(Index begin, Index end, const Before& before) const {
    const Scalar* x = axes_[0].data();
    while (begin < end) {
      const Index middle = begin + (end - begin) / 2;
      if (before(x[middle])) {
        begin = middle + 1;
      } else {
        end = middle;
      }
    }
    return begin;
  }

  template <int Dimension>
  Index near_in(const Scalar* q, const Scalar& radius, NearKeys& found) const {
    // Squared distances are compared as they come from the loop, off by a few roundings.
    const Scalar bound = radius * radius * (Scalar(1) + Scalar(16) * Eigen::NumTraits<Scalar>::epsilon());
    Scalar low[3] = {}, high[3] = {};
    for (int d = 0; d < Dimension; ++d) {
      low[d] = below(q[d], radius);
      high[d] = -below(-q[d], radius);
    }
    const Cells<Scalar>& cells = lines_.cells();
    const std::int32_t last_second = cells.of(1, high), last_third = cells.of(2, high);
    Index count = 0;
    for (std::int32_t third = cells.of(2, low); third <= last_third; ++third) {
      for (std::int32_t second = cells.of(1, low); second <= last_second; ++second) {
        const auto positions = lines_.find(second, third, low[0], high[0]);
        Index begin = positions.first, end = positions.second;
        // Where buckets are too wide, for an outlier in the line, they are cut shorter.
        constexpr Index long_run = 256;
        if (end - begin > long_run) {
          begin = bisect(begin, end, [&](Scalar x) { return x < low[0]; });
          end = bisect(begin, end, [&](Scalar x) { return x <= high[0]; });
        }
        if (begin == end) continue;
        found.reserve(count + end - begin);
        const Scalar* axes[Dimension];
        for (std::size_t d = 0; d < std::size_t(Dimension); ++d) axes[d] = axes_[d].data() + begin;
        const auto& points = loops<Scalar, GridLoops>();
        count += points.within(Dimension, axes, keys_.data() + begin, static_cast<KeyIndex>(begin), end - begin, q, bound,
                               found.keys.data() + count, found.positions.data() + count);
      }
    }
    return count;
  }

  CellLines<Scalar> lines_;
  LineVector<KeyIndex> keys_;
  std::array<LineVector<Scalar>, 3> axes_;  ///< of the keys' points
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
