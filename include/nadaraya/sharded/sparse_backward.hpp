// The backward pass of rows that keep few of their keys: one round.
#pragma once

#include "nadaraya/engine/row_similarity.hpp"
#include "nadaraya/loops/blocks.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/buffers.hpp"
#include "nadaraya/sharded/gathered_rows.hpp"
#include "nadaraya/sharded/pulled_rows.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/sharded/support_mix.hpp"
#include "nadaraya/sharded/tape.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Every rank knows the support of every row, and brings g_j = dL/dout . v_j and the key, for those of its keys that are in
/// it; from all of them every rank pulls the row back, as one machine does, under any rule. The round carries a number for
/// each supported pair and D numbers for each supported key. (Two sums of a row would do for dL/dz of an adaptive row, of
/// bits that depend on their order.)
template <class Scalar, Communicator C>
class SparseBackward {
 public:
  SparseBackward(Session<C>& session, const Shard<Scalar>& shard, const Record<Scalar>& record, PulledRows<Scalar>& pulled)
      : session_(session),
        shard_(shard),
        record_(record),
        pulled_(pulled),
        mix_(shard),
        factor_(shard.policies.similarity->product_bound(Scalar(0), shard.query->cols()).product) {}

  void run() {
    for (Index first = 0; first < shard_.layout.all.queries; first += batch_rows) {
      const Index count = (std::min)(batch_rows, shard_.layout.all.queries - first);
      session_.attempt([&] { send(first, count); });
      session_.all_gather(message_, gathered_);
      session_.attempt([&] {
        receive();
        std::size_t entry = 0;
        for (Index r = 0; r < count; ++r) {
          if (r % engine::block_queries == 0 && r > 0) pulled_.end_block();
          pull_row(first + r, entry);
        }
        pulled_.end_block();
      });
    }
  }

 private:
  /// Finds the owners of the batch's pairs, and lays down this rank's part.
  void send(Index first, Index count) {
    const engine::View<Scalar>& value = shard_.value.view();
    message_.clear();
    owners_.clear();
    distinct_.resize(static_cast<std::size_t>(session_.size()));
    for (auto& keys : distinct_) keys.clear();
    int owner = 0;
    for (Index query = first; query < first + count; ++query) {
      const auto keys = record_.row_keys(query);
      weigh(query);
      mine_.clear();
      p_mine_.clear();
      for (std::size_t j = 0; j < keys.size(); ++j) {
        owner = shard_.layout.owner(keys[j], owner);
        owners_.push_back(owner);
        distinct_[static_cast<std::size_t>(owner)].push_back(keys[j]);
        if (owner != shard_.rank) continue;
        mine_.push_back(static_cast<KeyIndex>(shard_.layout.local(keys[j], owner)));
        p_mine_.push_back(p_[j]);
      }
      g_.resize(mine_.size());
      const auto& loops = engine::chosen_loops<Scalar, engine::BackwardLoops>();
      loops.dots(mine_.data(), p_mine_.data(), static_cast<Index>(mine_.size()), value.data, value.stride, value.cols,
                 pulled_.grad_out().row(query), g_.data());
      message_.add(std::span<const Scalar>(g_));
    }
    for (auto& keys : distinct_) make_distinct(keys);
    for (const KeyIndex key : distinct_[static_cast<std::size_t>(shard_.rank)]) {
      const Scalar* const row = pulled_.key().row(shard_.layout.local(key, shard_.rank));
      message_.add(std::span(row, static_cast<std::size_t>(pulled_.key().cols)));
    }
  }

  /// Of each rank, as many g as it owns pairs, and then its keys.
  void receive() {
    counts_.assign(distinct_.size(), 0);
    for (const int owner : owners_) ++counts_[static_cast<std::size_t>(owner)];
    of_ranks_.resize(distinct_.size());
    next_.assign(distinct_.size(), 0);
    keys_.clear(pulled_.key().cols);
    for (std::size_t s = 0; s < distinct_.size(); ++s) {
      MessageReader reader(gathered_.of(static_cast<int>(s)));
      of_ranks_[s].resize(counts_[s]);
      reader.read(of_ranks_[s].data(), counts_[s]);
      keys_.read(distinct_[s], reader);
    }
    keys_.close();
  }

  void weigh(Index query) {
    const auto t = record_.row_coordinates(query);
    p_.resize(t.size());
    shard_.policies.rule->weights(map(query), t, p_);
  }
  const RowNormalizer<Scalar>& map(Index query) const { return record_.maps[static_cast<std::size_t>(query)]; }

