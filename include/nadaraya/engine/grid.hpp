// Points in up to three dimensions, arranged so that those near a query are found without looking at
// the others.
#pragma once

#include "nadaraya/engine/buffer.hpp"
#include "nadaraya/engine/packed.hpp"
#include "nadaraya/engine/tiers.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

namespace nadaraya::engine {

/// The keys near a query and their places in the grid; and room to sort them.
struct NearKeys {
  std::vector<KeyIndex> keys;
  std::vector<KeyIndex> places;
  std::vector<KeyIndex> ranks;
  std::vector<std::uint64_t> bits;
  std::vector<KeyIndex> before;

  /// Room for n keys, and a vector.
  void reserve(Index n) {
    const std::size_t room = std::size_t(n) + pack_slack;
    if (keys.size() >= room) return;
    for (auto* list : {&keys, &places, &ranks}) list->resize(2 * room);
  }
};

/// Numbers names through, in the order in which they come: a hash table with open addresses.
class Numbering {
 public:
  /// The number of a name, -1 if it has none.
  KeyIndex find(std::uint64_t name) const { return slots_[place(name)].number; }

  /// The number of a name, which it is given now if it has none.
  KeyIndex number(std::uint64_t name) {
    std::size_t at = place(name);
    if (slots_[at].number < 0) {
      if (2 * (std::size_t(count_) + 1) > slots_.size()) {
        grow();
        at = place(name);
      }
      slots_[at] = Slot{name, count_++};
    }
    return slots_[at].number;
  }

  KeyIndex size() const { return count_; }

  /// Gives every number i the new one to[i].
  void renumber(const std::vector<KeyIndex>& to) {
    for (Slot& slot : slots_) {
      if (slot.number >= 0) slot.number = to[std::size_t(slot.number)];
    }
  }

 private:
  struct Slot {
    std::uint64_t name = 0;
    KeyIndex number = -1;
  };

  /// Where a name is, or would be.
  std::size_t place(std::uint64_t name) const {
    const std::size_t mask = slots_.size() - 1;
    const std::uint64_t mixed = (name ^ (name >> 32)) * 0x9e3779b97f4a7c15u;
    std::size_t at = std::size_t(mixed >> 32) & mask;
    while (slots_[at].number >= 0 && slots_[at].name != name) at = (at + 1) & mask;
    return at;
  }

  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.number >= 0) slots_[place(slot.name)] = slot;
    }
  }

  std::vector<Slot> slots_ = std::vector<Slot>(64);
  KeyIndex count_ = 0;
};

/// Cells of one size in up to three dimensions.
template <class Scalar>
class Cells {
 public:
  Cells() = default;

