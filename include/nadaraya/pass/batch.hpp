// The passes over many heads at once: shared keys are prepared once, and all their blocks are
// one pool of work.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/sketch_tiers.hpp"
#include "nadaraya/pass/backward.hpp"
#include "nadaraya/pass/cost.hpp"
#include "nadaraya/pass/forward.hpp"
#include "nadaraya/pass/memory.hpp"
#include "nadaraya/pass/rules.hpp"
#include "nadaraya/workspace.hpp"

#include <Eigen/SparseCore>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::pass {

/// The operands of a head. Heads that read the same keys and values follow each other and have the
/// same `memory`, which counts up from 0. Everything must outlive the passes.
template <class Scalar, class S>
struct Operands {
  const Rows<Scalar>* query;
  const Rows<Scalar>* key;    ///< null where the memory is `made`
  const Rows<Scalar>* value;
  Index memory;
  const Memory<Scalar, S>* made = nullptr;
};

/// How the keys of a head are going to be looked for.
template <class Scalar, class S>
struct Plan {
  const S* similarity;
  Screening screening = Screening::never;
  Scalar reach = Scalar(Eigen::NumTraits<Scalar>::infinity());  ///< no key farther from a query has weight
  double seen = 0;                                              ///< keys that a query sees on average, if the reach is finite
};

