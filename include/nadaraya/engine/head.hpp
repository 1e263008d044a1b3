// One head as the passes read it.
#pragma once

#include "nadaraya/engine/once.hpp"
#include "nadaraya/engine/prepared_keys.hpp"
#include "nadaraya/engine/problem.hpp"
#include "nadaraya/engine/row_mask.hpp"
#include "nadaraya/engine/row_similarity.hpp"
#include "nadaraya/loops/blocks.hpp"
#include "nadaraya/screening.hpp"

#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// How many of the first keys stay candidates of some of a head's queries, on average: found out by whichever block comes
/// first, the same by each.
struct SampledOnce {
  Once sampling;
  double seen = 0;  ///< 0 if too few were to tell
  double kept = 0;
};

/// A problem whose query and keys are as the similarity compares them. Everything must outlive the passes.
template <class Scalar>
struct Head {
  HeadPolicies<Scalar> policies;
  View<Scalar> query;
  const PreparedKeys<Scalar>* keys = nullptr;
  std::span<const KeyIndex> order;  ///< the queries as the blocks take them; as they come if empty
  Scalar factor{1};                 ///< of a product, to make a similarity or a bound on one
  StreamStored<Scalar> stream_stored = nullptr;  ///< instead of stream_keys, if there is one
  SampledOnce* sampled = nullptr;                ///< null if it is screened without being sampled
  std::span<const Head> members{};  ///< the heads whose queries these are, one after the other (head_group.hpp); of one, none

  /// The rule of a query. `rule` is that of all as far as its traits go.
  const RowRule<Scalar>& rule_of(Index query_index) const {
    return members.empty() ? rule() : members[static_cast<std::size_t>(query_index / members.front().query.rows)].rule();
  }
  const RowRule<Scalar>& rule() const { return *policies.rule; }
  /// The mix of a query; null for the weighted mean.
  const RowMix<Scalar>* mix_of(Index query_index) const {
    return members.empty() ? policies.mix : members[static_cast<std::size_t>(query_index / members.front().query.rows)].policies.mix;
  }
  /// A query as it is counted in the head that it belongs to.
  Index own_query(Index query_index) const {
    return members.empty() ? query_index : query_index % members.front().query.rows;
  }
  const RowSimilarity<Scalar>& similarity() const { return *policies.similarity; }
  const RowMask<Scalar>& mask() const { return *policies.mask; }
  /// Rows that are stored in 16 bits are read through read_rows.hpp; of them these views have the shape alone.
  const View<Scalar>& key() const { return keys->key(); }
  const View<Scalar>& value() const { return keys->value(); }
  /// The values, with zero for NaN and infinity.
  const View<Scalar>& finite_value() const { return keys->finite_value().view(); }
  /// Keys whose value holds NaN or infinity.
  const std::vector<Index>& nonfinite_values() const { return keys->finite_value().replaced(); }

  Extent extent() const { return Extent{query.rows, key().rows}; }
  Index blocks() const { return block_count(query.rows); }
  /// The query that has a position in the order of the blocks.
  Index query_at(Index position) const { return order.empty() ? position : Index(order[static_cast<std::size_t>(position)]); }

  /// Are similarities formed by the product loop, or bounded by it?
  bool by_products() const { return vectorized<Scalar> && similarity().traits().bounded_by_product; }
  bool is_product() const { return vectorized<Scalar> && similarity().traits().is_product; }
  bool sees_nonfinite_value(Index query_index) const {
    return sees_any(mask(), query_index, nonfinite_values(), extent());
  }
};

/// The screening mode in effect: the requested one where floors are known that bounds on the similarity can be compared
/// with, and never elsewhere.
template <class Scalar>
Screening screening_of(const HeadPolicies<Scalar>& policies) {
  const bool possible = vectorized<Scalar> && policies.similarity->traits().is_product && !policies.mask->traits().biased &&
                        policies.rule->traits().sparse;
  return possible ? policies.screening : Screening::never;
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
