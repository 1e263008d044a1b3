// The backward pass of one head: unmix, unweigh, unscore.
#pragma once

#include "nadaraya/detail/function_ref.hpp"
#include "nadaraya/pass/head.hpp"
#include "nadaraya/pass/key_sums.hpp"
#include "nadaraya/pass/policy_gradients.hpp"
#include "nadaraya/pass/record.hpp"
#include "nadaraya/pass/rules.hpp"
#include "nadaraya/rows.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::pass {

/// Pulls back through one head in two rounds of independent pieces of work, whose results do not
/// depend on the order or the threads they run in:
///   1. pull_block(b): dL/dz of the recorded pairs of a block of queries, and its part of dL/dquery;
///      pull_group(g): all of that for a group of the blocks whose pairs were not recorded and are
///      formed again, with the group's own sums for dL/dkey and dL/dvalue;
///   2. gather(r): dL/dkey and dL/dvalue for a range of keys, from all blocks in order.
/// Memory: two numbers and two indices for each recorded pair; at most `group_limit` copies of dL/dkey and dL/dvalue and
/// one more for each thread; and for each thread 3 Nk numbers for each of the queries that it pulls back together, which
/// are 24, or as many as leave that below 2^20 numbers, but 6 at least.
template <class Scalar, class S, class M>
class Backward {
 public:
  using Workspace = engine::Workspace<Scalar>;

  /// grad_query, grad_key and grad_value are zero, of the shapes of the head's operands; heads may share the last two, if
  /// their gathers do not run at once: all but the one that gathers first are `later`. Everything must outlive this object.
  Backward(const Policies<BackwardRule<Scalar>, S, M>& policies, const Head<Scalar, S>& head,
           std::span<const Record<Scalar>> records, const View<Scalar>& grad_out, const RowsMap<Scalar>& grad_query,
           const RowsMap<Scalar>& grad_key, const RowsMap<Scalar>& grad_value, Index group_limit, bool later)
      : rule_(*policies.rule),
        similarity_(*policies.similarity),
        mask_(*policies.mask),
        head_(head),
        records_(records),
        scores_(similarity_, mask_, head.query, head.key, *head.scored),
        grad_out_(grad_out),
        grad_query_(grad_query),
        grad_key_(grad_key),
        grad_value_(grad_value),
        later_(later),
        pairs_(records.size()),
        parameters_(records.size(), PolicyGradients<Scalar, S, M>(similarity_, mask_)) {
    const bool any_recomputed = std::any_of(records.begin(), records.end(), [](const auto& r) { return r.recompute; });
    if (!any_recomputed) return;
    groups_.resize(static_cast<std::size_t>(
        std::clamp<Index>(head.query.rows / group_queries, 1, (std::min)(group_limit, blocks()))));
    if (Product<Scalar, S> && rule_.traits().takes_vectors && head.scored->in_panels()) panels_.emplace(head, grad_out);
  }

  Index blocks() const { return static_cast<Index>(records_.size()); }
  Index groups() const { return static_cast<Index>(groups_.size()); }
  Index ranges() const { return (head_.key.rows + range_keys() - 1) / range_keys(); }

  void pull_block(Index block, Workspace& work) {
    const auto b = static_cast<std::size_t>(block);
    const Record<Scalar>& record = records_[b];
    if (record.recompute) return;
    Pairs& pairs = pairs_[b];
    pairs.open(record.keys, range_shift());
    for (Index r = 0; r < record.rows(); ++r) {
      pull_row(block, r, record.row_keys(r), record.row_coordinates(r), work, [&](const Pair& pair) { pairs.add(pair); });
    }
  }

