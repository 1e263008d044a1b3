// The passes over many heads at once: what they share is made ready once, and all their blocks are
// one pool of work.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/pass/backward.hpp"
#include "nadaraya/pass/forward.hpp"
#include "nadaraya/pass/memory.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace nadaraya::pass {

/// The operands of a head. Heads that read the same keys and values follow each other and have the
/// same `memory`, which counts up from 0. Everything must outlive the passes.
template <class Scalar, class K, class N, class S, class M>
struct Operands {
  const Policies<K, N, S, M>* policies;
  const Rows<Scalar>* query;
  const Rows<Scalar>* key;
  const Rows<Scalar>* value;
  Index memory;
};

/// Numbers the pieces of several heads through.
class Pieces {
 public:
  void add(Index pieces) { ends_.push_back(total() + pieces); }
  Index total() const { return ends_.empty() ? 0 : ends_.back(); }

  struct Place {
    std::size_t head;
    Index piece;
  };
  Place operator[](Index piece) const {
    const auto head = static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), piece) - ends_.begin());
    return Place{head, head == 0 ? piece : piece - ends_[head - 1]};
  }

 private:
  std::vector<Index> ends_;
};

/// Operands as the passes read them.
template <class Scalar, class K, class N, class S, class M>
class Batch {
 public:
  /// `scored`: are queries going to be scored against the keys?
  template <class E>
  Batch(std::span<const Operands<Scalar, K, N, S, M>> heads, bool scored, const E& executor)
      : heads_(heads), queries_(heads.size()), memories_(heads.empty() ? 0 : std::size_t(heads.back().memory) + 1) {
    first_head_.assign(memories_.size() + 1, heads.size());
    for (std::size_t h = heads.size(); h-- > 0;) first_head_[static_cast<std::size_t>(heads[h].memory)] = h;
    executor.parallel_for(static_cast<Index>(memories_.size() + heads.size()), [&](Index piece) {
      const auto i = static_cast<std::size_t>(piece);
      if (i < memories_.size()) {
        make_memory(i, scored);
      } else {
        const auto& head = heads_[i - memories_.size()];
        queries_[i - memories_.size()] = prepared(head.policies->similarity, *head.query);
      }
    });
    for (std::size_t h = 0; h < heads.size(); ++h) {
      parts_.push_back(memories_[static_cast<std::size_t>(heads[h].memory)]->head(queries_[h].view()));
    }
  }

  std::size_t size() const { return heads_.size(); }
  const Policies<K, N, S, M>& policies(std::size_t head) const { return *heads_[head].policies; }
  const Head<Scalar, S>& head(std::size_t head) const { return parts_[head]; }
  const Rows<Scalar>& prepared_query(std::size_t head) const { return queries_[head]; }

  std::size_t memories() const { return memories_.size(); }
  const Rows<Scalar>& prepared_key(std::size_t memory) const { return memories_[memory]->key(); }
  /// The heads that read a memory, [first, last).
  std::size_t first_head(std::size_t memory) const { return first_head_[memory]; }
  std::size_t last_head(std::size_t memory) const { return first_head_[memory + 1]; }

 private:
  void make_memory(std::size_t memory, bool scored) {
    Index queries = 0;
    for (std::size_t h = first_head(memory); h < last_head(memory); ++h) queries += heads_[h].query->rows();
    const auto& head = heads_[first_head(memory)];
    const bool screened = scored && screens<Scalar>(*head.policies, queries, head.key->rows(), head.key->cols());
    memories_[memory].emplace(head.policies->similarity, *head.key, *head.value, scored ? queries : 0, screened);
  }

  std::span<const Operands<Scalar, K, N, S, M>> heads_;
  std::vector<Rows<Scalar>> queries_;
  std::vector<std::optional<Memory<Scalar, S>>> memories_;
  std::vector<std::size_t> first_head_;
  std::vector<Head<Scalar, S>> parts_;
};

