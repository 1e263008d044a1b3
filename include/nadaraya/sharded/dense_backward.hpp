// The backward pass of rows in which every key has weight: exact sums, whatever the number of keys.
#pragma once

#include "nadaraya/engine/execution.hpp"
#include "nadaraya/engine/pool.hpp"
#include "nadaraya/engine/row_similarity.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/buffers.hpp"
#include "nadaraya/sharded/candidate_lister.hpp"
#include "nadaraya/sharded/canonical_rows.hpp"
#include "nadaraya/sharded/dense_rows.hpp"
#include "nadaraya/sharded/exact_sum.hpp"
#include "nadaraya/sharded/pulled_rows.hpp"
#include "nadaraya/sharded/row_chunks.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/sharded/tape.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// p_j = kappa(t_j) / mass with kappa' = rate kappa: dL/dt_j = rate p_j (g_j - sum p g). Rounds of a batch of queries, whose
/// scores every rank forms again:
///   1. sum p g of each row, by all_reduce_sum;
///   2. the largest terms of the sums of round 3, by all_reduce_max;
///   3. dL/dquery and the gradients of scale and bandwidth, by all_reduce_sum.
/// Sums are those of SplitAddition.
template <class Scalar, Communicator C>
class DenseBackward {
 public:
  DenseBackward(Session<C>& session, const Shard<Scalar>& shard, const Record<Scalar>& record, Buffers<Scalar>& buffers,
                const Executing<Scalar>& execution, PulledRows<Scalar>& pulled)
      : session_(session),
        shard_(shard),
        record_(record),
        buffers_(buffers),
        execution_(execution),
        pulled_(pulled),
        lister_(shard, execution),
        factor_(shard.policies.similarity->product_bound(Scalar(0), shard.query->cols()).product) {}

  void run() {
    session_.attempt([&] {
      const engine::View<Scalar> key = pulled_.key();
      for (Index j = 0; j < key.rows; ++j) {
        const Scalar size = engine::loops<Scalar>().largest_size(key.row(j), key.cols);
        key_sizes_.push_back(size < Scalar(0) ? infinity : static_cast<double>(size));
      }
    });
    for (Index first = 0; first < shard_.layout.all.queries; first += dense_batch_rows) {
      const Index count = (std::min)(dense_batch_rows, shard_.layout.all.queries - first);
      buffers_.begin_sums(count);
      session_.attempt([&] {
        lister_.list(first, count, [](Index, const CandidateRow<Scalar>&, CanonicalRows<Scalar>&) {});
        if (rows_.size() < static_cast<std::size_t>(count)) rows_.resize(static_cast<std::size_t>(count));
        for_each_row(count, shard_.value_cols(), [&](Index r, Scratch& scratch) { unmix(first, r, scratch); });
      });
      session_.all_reduce_sum(buffers_.sums);
      buffers_.begin_numbers(3 * count, Scalar(0));
      session_.attempt([&] {
        for_each_row(count, is_product() ? Index(0) : cols(), [&](Index r, Scratch& scratch) { unweigh(first, r, scratch); });
      });
      session_.all_reduce_max(std::span(buffers_.numbers));
      buffers_.begin_sums(count * sums_of_row());
      session_.attempt([&] {
        for_each_row(count, cols(), [&](Index r, Scratch& scratch) { add_terms(first, r, scratch); });
      });
      session_.all_reduce_sum(buffers_.sums);
      session_.attempt([&] {
        for (Index r = 0; r < count; ++r) finish_row(first, r);
        pulled_.end_block();
      });
    }
  }

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();

  /// Of the keys of a row on this rank.
  struct Row {
    std::vector<Scalar> p, g;
    std::vector<double> dt;
    std::vector<Scalar> dz;
  };

  /// Memory of a thread.
  struct Scratch {
    DenseScratch<Scalar> dense;
    std::vector<Scalar> grad;
    engine::LineVector<Scalar> widened;  ///< of keys, none of which are in 16 bits
  };

