// The operator: attention as a Nadaraya-Watson regression, forward and backward, one head.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/scores.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/mask/mask.hpp"
#include "nadaraya/normalization/adaptive.hpp"
#include "nadaraya/row_rule.hpp"
#include "nadaraya/similarity/dot_product.hpp"
#include "nadaraya/tape.hpp"

#include <Eigen/SparseCore>

#include <limits>
#include <utility>
#include <vector>

namespace nadaraya {

namespace detail {

template <class Scalar>
struct ScaleGradient {
  Scalar scale{0};
};
template <class Scalar>
struct BandwidthGradient {
  Scalar bandwidth{0};
};
template <class Scalar>
struct AlphaGradient {
  Scalar alpha{0};
};
template <int>
struct NoGradient {};

}  // namespace detail

/// Gradients of a loss by an operator's inputs, each of its input's shape, and by those of its
/// parameters that exist: `.scale` of the similarity, `.bandwidth` of the normalization, `.alpha`
/// of the kernel (sums over all rows).
template <class Scalar, bool Scale, bool Bandwidth, bool Alpha>
struct Gradients : std::conditional_t<Scale, detail::ScaleGradient<Scalar>, detail::NoGradient<0>>,
                   std::conditional_t<Bandwidth, detail::BandwidthGradient<Scalar>, detail::NoGradient<1>>,
                   std::conditional_t<Alpha, detail::AlphaGradient<Scalar>, detail::NoGradient<2>> {
  RowMatrix<Scalar> query;
  RowMatrix<Scalar> key;
  RowMatrix<Scalar> value;
};

/// out_i = sum_j p_ij v_j, where the weights of query i,
///   p_ij = kappa(t_ij) / mass_i,   t_ij from z_ij = similarity(q_i, k_j),
/// are given by a kernel and a normalization over the keys the mask leaves visible.
///
/// Shapes: query [Nq x D], key [Nk x D], value [Nk x Dv], out [Nq x Dv]; rows are tokens. Any real
/// dense Eigen expressions of one scalar. Any size may be 0.
/// Cost: O(Nq Nk D) for the scores (masked panels left out), O(support (D + Dv)) for everything
/// after them, forward and backward, with a compact kernel. Memory: see Tape.
/// Special values: an empty row (no visible key, or none within the bandwidth) gives zeros, passes
/// no gradient and is counted; NaN in a visible key or in a query makes exactly the rows that see
/// it NaN; NaN in a value reaches the rows that give it weight.
/// Errors: std::invalid_argument before anything is written.
/// Source: arXiv 2601.22766.
template <class K, class N = Adaptive, class S = DotProduct, class M = NoMask>
class NadarayaWatson {
  static_assert(Kernel<K>, "the first policy is a kernel: compact, profile(t), derivative(t); see kernel/kernel.hpp");
  static_assert(Similarity<S>, "the third policy is a similarity: score and pullback; see similarity/similarity.hpp");
  static_assert(Mask<M>, "the fourth policy is a mask: range(query, extent); see mask/mask.hpp");

 public:
  template <class Scalar>
  using GradientsOf = Gradients<Scalar, ScaledSimilarity<S>, HasBandwidth<N>, AlphaKernel<K>>;

  explicit NadarayaWatson(K kernel = K{}, N normalization = N{}, S similarity = S{}, M mask = M{})
      : kernel_(std::move(kernel)),
        normalization_(std::move(normalization)),
        similarity_(std::move(similarity)),
        mask_(std::move(mask)) {
    if constexpr (requires { N::template check<K, S, M>(); }) N::template check<K, S, M>();
  }

  const K& kernel() const { return kernel_; }
  const N& normalization() const { return normalization_; }
  const S& similarity() const { return similarity_; }
  const M& mask() const { return mask_; }

