// Rows in which every key has weight, as under a Gaussian kernel: what both passes know of them.
#pragma once

#include "nadaraya/engine/cost.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Memory of DenseRows.
template <class Scalar>
struct DenseScratch {
  CandidateRow<Scalar> lone;
  engine::LineVector<Scalar> p;
};

/// The cost of `rows` rows, each of which reads `numbers` numbers of every key of this rank.
template <class Scalar>
Cost dense_cost(const Shard<Scalar>& shard, Index rows, Index numbers) {
  using Model = engine::CostModel<Scalar>;
  const double pairs = static_cast<double>(shard.keys()) * static_cast<double>(rows);
  return Cost{Model::scalar * pairs * (8 + Model::fetched * static_cast<double>(numbers))};
}

/// The rule of rows under an exponential kernel: their map follows from the largest similarity, but for the sum of weights.
template <class Scalar>
class DenseRows {
 public:
  /// Both must outlive it; one thread uses the memory.
  DenseRows(const Shard<Scalar>& shard, DenseScratch<Scalar>& scratch) : shard_(shard), lone_(scratch.lone), p_(scratch.p) {}

  /// The map of a row, given its largest similarity: its mass is 1 if weights are divided by their sum.
  RowNormalizer<Scalar> map_of(const Scalar& z_max) {
    lone_.clear();
    lone_.push(0, z_max);
    RowNormalizer<Scalar> map;
    shard_.policies.rule->solve({&lone_, 1}, {&map, 1});
    if (shard_.numbers.divides_by_sum) map.mass = Scalar(1);
    return map;
  }

  /// From similarities to coordinates, in place, and weights kappa(t) / mass.
  RowView<Scalar> weigh(const RowNormalizer<Scalar>& map, CandidateRow<Scalar>& row) {
    engine::loops<Scalar>().coordinates(map, row.value_data(), static_cast<Index>(row.size()));
    p_.resize(row.size() + engine::pack_slack);
    const RowOut<Scalar> p(p_.data(), row.size());
    shard_.policies.rule->weights(map, row.values(), p);
    return p;
  }

 private:
  const Shard<Scalar>& shard_;
  CandidateRow<Scalar>& lone_;
  engine::LineVector<Scalar>& p_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
