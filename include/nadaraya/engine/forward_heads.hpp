// Forward over many heads: all their blocks, and parts of keys, are one pool of work.
#pragma once

#include "nadaraya/engine/batch.hpp"
#include "nadaraya/engine/cost.hpp"
#include "nadaraya/engine/engine.hpp"
#include "nadaraya/engine/forward.hpp"
#include "nadaraya/engine/forward_units.hpp"
#include "nadaraya/engine/key_parts.hpp"
#include "nadaraya/engine/pool.hpp"
#include "nadaraya/engine/schedule.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

template <class Scalar>
void forward(std::span<const Problem<Scalar>> heads, std::span<const MatrixMap<Scalar>> outs,
             std::span<const std::span<Record<Scalar>>> records, const Execution<Scalar>& execution) {
  const Batch<Scalar> batch(heads, Queries::in_any_order, true, execution);
  const AnyExecutor& executor = execution.executor();
  if (batch.worth_a_region(executor)) batch.get_ready(executor);
  ForwardUnits<Scalar> units(batch, outs, records, execution.memory());
  const Cost cost = total_cost(0, batch.size(), executor, [&](std::size_t h) {
    return CostModel<Scalar>::forward(batch.planned(h), batch.seen(h));
  });
  // One thread stays with a head, whose keys are in its cache, fetches the next one meanwhile, and gives its keys the memory
  // of these; several have a head each, whose first block gets the keys ready. The last blocks first: under a causal mask they
  // are the longest.
  std::optional<Arena::Scope> memory_of_keys;
  std::size_t unit = units.count();
  const auto work = [&] {
    for_each_item<Scalar>(execution, units.items(), cost, [&](Index i, BlockScratch<Scalar>& scratch) {
      const Index left = units.items() - 1 - i;
      if (!executor.alone()) return units.work_on(units.in_turn(left, executor.concurrency()), scratch);
      const WorkItems::Item item = units.one_after_the_other(left);
      if (item.head != unit) {
        if (unit == units.count() || !units.same_keys(item.head, unit)) {
          memory_of_keys.reset();
          memory_of_keys.emplace(execution.memory());
        }
        unit = item.head;
        scratch.ahead = unit > 0 ? units.rows(unit - 1, unit) : RowsAhead<Scalar>();
      }
      units.work_on(item, scratch);
    });
  };
  if (!units.in_parts()) return work();
  const auto shared = execution.scratch().pieces().borrow();
  units.begin_parts(*shared);
  work();
}

template <class Scalar>
void weigh(const Problem<Scalar>& problem, const Execution<Scalar>& execution,
           const detail::FunctionRef<void(std::span<const KeyIndex> support, std::span<const Scalar> weights)>& visit) {
  struct Part {
    std::vector<std::size_t> ends;
    std::vector<KeyIndex> keys;
    std::vector<Scalar> weights;
  };
  constexpr Index blocks_at_once = 64;  // what their parts hold is copied
  const Batch<Scalar> batch({&problem, 1}, Queries::in_order, true, execution);
  batch.get_ready(execution.executor());
  const Head<Scalar>& head = batch.head(0);
  const Index blocks = head.blocks();
  const Index at_once = execution.executor().alone() ? 1 : (std::min)(blocks_at_once, blocks);
  const Cost whole = total_cost(0, 1, execution.executor(), [&](std::size_t h) {
    return CostModel<Scalar>::forward(head, batch.seen(h));
  });
  std::vector<Part> parts(static_cast<std::size_t>(at_once));
  for (Index first = 0; first < blocks; first += at_once) {
    const Index count = (std::min)(at_once, blocks - first);
    const Cost cost{whole.multiply_adds * double(count) / double(blocks)};
    for_each_item<Scalar>(execution, count, cost, [&](Index i, BlockScratch<Scalar>& scratch) {
      Part& part = parts[static_cast<std::size_t>(i)];
      part.ends.clear();
      part.keys.clear();
      part.weights.clear();
      weigh_block(head, first + i, scratch, [&](Index, std::span<const KeyIndex> support, RowView<Scalar> p) {
        for (std::size_t j = 0; j < p.size(); ++j) {
          if (p[j] == Scalar(0)) continue;
          part.keys.push_back(support[j]);
          part.weights.push_back(p[j]);
        }
        part.ends.push_back(part.keys.size());
      });
    });
    for (Index i = 0; i < count; ++i) {
      const Part& part = parts[static_cast<std::size_t>(i)];
      std::size_t begin = 0;
      for (const std::size_t end : part.ends) {
        visit(std::span(part.keys).subspan(begin, end - begin), std::span(part.weights).subspan(begin, end - begin));
        begin = end;
      }
    }
  }
}

template <class Scalar>
void list_candidates(const Problem<Scalar>& problem, const Extent& all, const Execution<Scalar>& execution,
                     const detail::FunctionRef<void(std::span<CandidateRow<Scalar>* const> rows)>& refine,
                     const detail::FunctionRef<void(Index first, std::span<const CandidateRow<Scalar>> rows)>& visit) {
  // The order in which products are summed: that of rows also where keys are screened here and not in the whole.
  const bool in_panels = all.queries >= ScoredKeys<Scalar>::worth_packing && !Batch<Scalar>::screens(problem, all);
  Problem<Scalar> part = problem;
  if (in_panels) part.policies.screening = Screening::never;
  const Batch<Scalar> batch({&part, 1}, in_panels ? Queries::among_others : Queries::alone, true, execution);
  batch.get_ready(execution.executor());
  const Head<Scalar>& head = batch.head(0);
  const Cost cost = total_cost(0, 1, execution.executor(), [&](std::size_t h) {
    return CostModel<Scalar>::forward(head, batch.seen(h));
  });
  const auto visit_block = [&](Index block, const BlockScratch<Scalar>& scratch) {
    const QueryRange range = block_range(block, head.query.rows);
    visit(range.first, std::span(scratch.rows.data(), static_cast<std::size_t>(range.count)));
  };
  // Keys without weight that a part alone lists do not matter to the caller: a few queries in parts only where threads gain by it.
  const KeyParts parts = cost.threads(2) > 1 && !execution.executor().alone() ? key_parts(batch.planned(0, 1)) : KeyParts{};
  if (parts.count > 1) {
    const auto shared = execution.scratch().pieces().borrow();
    if ((*shared).parts.size() < static_cast<std::size_t>(parts.count)) (*shared).parts.resize(static_cast<std::size_t>(parts.count));
    const std::span<KeyPart<Scalar>> found((*shared).parts.data(), static_cast<std::size_t>(parts.count));
    for_each_item<Scalar>(execution, parts.count, cost, [&](Index i, BlockScratch<Scalar>& scratch) {
      find_part(head, parts.part(i), refine, scratch, found[static_cast<std::size_t>(i)]);
    });
    merge_candidates<Scalar>(head, found, refine, *shared);
    return visit_block(0, *shared);
  }
  for_each_item<Scalar>(execution, head.blocks(), cost, [&](Index block, BlockScratch<Scalar>& scratch) {
    find_candidates<Scalar>(head, block, false, refine, scratch);
    visit_block(block, scratch);
  });
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