  /// `points` has 1 to 3 columns; `side` is positive and finite.
  Cells(const View<Scalar>& points, const Scalar& side) : dimension_(points.cols), inverse_side_(1.0 / double(side)) {
    // Counted from the median of some points, so that outliers have no say in it.
    const Index step = 1 + points.rows / 1024;
    std::vector<double> sample;
    for (Index d = 0; d < dimension_; ++d) {
      sample.clear();
      for (Index j = 0; j < points.rows; j += step) {
        if (std::isfinite(points.row(j)[d])) sample.push_back(double(points.row(j)[d]));
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
    for (Index d = 0; d < dimension_; ++d) all = all && std::isfinite(x[d]);
    return all;
  }

  /// The cell of a coordinate of x, 0 for an axis there is not. Never falls while the coordinate rises,
  /// whatever is rounded. The outermost cells hold all that is beyond.
  std::int32_t of(Index axis, const Scalar* x) const {
    if (axis >= dimension_) return 0;
    constexpr double outermost = 1 << 30;
    const double at = (double(x[axis]) - origin_[std::size_t(axis)]) * inverse_side_;
    const double clamped = std::clamp(at, -outermost, outermost);
    // Rounded down, which std::floor does by a call.
    const auto cell = static_cast<std::int32_t>(clamped);
    return cell - (double(cell) > clamped ? 1 : 0);
  }

 private:
  Index dimension_ = 0;
  double inverse_side_ = 0;
  std::array<double, 3> origin_{};
};

/// Points in strips: those that share a cell in every axis but the first, in the order of their first
/// coordinate; strips in the order of the last axis, then the second. There are no strips without
/// points: neither far outliers nor tiny cells cost memory. O(N log N).
template <class Scalar>
class Strips {
 public:
  struct Entry {
    Scalar first;  ///< coordinate
    KeyIndex point;
    bool operator<(const Entry& other) const {
      return first < other.first || (first == other.first && point < other.point);
    }
  };

  Strips() = default;

  /// `points` has 1 to 3 columns; cells have the size `side`, positive and finite.
  Strips(const View<Scalar>& points, const Scalar& side) : cells_(points, side) {
    std::vector<KeyIndex> strip_of(static_cast<std::size_t>(points.rows), -1);
    std::vector<Name> places;
    std::vector<KeyIndex> sizes;
    for (Index j = 0; j < points.rows; ++j) {
      const Scalar* x = points.row(j);
      if (!cells_.finite(x)) {
        not_finite_.push_back(static_cast<KeyIndex>(j));
        continue;
      }
      const Name place{cells_.of(1, x), cells_.of(2, x)};
      const KeyIndex strip = numbers_.number(place.bits());
      if (std::size_t(strip) == places.size()) {
        places.push_back(place);
        sizes.push_back(0);
      }
      ++sizes[std::size_t(strip)];
      strip_of[std::size_t(j)] = strip;
    }

    std::vector<KeyIndex> order(places.size());
    std::iota(order.begin(), order.end(), KeyIndex(0));
    std::sort(order.begin(), order.end(), [&](KeyIndex a, KeyIndex b) {
      const Name &left = places[std::size_t(a)], &right = places[std::size_t(b)];
      return left.third < right.third || (left.third == right.third && left.second < right.second);
    });
    std::vector<KeyIndex> number(places.size());
    std::vector<KeyIndex> begins(1, 0);
    for (const KeyIndex strip : order) {
      number[std::size_t(strip)] = static_cast<KeyIndex>(begins.size() - 1);
      begins.push_back(begins.back() + sizes[std::size_t(strip)]);
    }
    numbers_.renumber(number);

    entries_.resize(std::size_t(begins.back()));
    std::vector<KeyIndex> next(begins);
    for (Index j = 0; j < points.rows; ++j) {
      const KeyIndex strip = strip_of[std::size_t(j)];
      if (strip < 0) continue;
      KeyIndex& place = next[std::size_t(number[std::size_t(strip)])];
      entries_[std::size_t(place++)] = Entry{points.row(j)[0], static_cast<KeyIndex>(j)};
    }
    for (std::size_t s = 0; s + 1 < begins.size(); ++s) {
      std::sort(entries_.begin() + begins[s], entries_.begin() + begins[s + 1]);
      cut_into_buckets(begins[s], begins[s + 1]);
    }
  }

  const Cells<Scalar>& cells() const { return cells_; }

  /// The points, strip after strip.
  const std::vector<Entry>& entries() const { return entries_; }
  void drop_entries() { std::vector<Entry>().swap(entries_); }

  /// The points that are not finite, ascending: they are in no strip.
  const std::vector<KeyIndex>& not_finite() const { return not_finite_; }

  /// Places [first, last) of the entries that hold every point of a strip with low <= first coordinate
  /// <= high, and some more; none if there is no such strip.
  std::pair<Index, Index> find(std::int32_t second, std::int32_t third, const Scalar& low, const Scalar& high) const {
    const KeyIndex number = numbers_.find(Name{second, third}.bits());
    if (number < 0) return {0, 0};
    const Strip& strip = strips_[std::size_t(number)];
    if (high < strip.least || low > strip.most) return {0, 0};
    const KeyIndex* begins = bucket_begins_.data() + strip.buckets_begin;
    return {begins[strip.bucket(low)], begins[strip.bucket(high) + 1]};
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
  struct Strip {
    Scalar least;
    Scalar most;
    double buckets_per_unit;
    KeyIndex buckets;
    Index buckets_begin;  ///< in bucket_begins_

    /// Never falls while x, which may be infinite, rises. 0 for all if the buckets have no width.
    KeyIndex bucket(const Scalar& x) const {
      const double at = (double(x) - double(least)) * buckets_per_unit;
      return at > 0 ? static_cast<KeyIndex>((std::min)(at, double(buckets - 1))) : 0;
    }
  };

  /// Makes a strip of sorted entries.
  void cut_into_buckets(KeyIndex begin, KeyIndex end) {
    constexpr KeyIndex points_per_bucket = 4;
    Strip strip{entries_[std::size_t(begin)].first, entries_[std::size_t(end) - 1].first, 0,
                1 + (end - begin) / points_per_bucket, static_cast<Index>(bucket_begins_.size())};
    const double width = double(strip.most) - double(strip.least);
    if (width > 0 && width < (std::numeric_limits<double>::max)()) strip.buckets_per_unit = strip.buckets / width;
    if (!std::isfinite(strip.buckets_per_unit)) strip.buckets_per_unit = 0;
    for (KeyIndex i = begin, bucket = 0; bucket <= strip.buckets; ++bucket) {
      while (i < end && strip.bucket(entries_[std::size_t(i)].first) < bucket) ++i;
      bucket_begins_.push_back(i);
    }
    bucket_begins_.back() = end;
    strips_.push_back(strip);
  }

  Cells<Scalar> cells_;
  Numbering numbers_;
  std::vector<Strip> strips_;
  std::vector<KeyIndex> bucket_begins_;  ///< for each strip those of its buckets, and its end
  std::vector<Entry> entries_;
  std::vector<KeyIndex> not_finite_;
};

/// Rows in an order in which those that follow each other are mostly near each other: by their cells of a
/// given size, the bits of whose coordinates are interleaved (Morton 1966).
template <class Scalar>
std::vector<KeyIndex> order_by_place(const View<Scalar>& rows, const Scalar& side) {
  struct Place {
    std::uint64_t code;
    KeyIndex row;
    bool operator<(const Place& other) const { return code < other.code || (code == other.code && row < other.row); }
  };
  constexpr int bits = 20;
  const Cells<Scalar> cells(rows, side);
  std::vector<Place> places(std::size_t(rows.rows));
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
    places[std::size_t(i)] = Place{code, static_cast<KeyIndex>(i)};
  }
  std::sort(places.begin(), places.end());
  std::vector<KeyIndex> order(places.size());
  std::transform(places.begin(), places.end(), order.begin(), [](const Place& place) { return place.row; });
  return order;
}

/// Points that are found by place. A query looks at the strips within its reach, and in each at one run
/// of points, found by bisection. Memory: D + 1 numbers for each point.
template <class Scalar>
class Grid {
 public:
  static constexpr Index max_dimension = 3;

  Grid() = default;

  /// For queries that look about as far as `reach`, positive and finite. `points` has 1 to 3 columns.
  Grid(const View<Scalar>& points, const Scalar& reach) : strips_(points, reach), keys_(strips_.entries().size() + pack_slack) {
    const auto& entries = strips_.entries();
    for (std::size_t d = 0; d < std::size_t(points.cols); ++d) axes_[d].resize(entries.size() + pack_slack);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      keys_.data()[i] = entries[i].point;
      const Scalar* x = points.row(entries[i].point);
      for (std::size_t d = 0; d < std::size_t(points.cols); ++d) axes_[d].data()[i] = x[d];
    }
    strips_.drop_entries();
  }

  bool empty() const { return keys_.empty(); }

  /// The points that near() does not find, ascending: those that are not finite.
  const std::vector<KeyIndex>& not_finite() const { return strips_.not_finite(); }
  bool finite(const Scalar* x) const { return strips_.cells().finite(x); }

  /// Finds every finite point at a distance of at most `reach` from q, which is finite, and perhaps some
  /// that are farther by a rounding; in no order. Returns how many were written.
  Index around(const Scalar* q, const Scalar& reach, NearKeys& found) const {
    switch (strips_.cells().dimension()) {
      case 1:
        return near_in<1>(q, reach, found);
      case 2:
        return near_in<2>(q, reach, found);
      default:
        return near_in<3>(q, reach, found);
    }
  }

  /// The coordinates of the point at a place.
  void copy_point(KeyIndex place, Scalar* x) const {
    for (std::size_t d = 0; d < std::size_t(strips_.cells().dimension()); ++d) x[d] = axes_[d].data()[place];
  }

 private:
  /// At most x - reach.
  static Scalar below(const Scalar& x, const Scalar& reach) {
    const Scalar at = x - reach;
    return at - std::abs(at) * Eigen::NumTraits<Scalar>::epsilon();
  }

  /// The first of the places [begin, end) of a strip that is not before(its first coordinate), or end.
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
  Index near_in(const Scalar* q, const Scalar& reach, NearKeys& found) const {
    // Squared distances are compared as they come from the loop, off by a few roundings.
    const Scalar bound = reach * reach * (Scalar(1) + Scalar(16) * Eigen::NumTraits<Scalar>::epsilon());
    Scalar low[3] = {}, high[3] = {};
    for (int d = 0; d < Dimension; ++d) {
      low[d] = below(q[d], reach);
      high[d] = -below(-q[d], reach);
    }
    const Cells<Scalar>& cells = strips_.cells();
    const std::int32_t last_second = cells.of(1, high), last_third = cells.of(2, high);
    Index count = 0;
    for (std::int32_t third = cells.of(2, low); third <= last_third; ++third) {
      for (std::int32_t second = cells.of(1, low); second <= last_second; ++second) {
        const auto places = strips_.find(second, third, low[0], high[0]);
        Index begin = places.first, end = places.second;
        // Where buckets are too wide, for an outlier in the strip, they are cut shorter.
        constexpr Index long_run = 256;
        if (end - begin > long_run) {
          begin = bisect(begin, end, [&](Scalar x) { return x < low[0]; });
          end = bisect(begin, end, [&](Scalar x) { return x <= high[0]; });
        }
        if (begin == end) continue;
        found.reserve(count + end - begin);
        const Scalar* axes[Dimension];
        for (std::size_t d = 0; d < std::size_t(Dimension); ++d) axes[d] = axes_[d].data() + begin;
        const Index run = end - begin;
        const auto first = static_cast<KeyIndex>(begin);
        count += with_loops<Scalar>([&](auto loops) {
          return loops.template within<Dimension>(axes, keys_.data() + begin, first, run, q, bound,
                                                  found.keys.data() + count, found.places.data() + count);
        });
      }
    }
    return count;
  }

  Strips<Scalar> strips_;
  LineVector<KeyIndex> keys_;
  std::array<LineVector<Scalar>, 3> axes_;  ///< of the keys' points
};

}  // namespace nadaraya::engine
