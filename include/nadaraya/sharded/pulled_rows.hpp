// The gradients that a rank writes in a backward pass: those of its keys and values, of its queries, and of parameters.
#pragma once

#include "nadaraya/engine/key_sums.hpp"
#include "nadaraya/engine/parameter_sums.hpp"
#include "nadaraya/engine/problem.hpp"
#include "nadaraya/engine/row_mask.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/position_mask.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Rows are pulled back in the order of the queries, so that the sums of a key do not depend on where it lies.
template <class Scalar>
class PulledRows {
 public:
  using Pairs = std::span<const engine::Pair<Scalar>>;

  /// grad_query [own queries x D], grad_key [local keys x D], grad_value [local keys x Dv] become zero.
  PulledRows(const Shard<Scalar>& shard, MatrixMap<Scalar> grad_query, MatrixMap<Scalar> grad_key, MatrixMap<Scalar> grad_value,
             const engine::View<Scalar>& grad_out)
      : shard_(shard),
        own_query_(shard.query->matrix().middleRows(shard.layout.first_query, shard.layout.own_queries)),
        query_(shard.policies.similarity->prepare(*shard.query)),
        key_(shard.policies.similarity->prepare(*shard.key)),
        grad_query_(grad_query),
        grad_key_(grad_key),
        grad_out_(grad_out),
        sums_(grad_key, grad_value, Index(0), shard.keys(), Index(0), scratch_),
        total_(engine::no_parameters(shard.policies)),
        block_(engine::no_parameters(shard.policies)) {
    set_zero(grad_query);
    set_zero(grad_key);
    set_zero(grad_value);
  }
  PulledRows(const PulledRows&) = delete;
  PulledRows& operator=(const PulledRows&) = delete;

  /// Rows as the similarity compares them: all queries, and the keys of this rank.
  engine::View<Scalar> query() const { return query_.view(); }
  engine::View<Scalar> key() const { return key_.view(); }
  const engine::View<Scalar>& grad_out() const { return grad_out_; }

  /// Where dL/dquery of a query is written; null if another rank's.
  Scalar* grad_query_row(Index query) {
    return shard_.is_own(query) ? grad_query_.data() + shard_.own_row(query) * grad_query_.outerStride() : nullptr;
  }

  /// Adds a row's part of the gradients of this rank, from a message (RowPuller::pull): of parameters, of the query if this rank has
  /// it, and of keys of this rank, counted in it.
  void add_row(Index query, std::span<const KeyIndex> keys, MessageReader& from) {
    block_.add(from.template read<ParameterGradients<Scalar>>());
    block_.ridge += engine::Wide<Scalar>(from.template read<Scalar>());
    if (Scalar* const row = grad_query_row(query)) from.read(row, static_cast<std::size_t>(grad_query_.cols()));
    const auto p = from.template view<Scalar>(keys.size());
    const auto dz = from.template view<Scalar>(keys.size());
    pairs_.clear();
    for (std::size_t j = 0; j < keys.size(); ++j) pairs_.push_back({static_cast<KeyIndex>(query), keys[j], p[j], dz[j]});
    add_pairs(pairs_);
    if (shard_.policies.mix == nullptr) return;
    const auto weighted = static_cast<std::size_t>(from.template read<KeyIndex>());
    const auto places = from.template view<KeyIndex>(weighted);
    const auto cols = static_cast<std::size_t>(sums_.key.cols());
    const auto grads = from.template view<Scalar>(weighted * cols);
    for (std::size_t i = 0; i < weighted; ++i) {
      auto row = sums_.key.row(keys[static_cast<std::size_t>(places[i])]);
      for (std::size_t d = 0; d < cols; ++d) row(static_cast<Index>(d)) += grads[i * cols + d];
    }
  }

  /// Adds pairs of a query and keys of this rank, counted in it: the weight, and dL/dz times the factor of a product.
  void add_pairs(Pairs pairs) {
    const engine::RowSimilarity<Scalar>& similarity = *shard_.policies.similarity;
    const auto& loops = engine::loops<Scalar, engine::BackwardLoops>();
    while (!pairs.empty()) {
      const Index done = loops.scatter_weights(pairs.data(), static_cast<Index>(pairs.size()), grad_out_.data, grad_out_.stride,
                                               sums_.value.cols(), sums_.value.data(), sums_.value.outerStride(),
                                               sums_.first(), sums_.terms());
      const Pairs some = pairs.first(static_cast<std::size_t>(done));
      if (similarity.traits().is_product) {
        loops.scatter_gradients(some.data(), done, query().data, query().stride, sums_.key.cols(), sums_.key.data(),
                                sums_.key.outerStride());
      } else {
        similarity.pull_keys(query(), key(), some, sums_.key);
      }
      const Index last = some.back().key;
      if (sums_.is_run(last)) sums_.end_run(last);
      pairs = pairs.subspan(static_cast<std::size_t>(done));
    }
  }

  /// A row that is NaN: so are the gradients of its query and of every key that it sees.
  void add_nan_row(Index query) {
    const Scalar nan(std::numeric_limits<Scalar>::quiet_NaN());
    add_parameters(ParameterGradients<Scalar>{nan, nan, nan});
    if (shard_.policies.mix != nullptr) block_.ridge = std::numeric_limits<engine::Wide<Scalar>>::quiet_NaN();
    if (Scalar* const row = grad_query_row(query)) std::fill_n(row, grad_query_.cols(), nan);
    const PositionMask<Scalar> mask(*shard_.policies.mask, shard_.positions(), Index(0), shard_.layout.all);
    const Extent local{shard_.layout.all.queries, shard_.keys()};
    const KeyRange range = mask.range(query, local);
    pairs_.clear();
    for (Index j = range.first; j < range.last; ++j) {
      if (!mask.is_visible(query, j, local) || engine::biased_away<Scalar>(mask, query, j, local)) continue;
      pairs_.push_back({static_cast<KeyIndex>(query), static_cast<KeyIndex>(j), nan, nan});
    }
    add_pairs(pairs_);
  }

  /// Adds the gradients of parameters that a row brings.
  void add_parameters(const ParameterGradients<Scalar>& of_row) { block_.add(of_row); }
  /// Those of a policy's own parameters are added to these.
  engine::ParameterSums<Scalar>& parameters() { return block_; }
  /// To be called after every 96 rows, and after the last one: rounding then grows with the number of calls.
  void end_block() {
    total_.add(block_);
    block_ = engine::no_parameters(shard_.policies);
  }

  /// To be called at the end: completes the gradients, and returns those of the parameters.
  const engine::ParameterSums<Scalar>& finish() {
    sums_.close();
    const engine::RowSimilarity<Scalar>& similarity = *shard_.policies.similarity;
    if (similarity.traits().prepares) {
      const Rows<Scalar> own_prepared(query_.matrix().middleRows(shard_.layout.first_query, shard_.layout.own_queries));
      similarity.pull_prepared_back(own_query_, own_prepared, grad_query_);
      similarity.pull_prepared_back(*shard_.key, key_, grad_key_);
    }
    return total_;
  }

 private:
  const Shard<Scalar>& shard_;
  Rows<Scalar> own_query_;
  Rows<Scalar> query_;
  Rows<Scalar> key_;
  MatrixMap<Scalar> grad_query_;
  MatrixMap<Scalar> grad_key_;
  engine::View<Scalar> grad_out_;
  engine::KeySumScratch<Scalar> scratch_;
  engine::KeySums<Scalar> sums_;
  engine::ParameterSums<Scalar> total_;
  engine::ParameterSums<Scalar> block_;
  std::vector<engine::Pair<Scalar>> pairs_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
