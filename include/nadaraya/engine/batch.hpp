// Heads whose operands are prepared: shared keys once, at the latest when a block first looks at them.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/cost.hpp"
#include "nadaraya/engine/execution.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/head_group.hpp"
#include "nadaraya/engine/offset_mask.hpp"
#include "nadaraya/engine/prepared_keys.hpp"
#include "nadaraya/engine/problem.hpp"
#include "nadaraya/loops/arena.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/quantized/screening_needs.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Which queries are going to be scored against the keys, and do blocks have to be made of consecutive ones? Alone: each as if
/// it were the only one, with keys that are not read in panels. Among others: as if they were many, with keys that are.
enum class Queries { none, in_order, in_any_order, alone, among_others };

/// What the floors of a head tell before a key is seen.
template <class Scalar>
struct KnownFloor {
  Scalar radius = Scalar(Eigen::NumTraits<Scalar>::infinity());  ///< no key farther from a query has weight
  double seen = 0;                                               ///< keys that a query sees on average, if that is finite
};

template <class Scalar>
KnownFloor<Scalar> known_floor(const Problem<Scalar>& head) {
  KnownFloor<Scalar> known;
  const HeadPolicies<Scalar>& policies = head.policies;
  if (policies.similarity->grid() == nullptr || policies.mask->traits().biased || head.cached != nullptr) return known;
  CandidateRow<Scalar> none;
  CandidateRow<Scalar>* const row = &none;
  policies.rule->refine({&row, 1});
  known.radius = policies.similarity->radius(none.floor(), head.query->cols());
  if (detail::is_finite(known.radius)) {
    known.seen = mean_range(*policies.mask, Extent{head.query->rows(), head.key->rows()});
  }
  return known;
}

template <class Scalar>
class Batch {
 public:
  /// In the memory of the call. Nothing of the keys is read yet.
  Batch(std::span<const Problem<Scalar>> heads, Queries queries_wanted, bool screened, const Execution<Scalar>& execution)
      : problems_(heads),
        screened_(screened),
        memory_(execution.memory()),
        queries_(heads.size(), &memory_),
        orders_(heads.size(), &memory_),
        radii_(&memory_),
        keys_(heads.empty() ? 0 : std::size_t(heads.back().key_head) + 1, &memory_),
        first_head_(keys_.size() + 1, heads.size(), &memory_),
        heads_(&memory_),
        sampled_(heads.size(), &memory_),
        offset_masks_(&memory_) {
    const AnyExecutor& executor = execution.executor();
    for (std::size_t h = heads.size(); h-- > 0;) first_head_[static_cast<std::size_t>(heads[h].key_head)] = h;
    const bool scored = queries_wanted != Queries::none;
    radii_.reserve(keys_.size());
    heads_.reserve(heads.size());
    for (std::size_t k = 0; k < keys_.size(); ++k) radii_.push_back(grid_radius(k, scored && screened));
    executor.parallel_for(static_cast<Index>(keys_.size() + heads.size()), [&](Index item) {
      const auto i = static_cast<std::size_t>(item);
      if (i < keys_.size()) {
        prepare_keys(i, queries_wanted);
      } else {
        prepare_query(i - keys_.size(), queries_wanted == Queries::in_any_order);
      }
    }, executor.alone() ? Cost{} : transforming_cost());
    for (std::size_t h = 0; h < heads.size(); ++h) {
      const auto k = static_cast<std::size_t>(heads[h].key_head);
      const View<Scalar> query = queries_[h].view();
      heads_.push_back(Head<Scalar>{heads[h].policies, query, keys_[k] ? &*keys_[k] : heads[h].cached, orders_[h],
                                    heads[h].policies.similarity->product_bound(Scalar(0), query.cols).product,
                                    heads[h].stream_stored, worth_a_sample(h) ? &sampled_[h] : nullptr});
      if (!screened) heads_.back().policies.screening = Screening::never;
      if (const Index hidden = heads_.back().keys->hidden(); hidden > 0) hide_keys(heads_.back().policies.mask, hidden);
    }
  }

  /// Is it faster to get the keys ready before the blocks? Not where the blocks of a head had better do it, for a region of
  /// their own takes threads as long as the keys of a few short heads.
  bool worth_a_region(const AnyExecutor& executor) const {
    return !executor.alone() && Cost{keys_cost()}.threads(2) > 1;
  }

  /// Gets all keys ready at once, in a region of its own.
  void get_ready(const AnyExecutor& executor) const {
    executor.parallel_for(static_cast<Index>(keys_.size()), [&](Index key_head) {
      const auto& keys = keys_[static_cast<std::size_t>(key_head)];
      if (keys) keys->get_ready();
    }, executor.alone() ? Cost{} : Cost{keys_cost() + queries_cost()});
  }