template <class Scalar, class S, class M>
std::vector<Plan<Scalar, S>> plans_of(std::span<const Policies<ForwardRule<Scalar>, S, M>> policies,
                                      std::span<const Operands<Scalar, S>> heads) {
  std::vector<Plan<Scalar, S>> plans;
  for (std::size_t h = 0; h < heads.size(); ++h) {
    const auto& head = heads[h];
    Plan<Scalar, S>& plan = plans.emplace_back(Plan<Scalar, S>{policies[h].similarity, screening_of<Scalar>(policies[h])});
    if constexpr (engine::Gridded<Scalar, S, M>) {
      if (head.made != nullptr) continue;
      Row<Scalar> none;
      Row<Scalar>* const row = &none;
      policies[h].rule->refine({&row, 1});
      plan.reach = policies[h].similarity->reach(none.floor(), head.query->cols());
      if (detail::is_finite(plan.reach)) plan.seen = mean_range(*policies[h].mask, Extent{head.query->rows(), head.key->rows()});
    }
  }
  return plans;
}

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
template <class Scalar, class S>
class Batch {
 public:
  Batch(std::span<const Operands<Scalar, S>> heads, std::vector<Plan<Scalar, S>> plans, Queries queries_wanted,
        const AnyExecutor& executor)
      : heads_(heads),
        plans_(std::move(plans)),
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
    }, executor.serial() ? Cost{} : preparing_cost());
    for (std::size_t h = 0; h < heads.size(); ++h) {
      const auto m = static_cast<std::size_t>(heads[h].memory);
      const Memory<Scalar, S>& memory = memories_[m] ? *memories_[m] : *heads[h].made;
      parts_.push_back(memory.head(queries_[h].view(), orders_[h]));
    }
  }

  std::size_t size() const { return heads_.size(); }
  const Head<Scalar, S>& head(std::size_t head) const { return parts_[head]; }
  const Rows<Scalar>& prepared_query(std::size_t head) const { return queries_[head]; }

  std::size_t memories() const { return memories_.size(); }
  const Rows<Scalar>& prepared_key(std::size_t memory) const { return memories_[memory]->prepared_key(); }
  /// The heads that read a memory, [first, last).
  std::size_t first_head(std::size_t memory) const { return first_head_[memory]; }
  std::size_t last_head(std::size_t memory) const { return first_head_[memory + 1]; }

  /// Are the keys of a head found by a grid?
  bool gridded(std::size_t head) const { return detail::is_finite(reaches_[static_cast<std::size_t>(heads_[head].memory)]); }

 private:
  Index query_count(std::size_t memory) const {
    Index queries = 0;
    for (std::size_t h = first_head(memory); h < last_head(memory); ++h) queries += heads_[h].query->rows();
    return queries;
  }

  /// The most queries that one head has: heads are scored one by one, so keys are packed for its sake alone.
  Index most_queries(std::size_t memory) const {
    Index most = 0;
    for (std::size_t h = first_head(memory); h < last_head(memory); ++h) most = (std::max)(most, heads_[h].query->rows());
    return most;
  }

  /// With what the same threads do afterwards: they are woken on the way.
  Cost preparing_cost() const {
    using Model = CostModel<Scalar, S>;
    double sum = 0;
    for (std::size_t m = 0; m < memories_.size(); ++m) {
      const auto& head = heads_[first_head(m)];
      if (head.made == nullptr) sum += Model::copies(head.key->rows(), head.key->cols() + head.value->cols());
    }
    for (const auto& head : heads_) sum += Model::rows(head.query->rows()) + Model::copies(head.query->rows(), head.query->cols());
    return Cost{sum};
  }

  void make_memory(std::size_t memory, bool scored) {
    const auto& head = heads_[first_head(memory)];
    const auto& plan = plans_[first_head(memory)];
    const Index queries = scored ? most_queries(memory) : 0;
    if (head.made != nullptr) {
      // As it is, for a few queries or where it is screened; many read it in panels.
      if (queries < engine::ScoredKeys<Scalar, S>::worth_packing) return;
      if (plan.screening != Screening::never && head.made->sketched()) return;
      memories_[memory].emplace();
      memories_[memory]->read(head.made->key(), head.made->value(), 0, engine::Search<Scalar>{queries});
      return;
    }
    const bool sketched = scored && screens(plan.screening, query_count(memory), head.key->rows(), head.key->cols());
    memories_[memory].emplace(*plan.similarity, *head.key, *head.value,
                              engine::Search<Scalar>{queries, reaches_[memory], sketched});
  }

  /// Are keys to be screened?
  static bool screens(Screening screening, Index queries, Index keys, Index cols) {
    if (screening == Screening::never || cols < 1 || cols > engine::most_sketch_cols) return false;
    if (screening == Screening::always) return true;
    return engine::worth_screening(queries, keys, cols);
  }

  void make_query(std::size_t h, bool in_any_order) {
    const auto& head = heads_[h];
    queries_[h] = prepared(*plans_[h].similarity, *head.query);
    if constexpr (engine::Placed<Scalar, S>) {
      const Scalar reach = reaches_[static_cast<std::size_t>(head.memory)];
      // Neighbours look at the same keys and values, which are then still in the cache.
      if (in_any_order && detail::is_finite(reach)) orders_[h] = engine::morton_order(head.query->view(), reach);
    }
  }

  /// How far queries look for the keys of a memory if these are worth a grid, +infinity if not.
  Scalar grid_reach([[maybe_unused]] std::size_t memory, [[maybe_unused]] bool scored) const {
    const Scalar infinity(Eigen::NumTraits<Scalar>::infinity());
    if constexpr (engine::Placed<Scalar, S>) {
      if (!scored || heads_[first_head(memory)].made != nullptr) return infinity;
      const View<Scalar> key = heads_[first_head(memory)].key->view();
      Scalar reach(0);
      double seen = double(key.rows);
      for (std::size_t h = first_head(memory); h < last_head(memory); ++h) {
        reach = (std::max)(reach, plans_[h].reach);
        seen = (std::min)(seen, plans_[h].seen);
      }
      if (engine::worth_a_grid(key, reach, query_count(memory), seen)) return reach;
    }
    return infinity;
  }

  std::span<const Operands<Scalar, S>> heads_;
  std::vector<Plan<Scalar, S>> plans_;
  std::vector<Rows<Scalar>> queries_;
  std::vector<std::vector<KeyIndex>> orders_;
  std::vector<Scalar> reaches_;
  std::vector<std::optional<Memory<Scalar, S>>> memories_;
  std::vector<std::size_t> first_head_;
  std::vector<Head<Scalar, S>> parts_;
};

/// Who executes a call, and where its scratch memory comes from: the executor, if it keeps some.
template <class Scalar>
class Execution {
 public:
  template <class E, bool = detail::check_executor<E>()>
  explicit Execution(const E& executor) : executor_(executor), workspaces_(own_) {}
  template <class Kept, class E>
  explicit Execution(const Workspace<Kept, E>& executor) : executor_(executor), workspaces_(executor.pieces()) {
    static_assert(std::is_same_v<Kept, Scalar>, "the workspace is for another scalar than that of the operands");
  }
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  const AnyExecutor& executor() const { return executor_; }