  void pull_group(Index group, Workspace& work) {
    Group& sums = groups_[static_cast<std::size_t>(group)];
    sums.key.setZero(head_.key.rows, head_.key.cols);
    sums.value.setZero(head_.value.rows, head_.value.cols);
    KeySums<Scalar> to(WritableRows<Scalar>(sums.key).matrix(), WritableRows<Scalar>(sums.value).matrix(), Index(0),
                       head_.key.rows, Index(0));
    const Index begin = group * blocks() / groups();
    const Index end = (group + 1) * blocks() / groups();
    for (Index block = begin; block < end; ++block) {
      // Panels bring sums over their queries.
      if ((block - begin) % run_blocks == 0 && block > begin && end - block >= run_blocks) to.end_runs();
      if (!records_[static_cast<std::size_t>(block)].recompute) continue;
      if constexpr (Product<Scalar, S>) {
        if (panels_) {
          pull_in_panels(block, to, work);
          continue;
        }
      }
      pull_by_rows(block, to, work, [](Index) { return true; });
    }
    to.close();
  }

  void gather(Index range) {
    const Index first = range * range_keys();
    const Index last = (std::min)(first + range_keys(), head_.key.rows);
    // What other heads have brought is not to take part in every sum of this one.
    KeySums<Scalar> to(grad_key_, grad_value_, first, last - first, later_ ? engine::pair_run_terms - few_terms : Index(0));
    for (const Pairs& pairs : pairs_) scatter(pairs.range(range), to);
    to.close();
    for (const Group& group : groups_) {
      grad_key_.middleRows(first, last - first) += group.key.middleRows(first, last - first);
      grad_value_.middleRows(first, last - first) += group.value.middleRows(first, last - first);
    }
  }

  /// The gradients of the parameters, once the first round is over.
  PolicyGradients<Scalar, S, M> parameters() const {
    PolicyGradients<Scalar, S, M> total(similarity_, mask_);
    for (const auto& part : parameters_) total += part;
    return total;
  }

 private:
  /// Enough ranges of keys for some threads; the gradients of one stay in the second-level cache.
  static constexpr Index min_range_keys = 256;
  static constexpr std::size_t max_ranges = 16;
  static constexpr Index group_queries = 1024;
  /// Blocks per run of a group's sums, and pairs of a head per run where other heads' sums are present.
  static constexpr Index run_blocks = 10;
  static constexpr Index few_terms = 16;
  /// Queries that are pulled back together in panels: their rows of pairs stay in the second-level
  /// cache for a few thousand keys. Of more keys than fit the limit, fewer.
  static constexpr Index panel_queries = 24;
  static constexpr Index most_numbers = Index(1) << 20;

  using Pair = engine::Pair<Scalar>;

  /// The recorded pairs of a block, range of keys after range, the queries of each in order.
  class Pairs {
   public:
    /// Makes room for a pair with each of the keys. Ranges hold 2^shift keys.
    void open(std::span<const KeyIndex> keys, int shift) {
      shift_ = shift;
      sorted_ = std::make_unique_for_overwrite<Pair[]>(keys.size());
      std::array<std::size_t, max_ranges> counts{};
      for (const KeyIndex key : keys) ++counts[static_cast<std::size_t>(key >> shift)];
      std::exclusive_scan(counts.begin(), counts.end(), ends_.begin(), std::size_t(0));
    }
    void add(const Pair& pair) { sorted_[ends_[static_cast<std::size_t>(pair.key >> shift_)]++] = pair; }

    std::span<const Pair> range(Index range) const {
      const auto i = static_cast<std::size_t>(range);
      const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
      return std::span(sorted_.get() + begin, ends_[i] - begin);
    }

   private:
    int shift_ = 0;
    std::unique_ptr<Pair[]> sorted_;
    std::array<std::size_t, max_ranges> ends_{};  ///< of the ranges, as far as they are filled
  };
  struct Group {
    RowMatrix<Scalar> key;
    RowMatrix<Scalar> value;
  };

  /// The operands of products of matrices.
  struct Panels {
    Panels(const Head<Scalar, S>& head, const View<Scalar>& grads)
        : query(head.query), key(head.key), grad_out(grads), values(head.finite_value->view()) {}

    engine::FiniteRows<Scalar> query;
    engine::FiniteRows<Scalar> key;
    engine::FiniteRows<Scalar> grad_out;
    engine::PackedRows<Scalar> values;
  };