  std::size_t size() const { return heads_.size(); }
  /// A head whose keys are ready: read by whichever thread comes first.
  const Head<Scalar>& head(std::size_t head) const { return heads(head, head + 1).front(); }
  /// Heads [first, last), likewise.
  std::span<const Head<Scalar>> heads(std::size_t first, std::size_t last) const {
    for (const Head<Scalar>& head : planned(first, last)) head.keys->get_ready();
    return planned(first, last);
  }
  /// The same before their keys are read, to plan the work: of the keys, only their number and how they will be read.
  const Head<Scalar>& planned(std::size_t head) const { return heads_[head]; }
  std::span<const Head<Scalar>> planned(std::size_t first, std::size_t last) const {
    return std::span(heads_).subspan(first, last - first);
  }
  const Problem<Scalar>& problem(std::size_t head) const { return problems_[head]; }
  const Rows<Scalar>& prepared_query(std::size_t head) const { return queries_[head]; }

  std::size_t key_heads() const { return keys_.size(); }
  const Rows<Scalar>& prepared_key(std::size_t key_head) const { return keys_[key_head]->prepared_key(); }
  /// The heads that read a key head, [first, last).
  std::size_t first_head(std::size_t key_head) const { return first_head_[key_head]; }
  std::size_t last_head(std::size_t key_head) const { return first_head_[key_head + 1]; }

  /// May keys be screened in a problem with these numbers of queries and keys?
  static bool screens(const Problem<Scalar>& head, const Extent& all) {
    const Screening screening = screening_of(head.policies);
    if (head.cached != nullptr) return screening != Screening::never && head.cached->screened();
    return screens(screening, all.queries, all.keys, head.query->cols());
  }

  /// How many keys a query of a head looks at on average; 0 where a grid finds them.
  double seen(std::size_t head) const {
    const bool gridded = detail::is_finite(radii_[static_cast<std::size_t>(problems_[head].key_head)]);
    return gridded ? 0.0 : mean_range(heads_[head].mask(), heads_[head].extent());
  }

 private:
  Index query_count(std::size_t key_head) const {
    Index queries = 0;
    for (std::size_t h = first_head(key_head); h < last_head(key_head); ++h) queries += problems_[h].query->rows();
    return queries;
  }

  /// The most queries that one head has: heads are scored one by one, so keys are packed for its sake alone.
  Index most_queries(std::size_t key_head) const {
    Index most = 0;
    for (std::size_t h = first_head(key_head); h < last_head(key_head); ++h) most = (std::max)(most, problems_[h].query->rows());
    return most;
  }

  /// To read all keys and values.
  double keys_cost() const {
    double sum = 0;
    for (const auto& keys : keys_) {
      if (keys) sum += CostModel<Scalar>::copies(keys->key().rows, keys->key().cols + keys->value().cols);
    }
    return sum;
  }

  /// What the same threads do with the queries afterwards: they are woken on the way.
  double queries_cost() const {
    double sum = 0;
    for (const auto& head : problems_) sum += CostModel<Scalar>::rows(head.query->rows());
    return sum;
  }

  /// To transform queries and keys as their similarities want it, and to order queries.
  Cost transforming_cost() const {
    double sum = 0;
    for (const auto& head : problems_) {
      if (!detail::is_finite(radii_[std::size_t(head.key_head)]) && !head.policies.similarity->traits().prepares) continue;
      sum += CostModel<Scalar>::copies(head.query->rows(), head.query->cols()) + CostModel<Scalar>::rows(head.query->rows());
    }
    for (std::size_t k = 0; k < keys_.size(); ++k) {
      const auto& head = problems_[first_head(k)];
      if (head.cached == nullptr && head.policies.similarity->traits().prepares) {
        sum += CostModel<Scalar>::copies(head.key->rows(), head.key->cols());
      }
    }
    return Cost{sum};
  }

  /// A sample costs what a few queries cost; and of keys that are not read in panels, a scan is slow.
  bool worth_a_sample(std::size_t h) const {
    const Problem<Scalar>& head = problems_[h];
    return keys_[static_cast<std::size_t>(head.key_head)] && head.policies.screening == Screening::automatic &&
           head.query->rows() >= sampled_queries;
  }

  Screening screening(const Problem<Scalar>& head) const {
    return screened_ ? screening_of(head.policies) : Screening::never;
  }

  /// Are the rows of all its heads summed key by key? Then each key is read once for a few queries, packed or not.
  bool streamed(std::size_t key_head) const {
    for (std::size_t h = first_head(key_head); h < last_head(key_head); ++h) {
      const HeadPolicies<Scalar>& policies = problems_[h].policies;
      if (policies.lists_keys() || !policies.rule->traits().online || !policies.similarity->traits().is_product) return false;
    }
    return true;
  }

