// A mask as the engine calls it: it answers three questions about a query, so that the engine is compiled once for all
// masks.
#pragma once

#include "nadaraya/engine/parameter_sums.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// What the engine has to know of a mask to choose a way.
struct MaskTraits {
  bool holed = false;   ///< are there keys in a range that are not visible?
  bool biased = false;  ///< does it shift similarities?
};

/// See mask/mask.hpp for what its functions mean.
template <class Scalar>
class RowMask {
 public:
  explicit RowMask(const MaskTraits& traits) : traits_(traits) {}
  virtual ~RowMask() = default;

  const MaskTraits& traits() const { return traits_; }

  /// The keys outside which a query sees none.
  virtual KeyRange range(Index query, const Extent& n) const = 0;
  /// Bit j: is the key first + j, one of at most 64 in the query's range, visible?
  virtual std::uint64_t visible(Index query, Index first, Index count, const Extent& n) const = 0;
  /// Adds the bias to the similarities z[j] of a query with some keys of its range. A bias of -infinity hides a key: z
  /// becomes -infinity, also where it is NaN. Keys that are not visible are left alone.
  virtual void add_bias(Index query, const KeyList& keys, const Extent& n, Scalar* z) const = 0;

  /// Zero of the gradient of parameters of its own; null if it has none.
  virtual std::unique_ptr<OwnGradient> no_gradient() const = 0;
  /// Adds the part of a query and some keys to such a gradient, given dz[j] = dL/dz.
  virtual void pull_parameters(Index query, const KeyList& keys, const Extent& n, const Scalar* dz, OwnGradient& sum) const = 0;

  bool is_visible(Index query, Index key, const Extent& n) const { return !traits_.holed || visible(query, key, 1, n) != 0; }

 private:
  MaskTraits traits_;
};

/// Does a bias of -infinity hide a key of a query's range?
template <class Scalar>
bool biased_away(const RowMask<Scalar>& mask, Index query, Index key, const Extent& n) {
  if (!mask.traits().biased) return false;
  Scalar z(0);
  mask.add_bias(query, KeyList::range(key, key + 1), n, &z);
  return z == -Scalar(Eigen::NumTraits<Scalar>::infinity());
}

/// Does a query see one of these keys?
template <class Scalar>
bool sees_any(const RowMask<Scalar>& mask, Index query, const std::vector<Index>& keys, const Extent& n) {
  if (keys.empty()) return false;
  const KeyRange range = mask.range(query, n);
  for (const Index key : keys) {
    if (key < range.first || key >= range.last) continue;
    if (mask.is_visible(query, key, n) && !biased_away(mask, query, key, n)) return true;
  }
  return false;
}

/// Adds a mask's bias to similarities z[j - first] of a query with the keys [first, last).
template <class Scalar>
void add_bias(const RowMask<Scalar>& mask, Index query, const Extent& n, Index first, Index last, Scalar* z) {
  if (!mask.traits().biased) return;
  const KeyRange range = mask.range(query, n);
  const Index begin = std::clamp(range.first, first, last);
  const Index end = std::clamp(range.last, begin, last);
  mask.add_bias(query, KeyList::range(begin, end), n, z + (begin - first));
}

/// Overwrites the entries that a mask hides: x[j - first] for the keys [first, last), numbers that
/// follow from a similarity and are -infinity where it is. Returns how many are left.
template <class Scalar>
Index hide(const RowMask<Scalar>& mask, Index query, const Extent& n, Index first, Index last, const Scalar& hidden, Scalar* x) {
  const KeyRange range = mask.range(query, n);
  const Index begin = std::clamp(range.first, first, last);
  const Index end = std::clamp(range.last, begin, last);
  std::fill(x, x + (begin - first), hidden);
  std::fill(x + (end - first), x + (last - first), hidden);
  Index left = end - begin;
  if (!mask.traits().holed && !mask.traits().biased) return left;
  constexpr Index bits = 64;
  const Scalar none = -Scalar(Eigen::NumTraits<Scalar>::infinity());
  for (Index chunk = begin; chunk < end; chunk += bits) {
    const Index count = (std::min)(bits, end - chunk);
    const std::uint64_t visible = mask.traits().holed ? mask.visible(query, chunk, count, n) : ~std::uint64_t(0);
    for (Index j = 0; j < count; ++j) {
      Scalar& x_j = x[chunk + j - first];
      const bool biased =
          mask.traits().biased && (x_j == none || (detail::is_nan(x_j) && biased_away(mask, query, chunk + j, n)));
      if ((visible >> j & 1) != 0 && !biased) continue;
      x_j = hidden;
      --left;
    }
  }
  return left;
}

/// The smallest range that holds every key some consecutive queries see; empty if they see none.
template <class Scalar>
KeyRange range_of_all(const RowMask<Scalar>& mask, Index first_query, Index count, const Extent& n) {
  KeyRange all{n.keys, 0};
  for (Index i = first_query; i < first_query + count; ++i) {
    const KeyRange range = mask.range(i, n);
    if (range.first >= range.last) continue;
    all.first = (std::min)(all.first, range.first);
    all.last = (std::max)(all.last, range.last);
  }
  return all;
}

/// How long a query's range is, about: the mean over some of them.
template <class Scalar>
double mean_range(const RowMask<Scalar>& mask, const Extent& n) {
  constexpr Index sample = 64;
  const Index step = 1 + n.queries / sample;
  double total = 0, count = 0;
  for (Index i = 0; i < n.queries; i += step) {
    const KeyRange range = mask.range(i, n);
    total += static_cast<double>(range.last - range.first);
    ++count;
  }
  return count > 0 ? total / count : 0;
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
