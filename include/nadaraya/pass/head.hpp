// One head: the policies of a regression and the operands of its passes.
#pragma once

#include "nadaraya/engine/scores.hpp"
#include "nadaraya/mask/mask.hpp"
#include "nadaraya/row_rule.hpp"
#include "nadaraya/screening.hpp"
#include "nadaraya/simd/tier.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include <algorithm>
#include <span>
#include <vector>

namespace nadaraya {

/// The four choices that make an operator, and whether its keys are screened.
template <class K, class N, class S, class M>
struct Policies {
  K kernel;
  N normalization;
  S similarity;
  M mask;
  Screening screening = Screening::automatic;

  RowRule<K, N> rule() const { return RowRule<K, N>(kernel, normalization, distance_factor<S>()); }

  /// How far from a query, in so many dimensions, a key with weight may lie; +infinity if that is not
  /// known before any key is seen.
  template <class Scalar>
  Scalar reach([[maybe_unused]] Index dimension) const {
    if constexpr (engine::Gridded<Scalar, S, M>) {
      Row<Scalar> none;
      rule().refine(none);
      return similarity.reach(none.floor(), dimension);
    } else {
      return Scalar(Eigen::NumTraits<Scalar>::infinity());
    }
  }
};

namespace pass {

using engine::block_range;
using engine::QueryRange;
using engine::View;

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

/// Can whole panels of pairs be weighed at once, without a list of keys?
template <class Scalar, class K, class N, class S>
concept InPanels = Product<Scalar, S> && ElementwiseKernel<K> && !SelectingNormalization<N>;

/// Are floors known that bounds on the similarity can be compared with?
template <class Scalar, class K, class N, class S, class M>
concept Screenable = Product<Scalar, S> && !BiasMask<M> && RowRule<K, N>::sparse;

/// Is a sketch of the keys, if there is one, to be used?
template <class Scalar, class K, class N, class S, class M>
bool sketch_of(const Policies<K, N, S, M>& policies, bool sketched) {
  return Screenable<Scalar, K, N, S, M> && policies.screening != Screening::never && sketched;
}

/// Are the keys of a head to be screened?
template <class Scalar, class K, class N, class S, class M>
bool screens(const Policies<K, N, S, M>& policies, Index queries, Index keys, Index cols) {
  if constexpr (!Screenable<Scalar, K, N, S, M>) {
    static_cast<void>(policies), static_cast<void>(queries), static_cast<void>(keys);
    return false;
  } else {
    if (policies.screening == Screening::never || cols < 1 || cols > engine::most_sketch_cols) return false;
    if (policies.screening == Screening::always) return true;
    return simd::multiplies_bytes() && engine::worth_screening(queries, keys, cols);
  }
}

/// Does a query see one of these keys?
template <class M>
bool sees_any(const M& mask, Index query, const std::vector<Index>& keys, const Extent& n) {
  const KeyRange range = mask.range(query, n);
  return std::any_of(keys.begin(), keys.end(), [&](Index key) {
    return key >= range.first && key < range.last && is_visible(mask, query, key, n);
  });
}

/// Adds a mask's bias to similarities z[j - first] of a query with the keys [first, last).
template <class Scalar, class M>
void add_bias(const M& mask, Index query, const Extent& n, Index first, Index last, Scalar* z) {
  if constexpr (BiasMask<M>) {
    const KeyRange range = mask.range(query, n);
    for (Index j = (std::max)(first, range.first); j < (std::min)(last, range.last); ++j) {
      if (is_visible(mask, query, j, n)) z[j - first] += Scalar(mask.bias(query, j, n));
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
      if (is_visible(mask, query, j, n) && !(BiasMask<M> && x[j - first] == none)) continue;
      x[j - first] = hidden;
      --left;
    }
  }
  return left;
}

}  // namespace pass

}  // namespace nadaraya