  /// work(i, workspace) for i = 0, ..., n - 1, on no more threads than their cost is worth.
  void parallel_for(Index n, detail::FunctionRef<void(Index i, engine::Workspace<Scalar>& workspace)> work, Cost cost = {}) const {
    executor_.parallel_for(n, [&](Index i) {
      const auto workspace = workspaces_.borrow();
      work(i, *workspace);
    }, cost);
  }

 private:
  AnyExecutor executor_;
  mutable engine::Pool<engine::Workspace<Scalar>> own_;
  engine::Pool<engine::Workspace<Scalar>>& workspaces_;
};

/// The sum of cost(head), or cost(head, keys that its queries see on average), over heads [first, last); not computed for
/// one thread.
template <class Scalar, class S, class Rule, class M, class OfHead>
Cost total_cost(std::size_t first, std::size_t last, const Batch<Scalar, S>& batch,
                std::span<const Policies<Rule, S, M>> policies, const AnyExecutor& executor, const OfHead& cost) {
  if (executor.serial()) return Cost{};
  double sum = 0;
  for (std::size_t h = first; h < last; ++h) {
    if constexpr (std::is_invocable_v<OfHead, std::size_t>) {
      sum += cost(h);
    } else {
      sum += cost(h, batch.gridded(h) ? 0.0 : mean_range(*policies[h].mask, batch.head(h).extent()));
    }
  }
  return Cost{sum};
}

/// Regresses every head: rows of outs[h], and its records unless there are none.
template <class Scalar, class S, class M>
void regress(std::span<const Policies<ForwardRule<Scalar>, S, M>> policies, std::span<const Operands<Scalar, S>> heads,
             std::span<const RowsMap<Scalar>> outs, std::span<const std::span<Record<Scalar>>> records,
             const Execution<Scalar>& execution) {
  const Batch<Scalar, S> batch(heads, plans_of<Scalar>(policies, heads), Queries::in_any_order, execution.executor());
  std::vector<Forward<Scalar, S, M>> passes;
  passes.reserve(batch.size());
  Pieces blocks;
  for (std::size_t h = 0; h < batch.size(); ++h) {
    passes.emplace_back(policies[h], batch.head(h));
    blocks.add(batch.head(h).blocks());
  }
  const Cost cost = total_cost(0, batch.size(), batch, policies, execution.executor(), [&](std::size_t h, double seen) {
    return CostModel<Scalar, S>::forward(batch.head(h), seen);
  });
  execution.parallel_for(blocks.total(), [&](Index piece, engine::Workspace<Scalar>& work) {
    // The last blocks first: under a causal mask they are the longest.
    const auto [h, block] = blocks[blocks.total() - 1 - piece];
    RowsMap<Scalar> out = outs[h];
    Record<Scalar>* record = records[h].empty() ? nullptr : &records[h][static_cast<std::size_t>(block)];
    passes[h].regress(block, work, out.data(), out.outerStride(), record);
  }, cost);
}