  /// The regression alone: no tape. Returns [Nq x Dv]. Blocks of queries are shared out over the
  /// executor (Serial, Threads{n} or your own); the result does not depend on it.
  template <RealExpression Q, RealExpression Ke, RealExpression V, Executor E = Serial>
  RowMatrix<ScalarOf<Q>> operator()(const Q& query, const Ke& key, const V& value, const E& executor = {}) const {
    using Scalar = ScalarOf<Q>;
    validate<Scalar>(query, key, "NadarayaWatson::operator()");
    require_values<Scalar>(key, value, "NadarayaWatson::operator()");
    const Rows<Scalar> values(value);
    RowMatrix<Scalar> out(query.rows(), value.cols());
    for_each_row(Rows<Scalar>(query), Rows<Scalar>(key), executor,
                 [&](Index i, const RowMap<Scalar>&, const Row<Scalar>& row, RowView<Scalar> p) {
                   mix(row.keys(), p, values, out.data() + i * out.cols());
                 });
    return out;
  }

  /// The regression with a record for `backward`. `out` is a matrix (resized to [Nq x Dv]) or a
  /// map, block or Ref of that shape; it must not share memory with the inputs.
  template <RealExpression Q, RealExpression Ke, RealExpression V, class Out, Executor E = Serial>
  Tape<ScalarOf<Q>> forward(Q&& query, Ke&& key, V&& value, Out&& out, const E& executor = {}) const {
    using Scalar = ScalarOf<Q>;
    validate<Scalar>(query, key, "NadarayaWatson::forward");
    require_values<Scalar>(key, value, "NadarayaWatson::forward");
    prepare_output<Scalar>(out, query.rows(), value.cols());

    Tape<Scalar> tape;
    tape.query_ = Rows<Scalar>(std::forward<Q>(query));
    tape.key_ = Rows<Scalar>(std::forward<Ke>(key));
    tape.value_ = Rows<Scalar>(std::forward<V>(value));
    tape.chunks_.resize(static_cast<std::size_t>((out.rows() + engine::block_queries - 1) / engine::block_queries));
    for_each_row(tape.query_, tape.key_, executor,
                 [&](Index i, const RowMap<Scalar>& map, const Row<Scalar>& row, RowView<Scalar> p) {
                   Eigen::Matrix<Scalar, 1, Eigen::Dynamic> mixed(out.cols());
                   mix(row.keys(), p, tape.value_, mixed.data());
                   out.row(i) = mixed;
                   auto& chunk = tape.chunks_[static_cast<std::size_t>(i / engine::block_queries)];
                   if constexpr (Rule::sparse) {
                     Index supported = 0;
                     for (const Scalar& p_j : p) supported += p_j == Scalar(0) ? 0 : 1;
                     chunk.record(map, supported, row.keys(), row.values());
                   } else {
                     chunk.record(map, static_cast<Index>(row.size()), {}, {});
                   }
                 });
    return tape;
  }