/// Regresses every head: rows of outs[h], and its records unless there are none.
template <class Scalar, class K, class N, class S, class M, class E>
void regress(std::span<const Operands<Scalar, K, N, S, M>> heads, std::span<const RowsMap<Scalar>> outs,
             std::span<const std::span<Record<Scalar>>> records, const E& executor) {
  const Batch<Scalar, K, N, S, M> batch(heads, true, executor);
  std::vector<Forward<Scalar, K, N, S, M>> passes;
  passes.reserve(batch.size());
  Pieces blocks;
  for (std::size_t h = 0; h < batch.size(); ++h) {
    passes.emplace_back(batch.policies(h), batch.head(h));
    blocks.add(batch.head(h).blocks());
  }
  engine::Pool<engine::Workspace<Scalar>> workspaces;
  executor.parallel_for(blocks.total(), [&](Index piece) {
    // The last blocks first: under a causal mask they are the longest.
    const auto [h, block] = blocks[blocks.total() - 1 - piece];
    const auto work = workspaces.borrow();
    RowsMap<Scalar> out = outs[h];
    Record<Scalar>* record = records[h].empty() ? nullptr : &records[h][static_cast<std::size_t>(block)];
    passes[h].regress(block, *work, out.data(), out.outerStride(), record);
  });
}

/// Where the gradients of a head go, and what they come from. Heads with one memory have the same
/// places for dL/dkey and dL/dvalue, where the sums over them are written.
template <class Scalar>
struct GradientPlaces {
  std::span<const Record<Scalar>> records;
  View<Scalar> grad_out;
  RowsMap<Scalar> query;
  RowsMap<Scalar> key;
  RowsMap<Scalar> value;
};

/// Pulls every head back; returns the gradients of each one's parameters. All places are overwritten.
template <class Scalar, class K, class N, class S, class M, class E>
std::vector<ParameterGradients<Scalar>> pull_back(std::span<const Operands<Scalar, K, N, S, M>> heads,
                                                  std::span<const GradientPlaces<Scalar>> places, const E& executor) {
  const bool scored = std::any_of(places.begin(), places.end(), [](const auto& place) {
    return std::any_of(place.records.begin(), place.records.end(), [](const auto& record) { return record.recompute; });
  });
  const Batch<Scalar, K, N, S, M> batch(heads, scored, executor);
  // Copies of the gradients of keys and values: one for each head, or a few more to share one out.
  constexpr Index copies = 8;
  const Index group_limit = std::clamp<Index>(copies / (std::max<Index>)(1, static_cast<Index>(batch.size())), 1, copies);
  std::vector<std::optional<Backward<Scalar, K, N, S, M>>> passes(batch.size());
  executor.parallel_for(static_cast<Index>(batch.size()), [&](Index head) {
    const auto h = static_cast<std::size_t>(head);
    const GradientPlaces<Scalar>& place = places[h];
    RowsMap<Scalar>(place.query).setZero();
    if (h == batch.first_head(static_cast<std::size_t>(heads[h].memory))) {
      RowsMap<Scalar>(place.key).setZero();
      RowsMap<Scalar>(place.value).setZero();
    }
    passes[h].emplace(batch.policies(h), batch.head(h), place.records, place.grad_out, place.query, place.key,
                      place.value, group_limit);
  });

  Pieces pieces;
  for (const auto& pass : passes) pieces.add(pass->groups() + pass->blocks());
  engine::Pool<engine::Workspace<Scalar>> workspaces;
  executor.parallel_for(pieces.total(), [&](Index i) {
    const auto [h, piece] = pieces[i];
    auto& pass = *passes[h];
    const auto work = workspaces.borrow();
    if (piece < pass.groups()) {
      pass.pull_group(piece, *work);
    } else {
      pass.pull_block(piece - pass.groups(), *work);
    }
  });

  Pieces ranges;
  for (std::size_t m = 0; m < batch.memories(); ++m) ranges.add(passes[batch.first_head(m)]->ranges());
  executor.parallel_for(ranges.total(), [&](Index i) {
    const auto [memory, range] = ranges[i];
    for (std::size_t h = batch.first_head(memory); h < batch.last_head(memory); ++h) passes[h]->gather(range);
  });

  if constexpr (PreparingSimilarity<S>) {
    for (std::size_t h = 0; h < batch.size(); ++h) {
      RowsMap<Scalar> grad = places[h].query;
      grad = batch.policies(h).similarity.prepared_pullback(heads[h].query->matrix(), batch.prepared_query(h).matrix(), grad);
    }
    for (std::size_t m = 0; m < batch.memories(); ++m) {
      const std::size_t h = batch.first_head(m);
      RowsMap<Scalar> grad = places[h].key;
      grad = batch.policies(h).similarity.prepared_pullback(heads[h].key->matrix(), batch.prepared_key(m).matrix(), grad);
    }
  }
  std::vector<ParameterGradients<Scalar>> parameters;
  for (const auto& pass : passes) parameters.push_back(pass->parameters());
  return parameters;
}

}  // namespace nadaraya::pass