  /// work(r, scratch) for the rows of a batch, each of which reads `numbers` numbers of every key.
  template <class Work>
  void for_each_row(Index count, Index numbers, const Work& work) {
    const RowChunks<Scalar> chunks(count, *execution_);
    chunks.for_each(*execution_, dense_cost(shard_, count, numbers), scratch_, [&](Index, Index r, Scratch& scratch) { work(r, scratch); });
  }

  Index cols() const { return shard_.query->cols(); }
  /// dL/dquery, and the gradients of scale and bandwidth.
  Index sums_of_row() const { return cols() + 2; }
  const RowNormalizer<Scalar>& map(Index query) const { return record_.maps[static_cast<std::size_t>(query)]; }
  bool is_nan(Index query) const { return nadaraya::detail::is_nan(map(query).mass); }
  bool is_product() const { return shard_.policies.similarity->traits().is_product; }
  CandidateRow<Scalar>& local(Index r) { return lister_.row(r); }
  Row& row(Index r) { return rows_[static_cast<std::size_t>(r)]; }

  void unmix(Index first, Index r, Scratch& scratch) {
    if (is_nan(first + r)) return;
    Row& to = row(r);
    const RowView<Scalar> p = DenseRows<Scalar>(shard_, scratch.dense).weigh(map(first + r), local(r));
    const auto n = static_cast<Index>(p.size());
    to.p.assign(p.begin(), p.end());
    to.g.resize(p.size());
    const Scalar* const grad_out = pulled_.grad_out().row(first + r);
    const engine::View<Scalar>& value = shard_.value.view();
    engine::loops<Scalar, engine::BackwardLoops>().dots(local(r).keys().data(), to.p.data(), n, value.data, value.stride,
                                                        value.cols, grad_out, to.g.data());
    if (!shard_.numbers.divides_by_sum) return;
    // |g| is at most the sum of |dL/dout| times the largest value; p is at most 1.
    double size = 0;
    for (Index d = 0; d < value.cols; ++d) size += std::abs(static_cast<double>(grad_out[d]));
    const SplitAddition addition(2 * size * shard_.layout.largest_value, static_cast<double>(shard_.layout.all.keys));
    for (std::size_t j = 0; j < p.size(); ++j) {
      addition.add(static_cast<double>(to.p[j]) * static_cast<double>(to.g[j]), *buffers_.high(r, 1), *buffers_.low(r, 1));
    }
  }

  void unweigh(Index first, Index r, Scratch& scratch) {
    if (is_nan(first + r)) return;
    Row& of = row(r);
    const double mean = shard_.numbers.divides_by_sum ? buffers_.total(r, 1, 0) : 0.0;
    const auto width = static_cast<double>(map(first + r).width);
    of.dt.resize(of.p.size());
    of.dz.resize(of.p.size());
    for (std::size_t j = 0; j < of.p.size(); ++j) {
      of.dt[j] = shard_.numbers.rate * static_cast<double>(of.p[j]) * (static_cast<double>(of.g[j]) - mean);
      of.dz[j] = static_cast<Scalar>(of.dt[j] / width);
    }
    // Bounds of the terms of dL/dquery, and of the gradients of scale and bandwidth.
    double bounds[3] = {0, 0, 0};
    const auto raise = [&](double& bound, double size) { bound = std::isfinite(size) ? (std::max)(bound, size) : infinity; };
    for (std::size_t j = 0; j < of.p.size(); ++j) {
      const Index at = local(r).keys()[j];
      if (is_product()) {
        raise(bounds[0], std::abs(static_cast<double>(of.dz[j])) * key_sizes_[static_cast<std::size_t>(at)]);
      } else {
        const double by_scale = pull_query(first + r, at, of.dz[j], scratch);
        for (const Scalar& x : scratch.grad) raise(bounds[0], std::abs(static_cast<double>(x)));
        raise(bounds[1], std::abs(by_scale));
      }
      raise(bounds[2], std::abs(bandwidth_term(r, j)));
    }
    // Rounded up.
    for (int i = 0; i < 3; ++i) buffers_.numbers[static_cast<std::size_t>(3 * r + i)] = static_cast<Scalar>(bounds[i] * (1 + 1e-6));
  }