  /// Ranges hold a power of two of keys.
  int range_shift() const {
    const Index keys = (std::max)(min_range_keys, (head_.key.rows + Index(max_ranges) - 1) / Index(max_ranges));
    return static_cast<int>(std::bit_width(static_cast<std::size_t>(keys - 1)));
  }
  Index range_keys() const { return Index(1) << range_shift(); }
  Scalar factor() const { return similarity_.template product_bound<Scalar>(Scalar(0), head_.key.cols).product; }

  /// One row, given its keys and their coordinates: dL/dquery, and visit(pair) for each of its pairs, in order, with
  /// dL/dz times the factor if the similarity is a product. Values without weight are not read.
  template <class Visit>
  void pull_row(Index block, Index r, std::span<const KeyIndex> keys, RowView<Scalar> t, Workspace& work, const Visit& visit) {
    const auto b = static_cast<std::size_t>(block);
    const Index query = records_[b].query(block, r);
    const auto n = static_cast<Index>(keys.size());
    const RowMap<Scalar>& map = records_[b].maps[static_cast<std::size_t>(r)];
    ParameterGradients<Scalar> parameters;
    if (work.dense.size() < 3 * keys.size()) work.dense.resize(6 * keys.size());
    const RowOut<Scalar> p(work.dense.data(), keys.size());
    const RowOut<Scalar> g(p.data() + n, keys.size());
    const RowOut<Scalar> dz(g.data() + n, keys.size());
    rule_.weights(map, t, p);
    engine::with_loops<Scalar>([&](auto loops) {
      loops.dots(keys.data(), p.data(), n, head_.value.data, head_.value.stride, head_.value.cols, grad_out_.row(query),
                 g.data());
    });
    rule_.unweigh(map, t, RowView<Scalar>(g), dz, parameters);
    pull_parameters(block, query, dz, [&](std::size_t j) { return Index(keys[j]); });
    const auto q = head_.query.eigen_row(query);
    if constexpr (Product<Scalar, S>) {
      Scalar* sum = grad_query_.data() + query * grad_query_.outerStride();
      engine::with_loops<Scalar>(
          [&](auto loops) { loops.mix(keys.data(), dz.data(), n, head_.key.data, head_.key.stride, head_.key.cols, sum); });
      // A query without keys may hold anything.
      if (!keys.empty()) finish_query(query, parameters);
      const Scalar scale = factor();
      for (Scalar& dz_j : dz) dz_j *= scale;
    } else {
      Eigen::Matrix<Scalar, 1, Eigen::Dynamic> unused(head_.key.cols), run(head_.key.cols);
      run.setZero();
      Scalar by_scale(0);
      const auto end_run = [&] {
        grad_query_.row(query) += run;
        run.setZero();
        parameters.scale += by_scale;
        by_scale = Scalar(0);
      };
      for (std::size_t j = 0; j < keys.size(); ++j) {
        if (j > 0 && j % std::size_t(engine::list_run_terms) == 0) end_run();
        if (dz[j] == Scalar(0)) continue;
        const auto k = head_.key.eigen_row(keys[j]);
        similarity_.pullback(q, k, dz[j], run, unused);
        if constexpr (ScaledSimilarity<S>) by_scale += similarity_.scale_pullback(q, k, dz[j]);
      }
      end_run();
    }
    parameters_[b].add(parameters);
    for (std::size_t j = 0; j < keys.size(); ++j) visit(Pair{static_cast<KeyIndex>(query), keys[j], p[j], dz[j]});
  }

  /// The gradients of a user's own parameters: dz[j] is that of the similarity of the key key_of(j).
  template <class KeyOf>
  void pull_parameters([[maybe_unused]] Index block, [[maybe_unused]] Index query, [[maybe_unused]] RowView<Scalar> dz,
                       [[maybe_unused]] const KeyOf& key_of) {
    using Gradients = PolicyGradients<Scalar, S, M>;
    if constexpr (Gradients::of_similarity || Gradients::of_bias) {
      Gradients& sums = parameters_[static_cast<std::size_t>(block)];
      const auto q = head_.query.eigen_row(query);
      for (std::size_t j = 0; j < dz.size(); ++j) {
        if (dz[j] == Scalar(0)) continue;
        const Index key = key_of(j);
        if constexpr (Gradients::of_similarity) {
          similarity_.parameter_pullback(q, head_.key.eigen_row(key), dz[j], sums.similarity);
        }
        if constexpr (Gradients::of_bias) mask_.bias_pullback(query, key, head_.extent(), dz[j], sums.bias);
      }
    }
  }