  /// The gradients of a loss L, given `grad_out` = dL/dout [Nq x Dv] and the tape of the forward
  /// pass of this same operator. Work: O(support (D + Dv)) with a compact kernel.
  template <class Scalar, RealExpression G>
  GradientsOf<Scalar> backward(const Tape<Scalar>& tape, const G& grad_out) const {
    static_assert(std::is_same_v<ScalarOf<G>, Scalar>, "grad_out must have the scalar of the forward pass");
    detail::require(grad_out.rows() == tape.queries() && grad_out.cols() == tape.value().cols(),
                    "NadarayaWatson::backward: grad_out must be [", tape.queries(), " x ", tape.value().cols(),
                    "] like the output, got ", detail::shape(grad_out));
    const Rows<Scalar> query = prepared(tape.query());
    const Rows<Scalar> key = prepared(tape.key());
    const Rows<Scalar> grads_out(grad_out);
    const auto q = query.view();
    const auto k = key.view();
    const auto v = tape.value().view();
    const Rule rule = row_rule();

    GradientsOf<Scalar> grads;
    grads.query.setZero(q.rows(), q.cols());
    grads.key.setZero(k.rows(), k.cols());
    grads.value.setZero(v.rows(), v.cols());
    ParameterGradients<Scalar> parameters;
    std::vector<Scalar> p, g, dz;

    const auto pull_row = [&](Index i, std::span<const KeyIndex> keys, RowView<Scalar> t) {
      const RowMap<Scalar>& map = tape.row(i);
      p.resize(keys.size());
      g.resize(keys.size());
      dz.resize(keys.size());
      rule.weights(map, t, RowOut<Scalar>(p));
      unmix(keys, RowView<Scalar>(p), tape.value(), grads_out.data() + i * grads_out.stride(), RowOut<Scalar>(g),
            grads.value);
      rule.unweigh(map, t, RowView<Scalar>(g), RowOut<Scalar>(dz), parameters);
      unscore(similarity_, keys, RowView<Scalar>(dz), i, query, key, grads.query, grads.key, parameters);
    };
    if constexpr (Rule::sparse) {
      for (Index i = 0; i < q.rows(); ++i) pull_row(i, tape.support(i), tape.coordinates(i));
    } else {
      std::vector<Scalar> t;
      score_rows(query, key, Serial{}, [&](Index i, Row<Scalar>& row, engine::Workspace<Scalar>&) {
        t.resize(row.size());
        for (std::size_t j = 0; j < row.size(); ++j) t[j] = tape.row(i).coordinate(row.values()[j]);
        pull_row(i, row.keys(), RowView<Scalar>(t));
      });
    }
    if constexpr (PreparingSimilarity<S>) {
      grads.query = similarity_.prepared_pullback(tape.query().view(), q, grads.query);
      grads.key = similarity_.prepared_pullback(tape.key().view(), k, grads.key);
    }
    if constexpr (ScaledSimilarity<S>) grads.scale = parameters.scale;
    if constexpr (HasBandwidth<N>) grads.bandwidth = parameters.bandwidth;
    if constexpr (AlphaKernel<K>) grads.alpha = parameters.alpha;
    return grads;
  }

  /// The weights themselves, [Nq x Nk], one entry for each supported pair: what attends to what.
  template <RealExpression Q, RealExpression Ke>
  Eigen::SparseMatrix<ScalarOf<Q>, Eigen::RowMajor> weights(const Q& query, const Ke& key) const {
    using Scalar = ScalarOf<Q>;
    validate<Scalar>(query, key, "NadarayaWatson::weights");
    Eigen::SparseMatrix<Scalar, Eigen::RowMajor> result(query.rows(), key.rows());
    for_each_row(Rows<Scalar>(query), Rows<Scalar>(key), Serial{},
                 [&](Index i, const RowMap<Scalar>&, const Row<Scalar>& row, RowView<Scalar> p) {
                   result.startVec(i);
                   for (std::size_t j = 0; j < p.size(); ++j) {
                     if (!(p[j] == Scalar(0))) result.insertBack(i, row.keys()[j]) = p[j];
                   }
                 });
    result.finalize();
    return result;
  }

 private:
  using Rule = RowRule<K, N>;

  Rule row_rule() const { return Rule(kernel_, normalization_, distance_factor<S>()); }

  /// The rows as the similarity compares them.
  template <class Scalar>
  Rows<Scalar> prepared(const Rows<Scalar>& rows) const {
    if constexpr (PreparingSimilarity<S>) {
      return Rows<Scalar>(similarity_.prepared(rows.view()));
    } else {
      return Rows<Scalar>(rows.view());
    }
  }

