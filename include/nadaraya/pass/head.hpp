// One head: the policies and the operands of its passes.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/scores.hpp"
#include "nadaraya/mask/mask.hpp"
#include "nadaraya/screening.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include <algorithm>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::pass {

using engine::block_range;
using engine::QueryRange;
using engine::View;

/// The choices that make the operator of a head, the rule among them as a pass sees it; not owned.
template <class Rule, class S, class M>
struct Policies {
  const Rule* rule;
  const S* similarity;
  const M* mask;
  Screening screening;
};

/// What the passes read. Query and key are as the similarity compares them; everything must outlive
/// the passes.
template <class Scalar, class S>
struct Head {
  View<Scalar> query;
  View<Scalar> key;
  View<Scalar> value;
  const engine::FiniteRows<Scalar>* finite_value = nullptr;
  const engine::ScoredKeys<Scalar, S>* scored = nullptr;
  std::span<const KeyIndex> order;  ///< the queries as the blocks take them; as they come if empty

  Extent extent() const { return Extent{query.rows, key.rows}; }
  Index blocks() const { return engine::block_count(query.rows); }
};

/// Is the similarity a multiple of the dot product, and the scalar one that the product loop takes?
template <class Scalar, class S>
concept Product = engine::vectorized<Scalar> && ProductSimilarity<S> && requires { requires S::is_product; };

/// The screening mode in effect: the requested one where floors are known that bounds on the similarity can be compared
/// with, and never elsewhere.
template <class Scalar, class Rule, class S, class M>
Screening screening_of(const Policies<Rule, S, M>& policies) {
  return Product<Scalar, S> && !BiasMask<M> && policies.rule->traits().sparse ? policies.screening : Screening::never;
}

/// Does a bias of -infinity hide a key?
template <class Scalar, class M>
bool biased_away([[maybe_unused]] const M& mask, [[maybe_unused]] Index query, [[maybe_unused]] Index key,
                 [[maybe_unused]] const Extent& n) {
  if constexpr (BiasMask<M>) {
    return Scalar(mask.bias(query, key, n)) == -Scalar(Eigen::NumTraits<Scalar>::infinity());
  } else {
    return false;
  }
}

/// Does a query see one of these keys?
template <class Scalar, class M>
bool sees_any(const M& mask, Index query, const std::vector<Index>& keys, const Extent& n) {
  const KeyRange range = mask.range(query, n);
  return std::any_of(keys.begin(), keys.end(), [&](Index key) {
    return key >= range.first && key < range.last && is_visible(mask, query, key, n) && !biased_away<Scalar>(mask, query, key, n);
  });
}

/// Adds a mask's bias to similarities z[j - first] of a query with the keys [first, last).
template <class Scalar, class M>
void add_bias(const M& mask, Index query, const Extent& n, Index first, Index last, Scalar* z) {
  if constexpr (BiasMask<M>) {
    const KeyRange range = mask.range(query, n);
    for (Index j = (std::max)(first, range.first); j < (std::min)(last, range.last); ++j) {
      if (!is_visible(mask, query, j, n)) continue;
      const Scalar bias = Scalar(mask.bias(query, j, n));
      // Hidden, also where the similarity is NaN.
      z[j - first] = bias == -Scalar(Eigen::NumTraits<Scalar>::infinity()) ? bias : z[j - first] + bias;
    }
  } else {
    static_cast<void>(mask), static_cast<void>(query), static_cast<void>(n);
    static_cast<void>(first), static_cast<void>(last), static_cast<void>(z);
  }
}

/// Overwrites the entries that a mask hides: x[j - first] for the keys [first, last), numbers that
/// follow from a similarity and are -infinity where it is. Returns how many are left.
template <class Scalar, class M>
Index hide(const M& mask, Index query, const Extent& n, Index first, Index last, const Scalar& hidden, Scalar* x) {
  const KeyRange range = mask.range(query, n);
  const Index begin = std::clamp(range.first, first, last);
  const Index end = std::clamp(range.last, begin, last);
  std::fill(x, x + (begin - first), hidden);
  std::fill(x + (end - first), x + (last - first), hidden);
  Index left = end - begin;
  if constexpr (HoledMask<M> || BiasMask<M>) {
    const Scalar none = -Scalar(Eigen::NumTraits<Scalar>::infinity());
    for (Index j = begin; j < end; ++j) {
      const Scalar& x_j = x[j - first];
      const bool biased = BiasMask<M> && (x_j == none || (detail::is_nan(x_j) && biased_away<Scalar>(mask, query, j, n)));
      if (is_visible(mask, query, j, n) && !biased) continue;
      x[j - first] = hidden;
      --left;
    }
  }
  return left;
}

}  // namespace nadaraya::pass

#include "nadaraya/detail/end_precise.hpp"