/// The weights of a head, one entry for each supported pair.
template <class Scalar, class S, class M>
Eigen::SparseMatrix<Scalar, Eigen::RowMajor> weights(const Policies<ForwardRule<Scalar>, S, M>& policies,
                                                     const Rows<Scalar>& query, const Rows<Scalar>& key,
                                                     const Execution<Scalar>& execution) {
  struct Part {
    std::vector<std::size_t> ends;
    std::vector<KeyIndex> keys;
    std::vector<Scalar> weights;
  };
  constexpr Index blocks_at_once = 64;  // what their parts hold is copied
  constexpr std::size_t most = (std::numeric_limits<KeyIndex>::max)();
  Eigen::SparseMatrix<Scalar, Eigen::RowMajor> result(query.rows(), key.rows());
  const Operands<Scalar, S> operands{&query, &key, &key, 0};
  const Batch<Scalar, S> batch({&operands, 1}, plans_of<Scalar, S, M>({&policies, 1}, {&operands, 1}), Queries::in_order,
                               execution.executor());
  const Forward<Scalar, S, M> forward(policies, batch.head(0));
  const Index blocks = batch.head(0).blocks();
  const Index at_once = execution.executor().serial() ? 1 : (std::min)(blocks_at_once, blocks);
  const Cost cost = total_cost(0, 1, batch, std::span(&policies, 1), execution.executor(), [&](std::size_t h, double seen) {
    return CostModel<Scalar, S>::forward(batch.head(h), seen);
  });
  std::vector<Part> parts(static_cast<std::size_t>(at_once));
  std::size_t total = 0;
  Index row = 0;
  for (Index first = 0; first < blocks; first += at_once) {
    const Index count = (std::min)(at_once, blocks - first);
    execution.parallel_for(count, [&](Index i, engine::Workspace<Scalar>& work) {
      Part& part = parts[static_cast<std::size_t>(i)];
      part.ends.clear();
      part.keys.clear();
      part.weights.clear();
      forward.weigh(first + i, work, [&](Index, std::span<const KeyIndex> support, RowView<Scalar> p) {
        for (std::size_t j = 0; j < p.size(); ++j) {
          if (p[j] == Scalar(0)) continue;
          part.keys.push_back(support[j]);
          part.weights.push_back(p[j]);
        }
        part.ends.push_back(part.keys.size());
      });
    }, cost);
    for (Index i = 0; i < count; ++i) {
      const Part& part = parts[static_cast<std::size_t>(i)];
      total += part.keys.size();
      detail::require(total <= most, "NadarayaWatson::weights: query ", detail::shape(query), " and key ", detail::shape(key),
                      " have more than 2^31 - 1 weights");
      std::size_t j = 0;
      for (const std::size_t end : part.ends) {
        result.startVec(row);
        for (; j < end; ++j) result.insertBack(row, part.keys[j]) = part.weights[j];
        ++row;
      }
    }
  }
  result.finalize();
  return result;
}

/// The inputs and outputs of a head's backward pass. Heads with one memory have the same
/// places for dL/dkey and dL/dvalue, where the sums over them are written.
template <class Scalar>
struct GradientPlaces {
  std::span<const Record<Scalar>> records;
  View<Scalar> grad_out;
  RowsMap<Scalar> query;
  RowsMap<Scalar> key;
  RowsMap<Scalar> value;
};

/// Pulls the heads back that read the memories [first_memory, last_memory).
template <class Scalar, class S, class M>
void pull_memories_back(std::size_t first_memory, std::size_t last_memory, const Batch<Scalar, S>& batch,
                        std::span<const Policies<BackwardRule<Scalar>, S, M>> policies,
                        std::span<const Operands<Scalar, S>> heads, std::span<const GradientPlaces<Scalar>> places,
                        Index group_limit, const Execution<Scalar>& execution,
                        std::span<PolicyGradients<Scalar, S, M>> parameters) {
  const AnyExecutor& executor = execution.executor();
  const std::size_t first = batch.first_head(first_memory);
  const std::size_t count = batch.last_head(last_memory - 1) - first;
  using Model = CostModel<Scalar, S>;
  const auto cost_of = [&](const auto& of_head) { return total_cost(first, first + count, batch, policies, executor, of_head); };
  std::vector<std::optional<Backward<Scalar, S, M>>> passes(count);
  executor.parallel_for(static_cast<Index>(count), [&](Index head) {
    const auto i = static_cast<std::size_t>(head);
    const std::size_t h = first + i;
    const GradientPlaces<Scalar>& place = places[h];
    RowsMap<Scalar>(place.query).setZero();
    const bool later = h != batch.first_head(static_cast<std::size_t>(heads[h].memory));
    if (!later) {
      RowsMap<Scalar>(place.key).setZero();
      RowsMap<Scalar>(place.value).setZero();
    }
    passes[i].emplace(policies[h], batch.head(h), place.records, place.grad_out, place.query, place.key, place.value,
                      group_limit, later);
  }, cost_of([&](std::size_t h) {
    const Head<Scalar, S>& head = batch.head(h);
    return Model::rows(head.query.rows) + Model::copies(head.query.rows + head.key.rows, head.query.cols + head.value.cols);
  }));

  Pieces pieces;
  for (const auto& pass : passes) pieces.add(pass->groups() + pass->blocks());
  execution.parallel_for(pieces.total(), [&](Index i, engine::Workspace<Scalar>& work) {
    const auto [head, piece] = pieces[i];
    auto& pass = *passes[head];
    if (piece < pass.groups()) {
      pass.pull_group(piece, work);
    } else {
      pass.pull_block(piece - pass.groups(), work);
    }
  }, cost_of([&](std::size_t h, double seen) { return Model::backward(batch.head(h), places[h].records, seen); }));

  Pieces ranges;
  for (std::size_t m = first_memory; m < last_memory; ++m) ranges.add(passes[batch.first_head(m) - first]->ranges());
  executor.parallel_for(ranges.total(), [&](Index i) {
    const auto [place, range] = ranges[i];
    const std::size_t m = first_memory + place;
    for (std::size_t h = batch.first_head(m); h < batch.last_head(m); ++h) passes[h - first]->gather(range);
  }, cost_of([&](std::size_t h) { return Model::gather(batch.head(h), places[h].records, passes[h - first]->groups()); }));
  for (std::size_t i = 0; i < count; ++i) parameters[first + i] = passes[i]->parameters();
}

