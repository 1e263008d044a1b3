// Points sorted into lines of cells.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/index/cells.hpp"
#include "nadaraya/index/hash_index.hpp"
#include "nadaraya/loops/packed.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Points by lines of cells along the first axis. A line holds the points that share a cell in every other axis, ordered by
/// their first coordinate; lines are ordered by the last axis, then the second. Empty lines are not stored, so neither far
/// outliers nor tiny cells cost memory. Construction: O(N log N).
template <class Scalar>
class CellLines {
 public:
  struct Entry {
    Scalar first;  ///< coordinate
    KeyIndex point;
    bool operator<(const Entry& other) const {
      return first < other.first || (first == other.first && point < other.point);
    }
  };

  CellLines() = default;

  /// `points` has 1 to 3 columns; cells have the size `side`, positive and finite.
  CellLines(const View<Scalar>& points, const Scalar& side) : cells_(points, side), index_(64) {
    std::vector<KeyIndex> line_of(static_cast<std::size_t>(points.rows), -1);
    std::vector<Name> names;
    std::vector<KeyIndex> sizes;
    for (Index j = 0; j < points.rows; ++j) {
      const Scalar* x = points.row(j);
      if (!cells_.finite(x)) {
        not_finite_.push_back(static_cast<KeyIndex>(j));
        continue;
      }
      const Name name{cells_.of(1, x), cells_.of(2, x)};
      const KeyIndex line = index_.insert(name.bits());
      if (std::size_t(line) == names.size()) {
        names.push_back(name);
        sizes.push_back(0);
      }
      ++sizes[std::size_t(line)];
      line_of[std::size_t(j)] = line;
    }

    std::vector<KeyIndex> order(names.size());
    std::iota(order.begin(), order.end(), KeyIndex(0));
    std::sort(order.begin(), order.end(), [&](KeyIndex a, KeyIndex b) {
      const Name &left = names[std::size_t(a)], &right = names[std::size_t(b)];
      return left.third < right.third || (left.third == right.third && left.second < right.second);
    });
    std::vector<KeyIndex> number(names.size());
    std::vector<KeyIndex> begins(1, 0);
    for (const KeyIndex line : order) {
      number[std::size_t(line)] = static_cast<KeyIndex>(begins.size() - 1);
      begins.push_back(begins.back() + sizes[std::size_t(line)]);
    }
    index_.renumber(number);

    entries_.resize(std::size_t(begins.back()));
    std::vector<KeyIndex> next(begins);
    for (Index j = 0; j < points.rows; ++j) {
      const KeyIndex line = line_of[std::size_t(j)];
      if (line < 0) continue;
      KeyIndex& position = next[std::size_t(number[std::size_t(line)])];
      entries_[std::size_t(position++)] = Entry{points.row(j)[0], static_cast<KeyIndex>(j)};
    }
    for (std::size_t s = 0; s + 1 < begins.size(); ++s) {
      std::sort(entries_.begin() + begins[s], entries_.begin() + begins[s + 1]);
      cut_into_buckets(begins[s], begins[s + 1]);
    }
  }

  const Cells<Scalar>& cells() const { return cells_; }

  /// The points in the order of the lines.
  const std::vector<Entry>& entries() const { return entries_; }
  void drop_entries() { std::vector<Entry>().swap(entries_); }

  /// The non-finite points, ascending. They are in no line.
  const std::vector<KeyIndex>& not_finite() const { return not_finite_; }

  /// Returns a range [first, last) of entries that holds every point of a line with low <= first coordinate <= high, and
  /// perhaps more; an empty range if the line has no points.
  std::pair<Index, Index> find(std::int32_t second, std::int32_t third, const Scalar& low, const Scalar& high) const {
    const KeyIndex number = index_.find(Name{second, third}.bits());
    if (number < 0) return {0, 0};
    const Line& line = lines_[std::size_t(number)];
    if (high < line.least || low > line.most) return {0, 0};
    const KeyIndex* begins = bucket_begins_.data() + line.buckets_begin;
    return {begins[line.bucket(low)], begins[line.bucket(high) + 1]};
  }

 private:
  /// The cells of the second and the third axis.
  struct Name {
    std::int32_t second;
    std::int32_t third;
    std::uint64_t bits() const {
      return std::uint64_t(std::uint32_t(second)) | std::uint64_t(std::uint32_t(third)) << 32;
    }
  };

  /// Its first coordinates are cut into equal buckets.
  struct Line {
    Scalar least;
    Scalar most;
    double buckets_per_unit;
    KeyIndex buckets;
    Index buckets_begin;  ///< in bucket_begins_

    /// Monotone in x, which may be infinite. 0 for all if the buckets have no width.
    KeyIndex bucket(const Scalar& x) const {
      const double at = (double(x) - double(least)) * buckets_per_unit;
      return at > 0 ? static_cast<KeyIndex>((std::min)(at, double(buckets - 1))) : 0;
    }
  };

  /// Makes a line of sorted entries.
  void cut_into_buckets(KeyIndex begin, KeyIndex end) {
    constexpr KeyIndex points_per_bucket = 4;
    Line line{entries_[std::size_t(begin)].first, entries_[std::size_t(end) - 1].first, 0,
                1 + (end - begin) / points_per_bucket, static_cast<Index>(bucket_begins_.size())};
    const double width = double(line.most) - double(line.least);
    if (width > 0 && width < (std::numeric_limits<double>::max)()) line.buckets_per_unit = line.buckets / width;
    if (!detail::is_finite(line.buckets_per_unit)) line.buckets_per_unit = 0;
    for (KeyIndex i = begin, bucket = 0; bucket <= line.buckets; ++bucket) {
      while (i < end && line.bucket(entries_[std::size_t(i)].first) < bucket) ++i;
      bucket_begins_.push_back(i);
    }
    bucket_begins_.back() = end;
    lines_.push_back(line);
  }

  Cells<Scalar> cells_;
  HashIndex index_;
  std::vector<Line> lines_;
  std::vector<KeyIndex> bucket_begins_;  ///< for each line those of its buckets, and its end
  std::vector<Entry> entries_;
  std::vector<KeyIndex> not_finite_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