  /// z = factor q.k: given sum_j dz_j k_j in the place of dL/dquery, multiplies it by the factor.
  /// Its product with q is dL/dscale.
  void finish_query(Index query, ParameterGradients<Scalar>& parameters) {
    Scalar* grad = grad_query_.data() + query * grad_query_.outerStride();
    const Index cols = grad_query_.cols();
    engine::with_loops<Scalar>([&](auto loops) {
      Scalar product;
      loops.products(grad, cols, Index(1), cols, head_.query.row(query), &product);
      parameters.scale += product;
      loops.scale(grad, cols, factor(), grad);
    });
  }

  /// The part of dL/dkey and dL/dvalue that some pairs bring.
  void scatter(std::span<const Pair> pairs, KeySums<Scalar>& to) const {
    engine::with_loops<Scalar>([&](auto loops) {
      while (!pairs.empty()) {
        const auto n = static_cast<Index>(pairs.size());
        const Index done = loops.template scatter<&Pair::p, true>(pairs.data(), n, grad_out_.data, grad_out_.stride,
                                                                  to.value.cols(), to.value.data(), to.value.outerStride(),
                                                                  to.first(), to.terms());
        scatter_keys(pairs.first(static_cast<std::size_t>(done)), to);
        const Index last = pairs[static_cast<std::size_t>(done - 1)].key;
        if (to.is_run(last)) to.end_run(last);
        pairs = pairs.subspan(static_cast<std::size_t>(done));
      }
    });
  }

  /// That of dL/dkey.
  void scatter_keys(std::span<const Pair> pairs, KeySums<Scalar>& to) const {
    if constexpr (Product<Scalar, S>) {
      engine::with_loops<Scalar>([&](auto loops) {
        loops.template scatter<&Pair::dz, false>(pairs.data(), static_cast<Index>(pairs.size()), head_.query.data,
                                                 head_.query.stride, to.key.cols(), to.key.data(), to.key.outerStride(),
                                                 to.first(), nullptr);
      });
    } else {
      Eigen::Matrix<Scalar, 1, Eigen::Dynamic> unused(head_.query.cols);
      for (const Pair& pair : pairs) {
        if (pair.dz == Scalar(0)) continue;
        similarity_.pullback(head_.query.eigen_row(pair.query), head_.key.eigen_row(pair.key), pair.dz, unused,
                             to.key.row(pair.key));
      }
    }
  }

  /// The queries of a block whose pairs were not recorded that are wanted(query), row by row.
  void pull_by_rows(Index block, KeySums<Scalar>& to, Workspace& work, const detail::FunctionRef<bool(Index query)>& wanted) {
    const Record<Scalar>& record = records_[static_cast<std::size_t>(block)];
    std::vector<KeyIndex> keys;
    std::vector<Scalar> t;
    std::vector<Scalar> p;
    std::vector<Pair> pairs;
    scores_.score_block(block, [](std::span<Row<Scalar>* const>) {}, work);
    const QueryRange range = block_range(block, head_.query.rows);
    for (Index r = 0; r < range.count; ++r) {
      const Index query = scores_.query(range.first + r);
      if (!wanted(query) || record.support_sizes[static_cast<std::size_t>(r)] == 0) continue;
      const Row<Scalar>& row = work.rows[static_cast<std::size_t>(r)];
      const RowMap<Scalar>& map = record.maps[static_cast<std::size_t>(r)];
      keys.assign(row.keys().begin(), row.keys().end());
      t.resize(row.size());
      for (std::size_t j = 0; j < row.size(); ++j) t[j] = map.coordinate(row.values()[j]);
      if (rule_.traits().sparse) {
        // Keys without weight have no gradient, also where that of the row is NaN.
        p.resize(t.size());
        rule_.weights(map, RowView<Scalar>(t), RowOut<Scalar>(p));
        std::size_t kept = 0;
        for (std::size_t j = 0; j < t.size(); ++j) {
          if (p[j] == Scalar(0)) continue;
          keys[kept] = keys[j];
          t[kept++] = t[j];
        }
        keys.resize(kept);
        t.resize(kept);
      }
      pairs.clear();
      pull_row(block, r, keys, RowView<Scalar>(t), work, [&](const Pair& pair) { pairs.push_back(pair); });
      scatter(pairs, to);
    }
  }

