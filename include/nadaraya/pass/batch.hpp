// The passes over many heads at once: what they share is made ready once, and all their blocks are
// one pool of work.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/pass/backward.hpp"
#include "nadaraya/pass/forward.hpp"
#include "nadaraya/pass/memory.hpp"
#include "nadaraya/workspace.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

namespace nadaraya::pass {

/// The operands of a head. Heads that read the same keys and values follow each other and have the
/// same `memory`, which counts up from 0. Everything must outlive the passes.
template <class Scalar, class K, class N, class S, class M>
struct Operands {
  const Policies<K, N, S, M>* policies;
  const Rows<Scalar>* query;
  const Rows<Scalar>* key;    ///< null where the memory is `made`
  const Rows<Scalar>* value;
  Index memory;
  const Memory<Scalar, S>* made = nullptr;
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

/// Which queries are going to be scored against the keys, and do blocks have to be made of consecutive
/// ones?
enum class Queries { none, in_order, in_any_order };

/// Operands as the passes read them.
template <class Scalar, class K, class N, class S, class M>
class Batch {
 public:
  template <class E>
  Batch(std::span<const Operands<Scalar, K, N, S, M>> heads, Queries queries_wanted, const E& executor)
      : heads_(heads),
        queries_(heads.size()),
        orders_(heads.size()),
        memories_(heads.empty() ? 0 : std::size_t(heads.back().memory) + 1) {
    first_head_.assign(memories_.size() + 1, heads.size());
    for (std::size_t h = heads.size(); h-- > 0;) first_head_[static_cast<std::size_t>(heads[h].memory)] = h;
    for (std::size_t m = 0; m < memories_.size(); ++m) reaches_.push_back(grid_reach(m, queries_wanted != Queries::none));
    executor.parallel_for(static_cast<Index>(memories_.size() + heads.size()), [&](Index piece) {
      const auto i = static_cast<std::size_t>(piece);
      if (i < memories_.size()) {
        make_memory(i, queries_wanted != Queries::none);
      } else {
        make_query(i - memories_.size(), queries_wanted == Queries::in_any_order);
      }
    });
    for (std::size_t h = 0; h < heads.size(); ++h) {
      const auto m = static_cast<std::size_t>(heads[h].memory);
      const Memory<Scalar, S>& memory = memories_[m] ? *memories_[m] : *heads[h].made;
      parts_.push_back(memory.head(queries_[h].view(), orders_[h]));
    }
  }

  std::size_t size() const { return heads_.size(); }
  const Policies<K, N, S, M>& policies(std::size_t head) const { return *heads_[head].policies; }
  const Head<Scalar, S>& head(std::size_t head) const { return parts_[head]; }
  const Rows<Scalar>& prepared_query(std::size_t head) const { return queries_[head]; }

  std::size_t memories() const { return memories_.size(); }
  const Rows<Scalar>& prepared_key(std::size_t memory) const { return memories_[memory]->prepared_key(); }
  /// The heads that read a memory, [first, last).
  std::size_t first_head(std::size_t memory) const { return first_head_[memory]; }
  std::size_t last_head(std::size_t memory) const { return first_head_[memory + 1]; }

 private:
  Index query_count(std::size_t memory) const {
    Index queries = 0;
    for (std::size_t h = first_head(memory); h < last_head(memory); ++h) queries += heads_[h].query->rows();
    return queries;
  }

  void make_memory(std::size_t memory, bool scored) {
    const auto& head = heads_[first_head(memory)];
    const Index queries = scored ? query_count(memory) : 0;
    if (head.made != nullptr) {
      // As it is, for a few queries or where it is screened; many read it in panels.
      if (queries < engine::ScoredKeys<Scalar, S>::worth_packing || sketch_of<Scalar>(*head.policies, head.made->sketched())) return;
      memories_[memory].emplace();
      memories_[memory]->read(head.made->key(), head.made->value(), 0, engine::Search<Scalar>{queries});
      return;
    }
    const bool sketched = scored && screens<Scalar>(*head.policies, queries, head.key->rows(), head.key->cols());
    memories_[memory].emplace(head.policies->similarity, *head.key, *head.value,
                              engine::Search<Scalar>{queries, reaches_[memory], sketched});
  }