  void prepare_keys(std::size_t key_head, Queries wanted) {
    const Problem<Scalar>& head = problems_[first_head(key_head)];
    const RowSimilarity<Scalar>& similarity = *head.policies.similarity;
    const bool scored = wanted != Queries::none;
    Index queries = scored && wanted != Queries::alone ? most_queries(key_head) : 0;
    if (wanted == Queries::among_others) queries = (std::max)(queries, ScoredKeys<Scalar>::worth_packing);
    if (head.cached != nullptr) {
      // As it is, for a few queries, or where it is screened and hides keys, whose numbers count; many read it in panels.
      const bool as_stored = queries <= most_grouped || head.stream_stored != nullptr;
      if (queries < ScoredKeys<Scalar>::worth_packing || (as_stored && streamed(key_head))) return;
      const bool read_as_stored = queries < sampled_queries || head.cached->hidden() > 0;
      if (read_as_stored && screening(head) != Screening::never && head.cached->screened()) return;
      keys_[key_head].emplace(*head.cached, similarity.traits(), queries, memory_);
      return;
    }
    const bool quantized = scored && screens(screening(head), query_count(key_head), head.key->rows(), head.key->cols());
    const Quantized when = quantized ? Quantized::when_asked : Quantized::never;
    const Search<Scalar> search{queries, radii_[key_head], when, similarity.grid()};
    keys_[key_head].emplace(similarity, *head.key, *head.value, search, memory_);
  }

  /// Replaces a head's mask by one for which the first keys do not exist; heads with one mask share it.
  void hide_keys(const RowMask<Scalar>*& mask, Index hidden) {
    if (offset_masks_.empty()) offset_masks_.reserve(problems_.size());
    if (offset_masks_.empty() || !offset_masks_.back().is_of(*mask, hidden)) offset_masks_.emplace_back(*mask, hidden);
    mask = &offset_masks_.back();
  }

  /// Are keys to be screened?
  static bool screens(Screening screening, Index queries, Index keys, Index cols) {
    if (screening == Screening::never || cols < 1 || cols > most_quantized_cols) return false;
    if (screening == Screening::always) return true;
    return worth_screening(queries, keys, cols);
  }

  void prepare_query(std::size_t h, bool in_any_order) {
    const Problem<Scalar>& head = problems_[h];
    queries_[h] = head.policies.similarity->prepare(*head.query);
    if constexpr (vectorized<Scalar>) {
      const Scalar radius = radii_[static_cast<std::size_t>(head.key_head)];
      // Neighbours look at the same keys and values, which are then still in the cache.
      if (in_any_order && detail::is_finite(radius)) {
        orders_[h] = head.policies.similarity->grid()->morton_order(head.query->view(), radius);
      }
    }
  }

  /// How far queries look for the keys of a key head if these are worth a grid, +infinity if not.
  Scalar grid_radius([[maybe_unused]] std::size_t key_head, [[maybe_unused]] bool scored) const {
    const Scalar infinity(Eigen::NumTraits<Scalar>::infinity());
    if constexpr (vectorized<Scalar>) {
      const Problem<Scalar>& first = problems_[first_head(key_head)];
      const GridFunctions<Scalar>* const grid = first.policies.similarity->grid();
      if (!scored || first.cached != nullptr || grid == nullptr) return infinity;
      const View<Scalar> key = first.key->view();
      Scalar radius(0);
      double seen = double(key.rows);
      for (std::size_t h = first_head(key_head); h < last_head(key_head); ++h) {
        const KnownFloor<Scalar> known = known_floor(problems_[h]);
        radius = (std::max)(radius, known.radius);
        seen = (std::min)(seen, known.seen);
      }
      if (grid->worth_a_grid(key, radius, query_count(key_head), seen)) return radius;
    }
    return infinity;
  }

  std::span<const Problem<Scalar>> problems_;
  bool screened_;
  Arena& memory_;
  LineVector<Rows<Scalar>> queries_;
  LineVector<std::vector<KeyIndex>> orders_;
  LineVector<Scalar> radii_;
  LineVector<std::optional<PreparedKeys<Scalar>>> keys_;
  LineVector<std::size_t> first_head_;
  LineVector<Head<Scalar>> heads_;
  mutable LineVector<SampledOnce> sampled_;
  LineVector<OffsetMask<Scalar>> offset_masks_;  ///< where heads point into
};

/// The sum of cost(head) over heads [first, last); not computed for one thread.
template <class OfHead>
Cost total_cost(std::size_t first, std::size_t last, const AnyExecutor& executor, const OfHead& cost) {
  if (executor.alone()) return Cost{};
  double sum = 0;
  for (std::size_t h = first; h < last; ++h) sum += cost(h);
  return Cost{sum};
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
