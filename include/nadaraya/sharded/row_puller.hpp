// How a rank pulls back rows that keep few of their keys, from what all ranks have told of them.
#pragma once

#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/cost.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/parameter_sums.hpp"
#include "nadaraya/engine/pool.hpp"
#include "nadaraya/engine/row_similarity.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/gathered_rows.hpp"
#include "nadaraya/sharded/pulled_rows.hpp"
#include "nadaraya/sharded/row_chunks.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/sharded/support_mix.hpp"
#include "nadaraya/sharded/tape.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Pulls rows back that this rank has solved.
template <class Scalar>
class RowPuller {
 public:
  /// Everything must outlive it.
  RowPuller(const Shard<Scalar>& shard, const Record<Scalar>& record, const Executing<Scalar>& execution,
            PulledRows<Scalar>& pulled)
      : shard_(shard),
        record_(record),
        execution_(execution),
        pulled_(pulled),
        mix_(shard),
        factor_(shard.policies.similarity->product_bound(Scalar(0), shard.query->cols()).product) {}

  /// Reads what ranks tell of the rows of queries [begin, end): of each rank, as many g as it owns pairs, and then its keys.
  void read(const Gathered& from, int ranks, Index begin, Index end) {
    pairs_.clear();
    ends_.assign(1, 0);
    first_ = begin;
    of_ranks_.resize(static_cast<std::size_t>(ranks));
    for (OfRank& of : of_ranks_) {
      of.pairs = 0;
      of.keys.clear();
    }
    int owner = 0;
    for (Index query = begin; query < end; ++query) {
      for (const KeyIndex key : record_.rows.keys(static_cast<std::size_t>(query))) {
        owner = shard_.layout.owner(key, owner);
        OfRank& of = of_ranks_[static_cast<std::size_t>(owner)];
        pairs_.push_back({owner, of.pairs++});
        of.keys.push_back(key);
      }
      ends_.push_back(pairs_.size());
    }
    keys_.clear(pulled_.key().cols);
    for (int s = 0; s < ranks; ++s) {
      OfRank& of = of_ranks_[static_cast<std::size_t>(s)];
      make_distinct(of.keys);
      MessageReader reader(from.of(s));
      of.g.resize(of.pairs);
      reader.read(of.g.data(), of.pairs);
      keys_.read(of.keys, reader);
    }
    keys_.close();
  }

  /// Pulls the rows of queries [begin, end) back, which were read, and appends what comes of them to ranks first_rank, first_rank + 1,
  /// ... to a message for each, as PulledRows::add_row reads it.
  void pull(Index begin, Index end, int first_rank, std::span<Message> to) {
    // Gradients of a policy's own parameters are summed by one thread, row after row.
    if (execution_->executor().alone() || has_own_parameters(shard_)) {
      const auto scratch = scratch_.borrow();
      for (Index query = begin; query < end; ++query) pull_row(query, first_rank, to, *scratch);
      return;
    }
    const RowChunks<Scalar> chunks(end - begin, *execution_);
    chunks_.resize(static_cast<std::size_t>(chunks.count()));
    for (std::vector<Message>& messages : chunks_) {
      messages.resize(to.size());
      for (Message& message : messages) message.clear();
    }
    chunks.for_each(*execution_, cost(end - begin), scratch_, [&](Index c, Index r, Scratch& scratch) {
      pull_row(begin + r, first_rank, chunks_[static_cast<std::size_t>(c)], scratch);
    });
    for (const std::vector<Message>& messages : chunks_) {
      for (std::size_t s = 0; s < to.size(); ++s) to[s].append(messages[s]);
    }
  }

 private:
  struct Pair {
    int owner;
    std::size_t place;  ///< among those of the owner
  };
  struct OfRank {
    std::size_t pairs = 0;
    std::vector<Scalar> g;  ///< of its pairs
    std::vector<KeyIndex> keys;  ///< that have pairs
  };
  /// Memory of a thread.
  struct Scratch {
    std::vector<Scalar> p, g, dz, grad;
    std::vector<KeyIndex> places;  ///< of the keys
    std::vector<KeyIndex> of_rank;  ///< pairs of a rank, counted in the row and then in the rank
    engine::MixScratch<Scalar> mix;
  };

  Cost cost(Index rows) const {
    using Model = engine::CostModel<Scalar>;
    const double of_row = Model::query + (mix_.corrects() ? 2 * Model::fit : 0.0);
    const double of_pair = 64 + 2 * Model::fetched * static_cast<double>(pulled_.key().cols);
    return Cost{Model::scalar * (of_row * static_cast<double>(rows) + of_pair * static_cast<double>(pairs_.size()))};
  }