  template <class Scalar, class Q, class Ke>
  void validate(const Q& query, const Ke& key, const char* function) const {
    static_assert(std::is_same_v<ScalarOf<Ke>, Scalar>, "query and key must have the same scalar");
    static_assert(NormalizationOf<N, K, Scalar>,
                  "the second policy is a normalization: floor, solve, pullback; see normalization/normalization.hpp");
    detail::require(query.cols() == key.cols(), function, ": query and key must have the same number of columns, got ",
                    detail::shape(query), " and ", detail::shape(key));
    detail::require(key.rows() <= (std::numeric_limits<KeyIndex>::max)(), function, ": key has ", key.rows(),
                    " rows, more than 2^31 - 1");
    if constexpr (requires { kernel_.validate(); }) kernel_.validate();
    if constexpr (requires { similarity_.validate(); }) similarity_.validate();
    if constexpr (requires { normalization_.template validate<Scalar>(0.0); }) {
      normalization_.template validate<Scalar>(distance_factor<S>());
    }
    const Extent n{query.rows(), key.rows()};
    if constexpr (requires { mask_.validate(n); }) mask_.validate(n);
  }

  template <class Scalar, class Ke, class V>
  static void require_values(const Ke& key, const V& value, const char* function) {
    static_assert(std::is_same_v<ScalarOf<V>, Scalar>, "query, key and value must have the same scalar");
    detail::require(key.rows() == value.rows(), function, ": key and value must have the same number of rows, got ",
                    detail::shape(key), " and ", detail::shape(value));
  }

  template <class Scalar, class Out>
  static void prepare_output(Out& out, Index rows, Index cols) {
    static_assert(std::is_same_v<ScalarOf<Out>, Scalar>, "out must have the scalar of the inputs");
    if constexpr (std::is_base_of_v<Eigen::PlainObjectBase<Out>, Out>) {
      out.resize(rows, cols);
    } else {
      detail::require(out.rows() == rows && out.cols() == cols, "NadarayaWatson::forward: out must be [", rows, " x ",
                      cols, "], got ", detail::shape(out));
    }
  }

  template <class Scalar>
  static engine::View<Scalar> strided(const Rows<Scalar>& rows) {
    return engine::View<Scalar>{rows.data(), rows.rows(), rows.cols(), rows.stride()};
  }

  /// Score: visit(i, candidates, workspace) for every query; those of a block in order, on one thread.
  template <class Scalar, class E, class Visit>
  void score_rows(const Rows<Scalar>& query, const Rows<Scalar>& key, const E& executor, const Visit& visit) const {
    const Rule rule = row_rule();
    const engine::Scores<Scalar, S, M> scores(similarity_, mask_, strided(query), strided(key));
    engine::Pool<engine::Workspace<Scalar>> workspaces;
    executor.parallel_for(scores.blocks(), [&](Index block) {
      const auto work = workspaces.borrow();
      scores.visit_block(
          block, [&](RowView<Scalar> z) { return rule.floor(z); }, *work,
          [&](Index i, Row<Scalar>& row) { visit(i, row, *work); });
    });
  }

  /// Score and weigh: visit(i, map, support with coordinates, weights).
  template <class Scalar, class E, class Visit>
  void for_each_row(const Rows<Scalar>& query, const Rows<Scalar>& key, const E& executor, const Visit& visit) const {
    const Rows<Scalar> prepared_query = prepared(query);
    const Rows<Scalar> prepared_key = prepared(key);
    const Rule rule = row_rule();
    const Extent n{query.rows(), key.rows()};
    score_rows(prepared_query, prepared_key, executor,
               [&](Index i, Row<Scalar>& row, engine::Workspace<Scalar>& work) {
                 // Which keys a NaN left among the candidates depends on the order of tiles: take them all.
                 if (Rule::poisoned(row)) all_visible(i, n, row);
                 const RowMap<Scalar> map = rule.weigh(row, work.weights);
                 visit(i, map, row, RowView<Scalar>(work.weights.data(), row.size()));
               });
  }

  /// Every visible key of a query, with NaN for its similarity.
  template <class Scalar>
  void all_visible(Index query, const Extent& n, Row<Scalar>& row) const {
    row.clear();
    const KeyRange range = mask_.range(query, n);
    for (Index j = range.first; j < range.last; ++j) {
      if (is_visible(mask_, query, j, n)) {
        row.push(static_cast<KeyIndex>(j), Scalar(std::numeric_limits<Scalar>::quiet_NaN()));
      }
    }
  }

