// Backward over many heads: all their work items are one pool of work.
#pragma once

#include "nadaraya/engine/backward.hpp"
#include "nadaraya/engine/batch.hpp"
#include "nadaraya/engine/cost.hpp"
#include "nadaraya/engine/engine.hpp"
#include "nadaraya/engine/schedule.hpp"
#include "nadaraya/engine/work_items.hpp"
#include "nadaraya/loops/arena.hpp"
#include "nadaraya/loops/buffer.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Pulls the heads back that read the key heads [first_key_head, last_key_head).
template <class Scalar>
void pull_key_heads_back(std::size_t first_key_head, std::size_t last_key_head, const Batch<Scalar>& batch,
                         std::span<const HeadGradients<Scalar>> gradients, Index group_limit,
                         const Execution<Scalar>& execution, std::span<ParameterSums<Scalar>> parameters) {
  const AnyExecutor& executor = execution.executor();
  const std::size_t first = batch.first_head(first_key_head);
  const std::size_t count = batch.last_head(last_key_head - 1) - first;
  using Model = CostModel<Scalar>;
  const auto cost_of = [&](const auto& of_head) { return total_cost(first, first + count, executor, of_head); };
  // Memory that these heads need is given back before the next ones begin; one thread packs their keys there too.
  Arena& memory = execution.memory();
  const Arena::Scope scope(memory);
  LineVector<std::optional<Backward<Scalar>>> passes(count, &memory);
  executor.parallel_for(static_cast<Index>(count), [&](Index head) {
    const auto i = static_cast<std::size_t>(head);
    const std::size_t h = first + i;
    const HeadGradients<Scalar>& to = gradients[h];
    set_zero<Scalar>(to.query);
    const auto key_head = static_cast<std::size_t>(batch.problem(h).key_head);
    const KeyReaders readers{h - batch.first_head(key_head), batch.last_head(key_head) - h - 1};
    if (readers.before == 0) {
      set_zero<Scalar>(to.key);
      set_zero<Scalar>(to.value);
    }
    passes[i].emplace(batch.head(h), to, group_limit, readers, memory);
  }, cost_of([&](std::size_t h) {
    const Head<Scalar>& head = batch.planned(h);
    return Model::rows(head.query.rows) + Model::copies(head.query.rows + head.key().rows, head.query.cols + head.value().cols);
  }));

  WorkItems items(memory);
  for (const auto& pass : passes) items.add(pass->groups() + pass->blocks());
  const Cost backward_cost =
      cost_of([&](std::size_t h) { return Model::backward(batch.planned(h), gradients[h].records, batch.seen(h)); });
  for_each_item<Scalar>(execution, items.total(), backward_cost, [&](Index i, BlockScratch<Scalar>& scratch) {
    const auto [head, item] = items[i];
    Backward<Scalar>& pass = *passes[head];
    if (item < pass.groups()) {
      pass.backward_group(item, scratch);
    } else {
      pass.backward_block(item - pass.groups(), scratch);
    }
  });

  WorkItems ranges(memory);
  for (std::size_t k = first_key_head; k < last_key_head; ++k) ranges.add(passes[batch.first_head(k) - first]->ranges());
  const Cost gather_cost = cost_of(
      [&](std::size_t h) { return Model::gather(batch.planned(h), gradients[h].records, passes[h - first]->groups()); });
  for_each_item<Scalar>(execution, ranges.total(), gather_cost, [&](Index i, BlockScratch<Scalar>& scratch) {
    const auto [position, range] = ranges[i];
    const std::size_t k = first_key_head + position;
    for (std::size_t h = batch.first_head(k); h < batch.last_head(k); ++h) passes[h - first]->gather(range, scratch);
  });
  for (std::size_t i = 0; i < count; ++i) parameters[first + i] = passes[i]->parameters();
}

template <class Scalar>
void backward(std::span<const Problem<Scalar>> heads, std::span<const HeadGradients<Scalar>> gradients,
              std::span<ParameterSums<Scalar>> parameters, const Execution<Scalar>& execution) {
  const bool scored = std::any_of(gradients.begin(), gradients.end(), [](const auto& one) {
    return std::any_of(one.records.begin(), one.records.end(), [](const auto& record) { return record.recompute; });
  });
  const AnyExecutor& executor = execution.executor();
  // Pairs are formed again where most are supported: no bound on the keys would rule many out.
  const Batch<Scalar> batch(heads, scored ? Queries::in_order : Queries::none, false, execution);
  if (!executor.alone()) batch.get_ready(executor);
  // Copies of the gradients of keys and values: one for each head, or a few more to share one out.
  constexpr Index copies = 8;
  const Index group_limit = std::clamp<Index>(copies / (std::max<Index>)(1, static_cast<Index>(batch.size())), 1, copies);
  // One thread is done with the pairs of a head before it begins with the next; several share the work of all heads.
  const std::size_t at_once = executor.alone() ? 1 : (std::max<std::size_t>)(1, batch.key_heads());
  for (std::size_t k = 0; k < batch.key_heads(); k += at_once) {
    pull_key_heads_back<Scalar>(k, k + at_once, batch, gradients, group_limit, execution, parameters);
  }
  for (std::size_t h = 0; h < heads.size(); ++h) {
    const RowSimilarity<Scalar>& similarity = *heads[h].policies.similarity;
    if (!similarity.traits().prepares) continue;
    MatrixMap<Scalar> grad = gradients[h].query;
    similarity.pull_prepared_back(*heads[h].query, batch.prepared_query(h), grad);
    const auto k = static_cast<std::size_t>(heads[h].key_head);
    if (h != batch.first_head(k)) continue;
    MatrixMap<Scalar> grad_key = gradients[h].key;
    similarity.pull_prepared_back(*heads[h].key, batch.prepared_key(k), grad_key);
  }
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