  void pull_row(Index query, int first_rank, std::span<Message> to, Scratch& of) {
    const auto row = static_cast<std::size_t>(query);
    if (record_.support_sizes[row] < 0) return;
    const auto keys = record_.rows.keys(row);
    const auto t = record_.rows.numbers(row);
    const auto pairs = std::span<const Pair>(pairs_).subspan(ends_[static_cast<std::size_t>(query - first_)], keys.size());
    const RowNormalizer<Scalar>& map = record_.maps[row];
    of.p.resize(keys.size());
    of.g.resize(keys.size());
    of.dz.resize(keys.size());
    of.grad.assign(static_cast<std::size_t>(pulled_.key().cols), Scalar(0));
    Scalar by_ridge(0);
    ParameterGradients<Scalar> parameters;
    if (!keys.empty()) {
      shard_.policies.rule->weights(map, t, of.p);
      for (std::size_t j = 0; j < keys.size(); ++j) of.g[j] = of_ranks_[static_cast<std::size_t>(pairs[j].owner)].g[pairs[j].place];
      keys_.find(keys, of.places);
      const Scalar* const q = pulled_.query().row(query);
      if (mix_.corrects()) by_ridge = mix_.pull(q, keys_.view(), of.places, of.p, of.g, of.mix);
      shard_.policies.rule->unweigh(map, t, of.g, of.dz, parameters);
      pull_query(query, keys, parameters, of);
    }
    for (std::size_t s = 0; s < to.size(); ++s) {
      const int rank = first_rank + static_cast<int>(s);
      to[s].add(parameters);
      to[s].add(by_ridge);
      if (shard_.layout.has_query(rank, query)) to[s].add(std::span<const Scalar>(of.grad));
      write_pairs(pairs, rank, to[s], of);
    }
  }

  /// dL/dquery, and the gradients of parameters. Multiplies dz by the factor of a product.
  void pull_query(Index query, std::span<const KeyIndex> keys, ParameterGradients<Scalar>& parameters, Scratch& of) {
    const engine::RowSimilarity<Scalar>& similarity = *shard_.policies.similarity;
    const auto& loops = engine::loops<Scalar>();
    const engine::View<Scalar> key = keys_.view();
    const auto n = static_cast<Index>(keys.size());
    const engine::KeyList list = engine::KeyList::listed(of.places.data(), n);
    const Scalar* const q = pulled_.query().row(query);
    engine::ParameterSums<Scalar>& own = pulled_.parameters();
    if (own.similarity) similarity.pull_parameters(q, key, list, of.dz.data(), *own.similarity);
    if (own.bias) {
      const engine::KeyList positions = engine::KeyList::listed(keys.data(), n);
      shard_.policies.mask->pull_parameters(query, positions, shard_.layout.all, of.dz.data(), *own.bias);
    }
    if (similarity.traits().is_product) {
      loops.mix(of.places.data(), of.dz.data(), n, key.data, key.stride, key.cols, of.grad.data());
      Scalar by_scale;
      loops.products(of.grad.data(), key.cols, Index(1), key.cols, q, &by_scale, Scalar(1));
      parameters.scale += by_scale;
      loops.scale(of.grad.data(), key.cols, factor_, of.grad.data());
      for (Scalar& dz_j : of.dz) dz_j *= factor_;
    } else {
      parameters.scale += similarity.pull_query(q, key, list, of.dz.data(), of.grad.data());
    }
    if (mix_.corrects()) {
      for (std::size_t d = 0; d < of.grad.size(); ++d) of.grad[d] += of.mix.grad_query[d];
    }
  }

  /// Of the pairs with keys of a rank, in their order, weights and dL/dz; under a mix also dL/dkey at fixed weights of those keys that
  /// have it, after their number and places.
  void write_pairs(std::span<const Pair> pairs, int rank, Message& to, Scratch& of) {
    of.of_rank.clear();
    for (std::size_t j = 0; j < pairs.size(); ++j) {
      if (pairs[j].owner == rank) of.of_rank.push_back(static_cast<KeyIndex>(j));
    }
    for (const KeyIndex j : of.of_rank) to.add(of.p[static_cast<std::size_t>(j)]);
    for (const KeyIndex j : of.of_rank) to.add(of.dz[static_cast<std::size_t>(j)]);
    if (!mix_.corrects()) return;
    const std::size_t cols = of.grad.size(), weighted = pairs.empty() ? 0 : of.mix.corrected.size();
    of.places.clear();  // among the pairs of the rank, of those that have weight
    std::size_t next = 0;
    const auto for_each_weighted = [&](const auto& visit) {
      next = 0;
      for (std::size_t i = 0; i < weighted; ++i) {
        const std::size_t j = of.mix.place(i);
        if (pairs[j].owner != rank) continue;
        while (static_cast<std::size_t>(of.of_rank[next]) != j) ++next;
        visit(i, static_cast<KeyIndex>(next));
      }
    };
    for_each_weighted([&](std::size_t, KeyIndex place) { of.places.push_back(place); });
    to.add(static_cast<KeyIndex>(of.places.size()));
    to.add(std::span<const KeyIndex>(of.places));
    for_each_weighted([&](std::size_t i, KeyIndex) { to.add(std::span<const Scalar>(of.mix.grad_keys).subspan(i * cols, cols)); });
  }

  const Shard<Scalar>& shard_;
  const Record<Scalar>& record_;
  const Executing<Scalar>& execution_;
  PulledRows<Scalar>& pulled_;
  SupportMix<Scalar> mix_;
  Scalar factor_;
  Index first_ = 0;  ///< the first query that was read
  std::vector<Pair> pairs_;  ///< of all rows
  std::vector<std::size_t> ends_;  ///< where rows end, after a 0
  std::vector<OfRank> of_ranks_;
  KeyedRows<Scalar> keys_;
  engine::Pool<Scratch> scratch_;
  std::vector<std::vector<Message>> chunks_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