  void make_query(std::size_t h, bool in_any_order) {
    const auto& head = heads_[h];
    queries_[h] = prepared(head.policies->similarity, *head.query);
    if constexpr (engine::Gridded<Scalar, S, M>) {
      const Scalar reach = reaches_[static_cast<std::size_t>(head.memory)];
      // Neighbours look at the same keys and values, which are then still in the cache.
      if (in_any_order && std::isfinite(reach)) orders_[h] = engine::order_by_place(head.query->view(), reach);
    }
  }

  /// How far queries look for the keys of a memory if these are worth a grid, +infinity if not.
  Scalar grid_reach([[maybe_unused]] std::size_t memory, [[maybe_unused]] bool scored) const {
    const Scalar infinity(Eigen::NumTraits<Scalar>::infinity());
    if constexpr (engine::Gridded<Scalar, S, M>) {
      if (!scored || heads_[first_head(memory)].made != nullptr) return infinity;
      const View<Scalar> key = heads_[first_head(memory)].key->view();
      Scalar reach(0);
      double seen = double(key.rows);
      for (std::size_t h = first_head(memory); h < last_head(memory); ++h) {
        reach = (std::max)(reach, heads_[h].policies->template reach<Scalar>(key.cols));
        seen = (std::min)(seen, mean_range(heads_[h].policies->mask, Extent{heads_[h].query->rows(), key.rows}));
      }
      if (engine::worth_a_grid(key, reach, query_count(memory), seen)) return reach;
    }
    return infinity;
  }

  std::span<const Operands<Scalar, K, N, S, M>> heads_;
  std::vector<Rows<Scalar>> queries_;
  std::vector<std::vector<KeyIndex>> orders_;
  std::vector<Scalar> reaches_;
  std::vector<std::optional<Memory<Scalar, S>>> memories_;
  std::vector<std::size_t> first_head_;
  std::vector<Head<Scalar, S>> parts_;
};

/// Where a call's scratch memory comes from: its executor if that keeps some, else `own`.
template <class Scalar, class E>
engine::Pool<engine::Workspace<Scalar>>& workspaces_of(const E&, engine::Pool<engine::Workspace<Scalar>>& own) {
  return own;
}
template <class Scalar, class Kept, class E>
engine::Pool<engine::Workspace<Scalar>>& workspaces_of(const Workspace<Kept, E>& executor,
                                                       engine::Pool<engine::Workspace<Scalar>>&) {
  static_assert(std::is_same_v<Kept, Scalar>, "the workspace is for another scalar than that of the operands");
  return executor.pieces();
}

/// Regresses every head: rows of outs[h], and its records unless there are none.
template <class Scalar, class K, class N, class S, class M, class E>
void regress(std::span<const Operands<Scalar, K, N, S, M>> heads, std::span<const RowsMap<Scalar>> outs,
             std::span<const std::span<Record<Scalar>>> records, const E& executor) {
  const Batch<Scalar, K, N, S, M> batch(heads, Queries::in_any_order, executor);
  std::vector<Forward<Scalar, K, N, S, M>> passes;
  passes.reserve(batch.size());
  Pieces blocks;
  for (std::size_t h = 0; h < batch.size(); ++h) {
    passes.emplace_back(batch.policies(h), batch.head(h));
    blocks.add(batch.head(h).blocks());
  }
  engine::Pool<engine::Workspace<Scalar>> own;
  auto& workspaces = workspaces_of(executor, own);
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
  const Batch<Scalar, K, N, S, M> batch(heads, scored ? Queries::in_order : Queries::none, executor);
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
  engine::Pool<engine::Workspace<Scalar>> own;
  auto& workspaces = workspaces_of(executor, own);
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