  /// `entry`: the first pair of the row among those of the batch.
  void pull_row(Index query, std::size_t& entry) {
    if (nadaraya::detail::is_nan(map(query).mass)) return pulled_.add_nan_row(query);
    const auto keys = record_.row_keys(query);
    if (keys.empty()) return;
    weigh(query);
    g_.resize(keys.size());
    for (std::size_t j = 0; j < keys.size(); ++j) {
      const auto owner = static_cast<std::size_t>(owners_[entry + j]);
      g_[j] = of_ranks_[owner][next_[owner]++];
    }
    dz_.resize(keys.size());
    if (mix_.corrects()) {
      const Scalar by_ridge = mix_.pull(pulled_.query().row(query), keys_.view(), keys_.places(keys), p_, g_);
      pulled_.parameters().ridge += engine::Wide<Scalar>(by_ridge);
    }
    ParameterGradients<Scalar> parameters;
    shard_.policies.rule->unweigh(map(query), record_.row_coordinates(query), g_, dz_, parameters);
    pull_query(query, keys, parameters);
    pairs_.clear();
    for (std::size_t j = 0; j < keys.size(); ++j) {
      if (owners_[entry + j] != shard_.rank) continue;
      const auto local = static_cast<KeyIndex>(shard_.layout.local(keys[j], shard_.rank));
      pairs_.push_back({static_cast<KeyIndex>(query), local, p_[j], dz_[j]});
    }
    pulled_.add_pairs(pairs_);
    if (mix_.corrects()) {
      mix_.for_each_grad_key([&](std::size_t j, const Scalar* grad_key) {
        if (owners_[entry + j] == shard_.rank) pulled_.add_key_gradient(shard_.layout.local(keys[j], shard_.rank), grad_key);
      });
    }
    entry += keys.size();
  }

  /// dL/dquery, and the gradients of parameters. Multiplies dz by the factor of a product.
  void pull_query(Index query, std::span<const KeyIndex> keys, ParameterGradients<Scalar>& parameters) {
    const engine::RowSimilarity<Scalar>& similarity = *shard_.policies.similarity;
    const auto& loops = engine::chosen_loops<Scalar>();
    const engine::View<Scalar> key = keys_.view();
    const auto places = keys_.places(keys);
    const auto n = static_cast<Index>(keys.size());
    const engine::KeyList list = engine::KeyList::listed(places.data(), n);
    const Scalar* const q = pulled_.query().row(query);
    engine::ParameterSums<Scalar>& own = pulled_.parameters();
    if (own.similarity) similarity.pull_parameters(q, key, list, dz_.data(), *own.similarity);
    if (own.bias) {
      const engine::KeyList positions = engine::KeyList::listed(keys.data(), n);
      shard_.policies.mask->pull_parameters(query, positions, shard_.layout.all, dz_.data(), *own.bias);
    }
    grad_.assign(static_cast<std::size_t>(key.cols), Scalar(0));
    if (similarity.traits().is_product) {
      loops.mix(places.data(), dz_.data(), n, key.data, key.stride, key.cols, grad_.data());
      Scalar by_scale;
      loops.products(grad_.data(), key.cols, Index(1), key.cols, q, &by_scale, Scalar(1));
      parameters.scale += by_scale;
      loops.scale(grad_.data(), key.cols, factor_, grad_.data());
      for (Scalar& dz_j : dz_) dz_j *= factor_;
    } else {
      parameters.scale += similarity.pull_query(q, key, list, dz_.data(), grad_.data());
    }
    if (mix_.corrects()) {
      for (std::size_t d = 0; d < grad_.size(); ++d) grad_[d] += mix_.grad_query()[d];
    }
    pulled_.add_parameters(parameters);
    if (Scalar* const to = pulled_.grad_query_row(query)) std::copy(grad_.begin(), grad_.end(), to);
  }

  Session<C>& session_;
  const Shard<Scalar>& shard_;
  const Record<Scalar>& record_;
  PulledRows<Scalar>& pulled_;
  SupportMix<Scalar> mix_;
  Scalar factor_;
  Message message_;
  Gathered gathered_;
  std::vector<int> owners_;  ///< of the batch's pairs
  std::vector<std::vector<KeyIndex>> distinct_;  ///< keys of each rank that have weight in the batch
  std::vector<std::size_t> counts_;  ///< pairs of each rank
  std::vector<std::vector<Scalar>> of_ranks_;  ///< their g
  std::vector<std::size_t> next_;  ///< the first that no row has taken yet
  KeyedRows<Scalar> keys_;
  std::vector<KeyIndex> mine_;
  std::vector<Scalar> p_mine_, p_, g_, dz_, grad_;
  std::vector<engine::Pair<Scalar>> pairs_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