  /// The same as products of matrices: with P and dZ the weights and their gradients by similarity of
  /// some queries and the keys they see,
  ///   dV += P^T dO,   G = dO V^T,   dQ = dZ K,   dK += dZ^T Q.
  /// NaN and infinity in an operand are zeros here, so that pairs without weight add zero. The queries
  /// for which they matter go row by row, except where NaN among the similarities has made all weights
  /// NaN.
  void pull_in_panels(Index block, KeySums<Scalar>& to, Workspace& work) {
    const QueryRange range = block_range(block, head_.query.rows);
    const KeyRange seen = scores_.begin_block(range.first, range.count, work);
    const Index tile = engine::tile_queries;
    const Index fitting = most_numbers / (3 * (std::max<Index>)(1, seen.last - seen.first)) / tile * tile;
    const Index some = std::clamp(fitting, tile, panel_queries);
    for (Index r = 0; r < range.count; r += some) pull_panel_queries(block, r, (std::min)(some, range.count - r), to, work);
    const auto odd = [&](Index query) { return is_odd(query); };
    for (Index r = 0; r < range.count; ++r) {
      if (odd(range.first + r)) return pull_by_rows(block, to, work, odd);
    }
  }

  /// Does NaN or infinity in a value or in dL/dout matter to a query?
  bool is_odd(Index query) const {
    const auto& bad = panels_->grad_out.replaced();
    return std::binary_search(bad.begin(), bad.end(), query) ||
           sees_any<Scalar>(mask_, query, head_.finite_value->replaced(), head_.extent());
  }

  /// Products of dL/dout with values that have no weight become zeros if one is so large that 0 times it, or times a
  /// difference, might be NaN.
  static void leave_out_large(RowView<Scalar> p, RowOut<Scalar> g) {
    const Scalar largest = engine::with_loops<Scalar>(
        [&](auto loops) { return loops.largest_size(g.data(), static_cast<Index>(g.size())); });
    if (largest >= Scalar(0) && largest < (std::numeric_limits<Scalar>::max)() / Scalar(4)) return;
    for (std::size_t j = 0; j < g.size(); ++j) {
      if (p[j] == Scalar(0)) g[j] = Scalar(0);
    }
  }