  /// The part of dL/dquery of a key, in scratch.grad; returns that of the gradient of scale.
  double pull_query(Index query, Index key, const Scalar& dz, Scratch& scratch) {
    scratch.grad.assign(static_cast<std::size_t>(cols()), Scalar(0));
    const auto one = engine::KeyList::range(key, key + 1);
    return static_cast<double>(
        shard_.policies.similarity->pull_query(pulled_.query().row(query), pulled_.key(), one, &dz, scratch.grad.data()));
  }
  double bandwidth_term(Index r, std::size_t j) {
    return row(r).dt[j] * (shard_.numbers.centre - static_cast<double>(local(r).values()[j]));
  }

  void add_terms(Index first, Index r, Scratch& scratch) {
    if (is_nan(first + r)) return;
    const Scalar* const bounds = buffers_.numbers.data() + 3 * r;
    const auto terms = static_cast<double>(shard_.layout.all.keys);
    const SplitAddition of_query(static_cast<double>(bounds[0]), terms), of_scale(static_cast<double>(bounds[1]), terms),
        of_bandwidth(static_cast<double>(bounds[2]), terms);
    double* const high = buffers_.high(r, sums_of_row());
    double* const low = buffers_.low(r, sums_of_row());
    const Row& of = row(r);
    if (is_product()) add_weighted_rows<Scalar>(of_query, local(r).keys(), of.dz.data(), pulled_.key(), scratch.widened, high, low);
    for (std::size_t j = 0; j < of.p.size(); ++j) {
      if (!is_product()) {
        of_scale.add(pull_query(first + r, local(r).keys()[j], of.dz[j], scratch), high[cols()], low[cols()]);
        for (Index d = 0; d < cols(); ++d) {
          of_query.add(static_cast<double>(scratch.grad[static_cast<std::size_t>(d)]), high[d], low[d]);
        }
      }
      of_bandwidth.add(bandwidth_term(r, j), high[cols() + 1], low[cols() + 1]);
    }
  }

  void finish_row(Index first, Index r) {
    const Index query = first + r;
    if (is_nan(query)) return pulled_.add_nan_row(query);
    if (record_.support_sizes[static_cast<std::size_t>(query)] == 0) return;
    Row& of = row(r);
    ParameterGradients<Scalar> parameters;
    const Scalar* const q = pulled_.query().row(query);
    Scalar* const to = pulled_.grad_query_row(query);
    double by_scale = buffers_.total(r, sums_of_row(), cols());
    const double factor = is_product() ? static_cast<double>(factor_) : 1.0;
    for (Index d = 0; d < cols(); ++d) {
      const double sum = buffers_.total(r, sums_of_row(), d);
      if (is_product()) by_scale += sum * static_cast<double>(q[d]);
      if (to != nullptr) to[d] = static_cast<Scalar>(factor * sum);
    }
    parameters.scale = static_cast<Scalar>(by_scale);
    if (shard_.numbers.bandwidth > 0) {
      parameters.bandwidth =
          static_cast<Scalar>(2 / shard_.numbers.bandwidth * buffers_.total(r, sums_of_row(), cols() + 1));
    }
    pulled_.add_parameters(parameters);
    pairs_.clear();
    for (std::size_t j = 0; j < of.p.size(); ++j) {
      pairs_.push_back({static_cast<KeyIndex>(query), local(r).keys()[j], of.p[j],
                        is_product() ? Scalar(of.dz[j] * factor_) : of.dz[j]});
    }
    pulled_.add_pairs(pairs_);
  }

  Session<C>& session_;
  const Shard<Scalar>& shard_;
  const Record<Scalar>& record_;
  Buffers<Scalar>& buffers_;
  const Executing<Scalar>& execution_;
  PulledRows<Scalar>& pulled_;
  CandidateLister<Scalar> lister_;
  Scalar factor_;
  std::vector<Row> rows_;
  engine::Pool<Scratch> scratch_;
  std::vector<double> key_sizes_;  ///< the largest |x| of each of this rank's keys
  std::vector<engine::Pair<Scalar>> pairs_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
