// The mix of a sharded operator: key rows travel with the candidates, and correct the weights of their row.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/correct_weights.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/loops/stored_rows.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"
#include "nadaraya/weighted_keys.hpp"

#include <cstddef>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// A fit needs the keys of a row's whole support. Rows are solved from all candidates, so their keys are gathered with them, and
/// the engine corrects the weights as it does on one machine. Of the weighted mean, nothing is gathered or corrected.
template <class Scalar>
class SupportMix {
 public:
  /// The shard must outlive it.
  explicit SupportMix(const Shard<Scalar>& shard) : shard_(shard) {}

  /// Is it another mix than the weighted mean?
  bool corrects() const { return shard_.policies.mix != nullptr; }
  /// How many numbers of a key travel.
  Index cols() const { return corrects() ? shard_.query->cols() : 0; }

  /// Makes ready the queries and this rank's keys as the similarity compares them: a mix fits in their space.
  void prepare() {
    if (!corrects()) return;
    query_ = shard_.policies.similarity->prepare(*shard_.query);
    prepared_key_ = shard_.policies.similarity->prepare(*shard_.key);
    key_ = shard_.cached != nullptr ? shard_.cached->stored_key() : engine::StoredRows<Scalar>(prepared_key_.view());
  }

  /// Appends a key, as this rank counts it.
  void add_key(KeyIndex j, Message& to) {
    if (corrects()) to.add(std::span(key_.read(j, 1, widened_).data, static_cast<std::size_t>(cols())));
  }

  /// Replaces the weights p of a query's row, whose keys are some of `rows`. A row that is empty, or NaN, stays.
  void correct(Index query, const engine::View<Scalar>& rows, std::span<const KeyIndex> keys, const RowNormalizer<Scalar>& map,
               RowOut<Scalar> p, engine::MixScratch<Scalar>& scratch) const {
    if (!corrects() || keys.empty() || nadaraya::detail::is_nan(map.mass)) return;
    engine::correct_support(*shard_.policies.mix, support(query_.view().row(query), rows, keys, p, scratch), p, scratch);
  }

  /// On the way back, for the row of a prepared query that has weights p, and g = dL/dc of the corrected weights c: p becomes c, g
  /// becomes dL/dp, and the scratch memory has the gradients at fixed weights (engine::pull_corrected_support). Returns dL/dridge.
  /// Only for a mix that corrects, and a row that is neither empty nor NaN.
  Scalar pull(const Scalar* query, const engine::View<Scalar>& rows, std::span<const KeyIndex> keys, RowOut<Scalar> p,
              RowOut<Scalar> g, engine::MixScratch<Scalar>& scratch) const {
    const WeightedKeys<Scalar> of = support(query, rows, keys, p, scratch);
    return engine::pull_corrected_support(*shard_.policies.mix, of, p, g, scratch);
  }

 private:
  /// The keys of a row that have weight.
  static WeightedKeys<Scalar> support(const Scalar* query, const engine::View<Scalar>& rows, std::span<const KeyIndex> keys,
                                      RowView<Scalar> p, engine::MixScratch<Scalar>& scratch) {
    engine::drop_weightless(keys, p, scratch);
    return {query, rows, engine::KeyList::listed(keys.data(), static_cast<Index>(keys.size())), p};
  }

  const Shard<Scalar>& shard_;
  Rows<Scalar> query_;
  Rows<Scalar> prepared_key_;
  engine::StoredRows<Scalar> key_;
  engine::LineVector<Scalar> widened_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