  void pull_panel_queries(Index block, Index r, Index count, KeySums<Scalar>& to, Workspace& work) {
    const Record<Scalar>& record = records_[static_cast<std::size_t>(block)];
    PolicyGradients<Scalar, S, M>& block_gradients = parameters_[static_cast<std::size_t>(block)];
    const Index query = block * engine::block_queries + r;
    const Extent extent = head_.extent();
    const KeyRange seen = range_of_all(mask_, query, count, extent);
    if (seen.first >= seen.last) return;
    const Index first = engine::panel_begin(seen.first);
    const Index n = seen.last - first;
    const Index ld = engine::panel_begin(n + engine::panel_keys - 1) + 16;  // rows must not share their cache sets
    work.dense.resize(static_cast<std::size_t>(3 * count * ld));
    Scalar* const t = work.dense.data();
    Scalar* const p = t + count * ld;
    Scalar* const g = p + count * ld;
    const Index dim = head_.key.cols;
    const Index cols = head_.value.cols;
    const View<Scalar>& finite_query = panels_->query.view();
    const View<Scalar>& finite_key = panels_->key.view();
    const View<Scalar>& grad_out = panels_->grad_out.view();

    scores_.products(r, count, first, seen.last, work, t, ld);
    // A coordinate so far outside that every profile is zero there, and finite.
    const Scalar hidden(-(std::numeric_limits<Scalar>::max)() / Scalar(4));
    const auto row = [n, ld](Scalar* pairs, Index i) { return RowOut<Scalar>(pairs + i * ld, static_cast<std::size_t>(n)); };
    const auto map_of = [&](Index i) -> const RowMap<Scalar>& { return record.maps[static_cast<std::size_t>(r + i)]; };
    const auto left_out = [&](Index i) {
      return record.support_sizes[static_cast<std::size_t>(r + i)] == 0 || is_odd(query + i);
    };
    for (Index i = 0; i < count; ++i) {
      const RowOut<Scalar> t_i = row(t, i);
      const RowOut<Scalar> p_i = row(p, i);
      if (left_out(i)) {
        std::fill(t_i.begin(), t_i.end(), hidden);
      } else {
        add_bias(mask_, query + i, extent, first, seen.last, t_i.data());
        engine::with_loops<Scalar>([&](auto loops) { loops.coordinates(map_of(i), t_i.data(), n); });
        hide(mask_, query + i, extent, first, seen.last, hidden, t_i.data());
      }
      if (detail::is_nan(map_of(i).mass)) {
        for (std::size_t j = 0; j < t_i.size(); ++j) p_i[j] = t_i[j] == hidden ? Scalar(0) : map_of(i).mass;
      } else {
        rule_.weights(map_of(i), RowView<Scalar>(t_i), p_i);
      }
    }
    engine::with_loops<Scalar>([&](auto loops) {
      loops.template multiply<true>(n, count, cols, p, Index(1), ld, grad_out.row(query), grad_out.stride,
                                    to.value.data() + first * cols, cols);
      for (Index key = first; key < seen.last; key += engine::panel_keys) {
        loops.template multiply<false>(count, cols, engine::panel_keys, grad_out.row(query), grad_out.stride,
                                       Index(1), panels_->values.panel(key), engine::panel_keys, g + (key - first), ld);
      }
    });
    Scalar* const dz = p;
    for (Index i = 0; i < count; ++i) {
      if (left_out(i)) continue;
      ParameterGradients<Scalar> parameters;
      if (detail::is_nan(map_of(i).mass)) {
        parameters.bandwidth += map_of(i).mass;
        parameters.alpha += map_of(i).mass;
      } else {
        leave_out_large(RowView<Scalar>(row(p, i)), row(g, i));
        rule_.unweigh(map_of(i), RowView<Scalar>(row(t, i)), RowView<Scalar>(row(g, i)), row(dz, i), parameters);
      }
      pull_parameters(block, query + i, row(dz, i), [&](std::size_t j) { return first + static_cast<Index>(j); });
      block_gradients.add(parameters);
    }
    engine::with_loops<Scalar>([&](auto loops) {
      loops.template multiply<false>(count, n, dim, dz, ld, Index(1), finite_key.row(first), finite_key.stride,
                                     grad_query_.data() + query * grad_query_.outerStride(), grad_query_.outerStride());
      // Not a query times the factor, which may overflow.
      for (Index i = 0; i < count; ++i) loops.scale(dz + i * ld, n, factor(), dz + i * ld);
      loops.template multiply<true>(n, count, dim, dz, Index(1), ld, finite_query.row(query), finite_query.stride,
                                    to.key.data() + first * dim, dim);
    });
    for (Index i = 0; i < count; ++i) {
      if (left_out(i)) continue;
      ParameterGradients<Scalar> parameters;
      finish_query(query + i, parameters);
      block_gradients.add(parameters);
    }
  }

  const BackwardRule<Scalar>& rule_;
  const S& similarity_;
  const M& mask_;
  const Head<Scalar, S>& head_;
  std::span<const Record<Scalar>> records_;
  engine::Scores<Scalar, S, M> scores_;
  View<Scalar> grad_out_;
  RowsMap<Scalar> grad_query_;
  RowsMap<Scalar> grad_key_;
  RowsMap<Scalar> grad_value_;
  bool later_;
  std::vector<Pairs> pairs_;
  std::vector<PolicyGradients<Scalar, S, M>> parameters_;
  std::vector<Group> groups_;
  std::optional<Panels> panels_;
};

}  // namespace nadaraya::pass

#include "nadaraya/detail/end_precise.hpp"