  /// Mix: out = sum_j p_j v_j. Values without weight are not read.
  template <class Scalar>
  static void mix(std::span<const KeyIndex> keys, RowView<Scalar> p, const Rows<Scalar>& value, Scalar* out) {
    engine::with_loops<Scalar>([&](auto loops) {
      loops.mix(keys.data(), p.data(), static_cast<Index>(keys.size()), value.data(), value.stride(), value.cols(), out);
    });
  }

  /// Unmix: g_j = v_j . dL/dout, and dL/dv_j += p_j dL/dout. A key without weight (the one that lends
  /// its bandwidth) has no value to read.
  template <class Scalar>
  static void unmix(std::span<const KeyIndex> keys, RowView<Scalar> p, const Rows<Scalar>& value,
                    const Scalar* grad_out, RowOut<Scalar> g, RowMatrix<Scalar>& grad_value) {
    const auto n = static_cast<Index>(keys.size());
    engine::with_loops<Scalar>([&](auto loops) {
      loops.dots(keys.data(), p.data(), n, value.data(), value.stride(), value.cols(), grad_out, g.data());
      loops.scatter(keys.data(), p.data(), n, grad_out, value.cols(), grad_value.data(), value.cols());
    });
  }

  /// Unscore: from dL/dz of one row to dL/dquery, dL/dkey and dL/dscale.
  template <class Scalar>
  static void unscore(const S& similarity, std::span<const KeyIndex> keys, RowView<Scalar> dz, Index i,
                      const Rows<Scalar>& query, const Rows<Scalar>& key, RowMatrix<Scalar>& grad_query,
                      RowMatrix<Scalar>& grad_key, ParameterGradients<Scalar>& parameters) {
    const auto q = query.view();
    const auto k = key.view();
    if constexpr (engine::vectorized<Scalar> && std::is_same_v<S, DotProduct>) {
      // z = scale q.k: dq = scale sum_j dz_j k_j, dk_j = scale dz_j q, and dscale = q . sum_j dz_j k_j.
      const auto factor = similarity.template product_bound<Scalar>(Scalar(0), query.cols()).product;
      const auto n = static_cast<Index>(keys.size());
      Eigen::Matrix<Scalar, 1, Eigen::Dynamic> sum(query.cols());
      const Eigen::Matrix<Scalar, 1, Eigen::Dynamic> scaled = factor * q.row(i);
      engine::with_loops<Scalar>([&](auto loops) {
        loops.mix(keys.data(), dz.data(), n, key.data(), key.stride(), key.cols(), sum.data());
        loops.scatter(keys.data(), dz.data(), n, scaled.data(), key.cols(), grad_key.data(), key.cols());
      });
      grad_query.row(i) += factor * sum;
      parameters.scale += sum.dot(q.row(i));
    } else {
      for (std::size_t j = 0; j < keys.size(); ++j) {
        if (dz[j] == Scalar(0)) continue;
        similarity.pullback(q.row(i), k.row(keys[j]), dz[j], grad_query.row(i), grad_key.row(keys[j]));
        if constexpr (ScaledSimilarity<S>) {
          parameters.scale += similarity.scale_pullback(q.row(i), k.row(keys[j]), dz[j]);
        }
      }
    }
  }

  K kernel_;
  N normalization_;
  S similarity_;
  M mask_;
};

template <class K>
NadarayaWatson(K) -> NadarayaWatson<K>;
template <class K, class N>
NadarayaWatson(K, N) -> NadarayaWatson<K, N>;
template <class K, class N, class S>
NadarayaWatson(K, N, S) -> NadarayaWatson<K, N, S>;
template <class K, class N, class S, class M>
NadarayaWatson(K, N, S, M) -> NadarayaWatson<K, N, S, M>;

}  // namespace nadaraya