/// From gradients of prepared rows to those of the rows. Where one is zero it stays, whatever the row holds: NaN that nobody
/// sees, times zero, is NaN.
template <class Scalar, class S>
void pull_prepared_back(const S& similarity, const Rows<Scalar>& rows, const Rows<Scalar>& prepared, RowsMap<Scalar>& grad) {
  const RowMatrix<Scalar> pulled = similarity.prepared_pullback(rows.matrix(), prepared.matrix(), grad);
  for (Index i = 0; i < grad.rows(); ++i) {
    const auto row = grad.row(i);
    if (std::any_of(row.begin(), row.end(), [](const Scalar& x) { return !(x == Scalar(0)); })) grad.row(i) = pulled.row(i);
  }
}

/// Pulls every head back; returns the gradients of each one's parameters. All places are overwritten.
template <class Scalar, class S, class M>
std::vector<PolicyGradients<Scalar, S, M>> pull_back(std::span<const Policies<BackwardRule<Scalar>, S, M>> policies,
                                                     std::span<const Operands<Scalar, S>> heads,
                                                     std::span<const GradientPlaces<Scalar>> places,
                                                     const Execution<Scalar>& execution) {
  const bool scored = std::any_of(places.begin(), places.end(), [](const auto& place) {
    return std::any_of(place.records.begin(), place.records.end(), [](const auto& record) { return record.recompute; });
  });
  // Pairs are formed again where most are supported: no bound on the keys would rule many out.
  std::vector<Plan<Scalar, S>> plans;
  for (const auto& one : policies) plans.push_back(Plan<Scalar, S>{one.similarity});
  const AnyExecutor& executor = execution.executor();
  const Batch<Scalar, S> batch(heads, std::move(plans), scored ? Queries::in_order : Queries::none, executor);
  // Copies of the gradients of keys and values: one for each head, or a few more to share one out.
  constexpr Index copies = 8;
  const Index group_limit = std::clamp<Index>(copies / (std::max<Index>)(1, static_cast<Index>(batch.size())), 1, copies);
  std::vector<PolicyGradients<Scalar, S, M>> parameters;
  for (const auto& one : policies) parameters.emplace_back(*one.similarity, *one.mask);
  // One thread is done with the pairs of a head before it begins with the next; several share the work of all heads.
  const std::size_t at_once = executor.serial() ? 1 : (std::max<std::size_t>)(1, batch.memories());
  for (std::size_t m = 0; m < batch.memories(); m += at_once) {
    pull_memories_back<Scalar, S, M>(m, m + at_once, batch, policies, heads, places, group_limit, execution, parameters);
  }

  if constexpr (PreparingSimilarity<S>) {
    for (std::size_t h = 0; h < batch.size(); ++h) {
      RowsMap<Scalar> grad = places[h].query;
      pull_prepared_back(*policies[h].similarity, *heads[h].query, batch.prepared_query(h), grad);
    }
    for (std::size_t m = 0; m < batch.memories(); ++m) {
      const std::size_t h = batch.first_head(m);
      RowsMap<Scalar> grad = places[h].key;
      pull_prepared_back(*policies[h].similarity, *heads[h].key, batch.prepared_key(m), grad);
    }
  }
  return parameters;
}

}  // namespace nadaraya::pass

#include "nadaraya/detail/end_precise.hpp"
