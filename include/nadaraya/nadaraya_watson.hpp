// The operator: attention as a Nadaraya-Watson regression, forward and backward, one head.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/instances.hpp"
#include "nadaraya/key_value_cache.hpp"
#include "nadaraya/mix/local_constant.hpp"
#include "nadaraya/normalization/adaptive.hpp"
#include "nadaraya/operator/operands.hpp"
#include "nadaraya/operator/operator_checks.hpp"
#include "nadaraya/operator/operator_gradients.hpp"
#include "nadaraya/operator/operator_policies.hpp"
#include "nadaraya/operator/policy_order.hpp"
#include "nadaraya/operator/sparse_weights.hpp"
#include "nadaraya/tape.hpp"

#include <concepts>
#include <span>
#include <type_traits>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {
struct CountedRegression;
}  // namespace detail

/// out_i = sum_j p_ij v_j, where the weights of query i,
///   p_ij = kappa(t_ij) / mass_i,   t_ij from z_ij = similarity(q_i, k_j),
/// are given by a kernel and a normalization over the keys the mask leaves visible. A mix such as LocalLinear makes other
/// weights of them.
///
/// Shapes: query [Nq x D], key [Nk x D], value [Nk x Dv], out [Nq x Dv]; rows are tokens. Any real
/// dense Eigen expressions of one scalar. Any size may be 0; Nq and Nk are at most 2^31 - 1.
/// Cost: O(Nq Nk D) for the scores (masked panels left out), O(support (D + Dv)) for everything
/// after them, forward and backward, with a compact kernel. A fixed bandwidth under a compact kernel and
/// SquaredDistance in 1 to 3 dimensions needs no score of far keys: O(N log N + support (1 + Dv)), N the
/// larger of Nq and Nk, where it is a small part of the keys that has weight. Memory: see Tape.
/// Rounding: all keys of a query are scored in one order of summation: equal keys have equal weights, bit by bit, and of
/// equal scores NearestNeighbors keeps the lower index. The bits do not depend on the executor. In the last digits the same
/// query may differ between calls in which it is scored otherwise: with few queries on the same keys or
/// with many, in another block of 96, with the keys screened or not, from a KeyValueCache or from its rows.
/// Special values: an empty row (no visible key, or none within the bandwidth) gives zeros, passes
/// no gradient and is counted; NaN in a visible key or in a query makes exactly the rows that see
/// it NaN; NaN in a value reaches the rows that give it weight.
/// Errors: std::invalid_argument for shapes, parameters, masks, outputs and executors, before anything is written.
/// Other exceptions (std::bad_alloc, those of the user's own policy or executor) may leave an output half written.
/// Source: arXiv 2601.22766.
template <class K, class N = Adaptive, class S = DotProduct, class M = NoMask, class X = LocalConstant>
class NadarayaWatson {
  static_assert(detail::check_kernel<K>(), "the first policy is a kernel; see kernel/kernel.hpp");
  static_assert(Similarity<S> || detail::MeantAsSimilarity<S>,
                "the policy after the normalization is neither a similarity (score, pullback; see similarity/similarity.hpp) "
                "nor a mask (range; see mask/mask.hpp)");
  static_assert(detail::check_similarity<S>(), "the third policy is a similarity; see similarity/similarity.hpp");
  static_assert(detail::check_mask<M>(), "the last policy is a mask; see mask/mask.hpp");
  static_assert(Mix<X>, "the policy after the mask is a mix; see mix/mix.hpp");

 public:
  /// What backward returns.
  template <class Scalar>
  using GradientsOf = detail::OperatorGradients<Gradients, Scalar, K, N, S, M, X>;
  /// The part of GradientsOf that belongs to parameters.
  template <class Scalar>
  using ParametersOf = detail::OperatorGradients<OwnGradients, Scalar, K, N, S, M, X>;

  /// Without a mask every key is visible. Parameters are checked by each call.
  explicit NadarayaWatson(K kernel = K{}, N normalization = N{}, S similarity = S{}, M mask = M{}, X mix = X{})
      : kernel_(std::move(kernel)), normalization_(std::move(normalization)), similarity_(std::move(similarity)),
        mask_(std::move(mask)), mix_(std::move(mix)) {
    static_assert(detail::check_combination<N, K, S, M>());
  }

  /// With the default similarity: NadarayaWatson{Biweight{}, Adaptive{}, Causal{}}.
  template <std::same_as<M> OnlyMask>
    requires(detail::leaves_similarity_out<OnlyMask>)
  NadarayaWatson(K kernel, N normalization, OnlyMask mask)
      : NadarayaWatson(std::move(kernel), std::move(normalization), S{}, std::move(mask)) {}

  const K& kernel() const { return kernel_; }  ///< The kernel.
  const N& normalization() const { return normalization_; }  ///< The normalization.
  const S& similarity() const { return similarity_; }  ///< The similarity.
  const M& mask() const { return mask_; }  ///< The mask.
  const X& mix() const { return mix_; }  ///< The mix.
  Screening screening() const { return screening_; }  ///< Whether keys are screened.

  /// Returns a copy of this operator that uses the given screening mode.
  NadarayaWatson with(Screening screening) const {
    NadarayaWatson other = *this;
    other.screening_ = screening;
    return other;
  }
  /// Returns this operator with another mix: NadarayaWatson{Biweight{}, Adaptive{}}.with(LocalLinear{1e-3}).
  template <Mix Other>
  NadarayaWatson<K, N, S, M, Other> with(Other mix) const {
    return NadarayaWatson<K, N, S, M, Other>(kernel_, normalization_, similarity_, mask_, std::move(mix)).with(screening_);
  }

  /// The regression alone: no tape. Returns [Nq x Dv]. Blocks of queries are shared out over the
  /// executor (Serial, Threads{n} or your own); the result does not depend on it.
  template <RealExpression Q, RealExpression Ke, RealExpression V, class E = Serial>
    requires(!RealExpression<E>)
  RowMatrix<ScalarOf<Q>> operator()(const Q& query, const Ke& key, const V& value, const E& executor = {}) const {
    RowMatrix<ScalarOf<Q>> out;
    regress(query, key, value, out, executor);
    return out;
  }

  /// The same, written to `out`, as `forward` does. With a Workspace for executor, a repeated call allocates nothing.
  template <RealExpression Q, RealExpression Ke, RealExpression V, class Out, class E = Serial>
    requires(RealExpression<std::remove_cvref_t<Out>>)
  void operator()(const Q& query, const Ke& key, const V& value, Out&& out, const E& executor = {}) const {
    regress(query, key, value, out, executor);
  }

  /// Inference on cached keys and values. Returns [Nq x Dv].
  template <RealExpression Q, class Stored, class E = Serial>
    requires(!RealExpression<E>)
  RowMatrix<ScalarOf<Q>> operator()(const Q& query, const KeyValueCache<Stored, S>& cache, const E& executor = {}) const {
    RowMatrix<ScalarOf<Q>> out;
    regress_cached(query, cache, out, executor);
    return out;
  }
  /// The same, written to `out`.
  template <RealExpression Q, class Stored, class Out, class E = Serial>
    requires(RealExpression<std::remove_cvref_t<Out>>)
  void operator()(const Q& query, const KeyValueCache<Stored, S>& cache, Out&& out, const E& executor = {}) const {
    regress_cached(query, cache, out, executor);
  }

  /// The regression with a record for `backward`. `out` is a matrix that can be resized to [Nq x Dv], or a
  /// map, block or Ref of that shape. It must not share memory with an input, except inside an expression,
  /// nor may two of its elements lie in one place.
  template <RealExpression Q, RealExpression Ke, RealExpression V, class Out, class E = Serial>
  Tape<ScalarOf<Q>> forward(Q&& query, Ke&& key, V&& value, Out&& out, const E& executor = {}) const {
    Tape<ScalarOf<Q>> tape;
    forward(std::forward<Q>(query), std::forward<Ke>(key), std::forward<V>(value), out, tape, executor);
    return tape;
  }

  /// The same, with the record in the memory of an earlier tape. With a Workspace, a repeated call allocates nothing.
  template <RealExpression Q, RealExpression Ke, RealExpression V, class Out, class E = Serial>
  void forward(Q&& query, Ke&& key, V&& value, Out&& out, Tape<ScalarOf<Q>>& tape, const E& executor = {}) const {
    using Scalar = ScalarOf<Q>;
    validate<Scalar>(query, key, value, out, "NadarayaWatson::forward");
    const engine::Execution<Scalar> execution(executor);
    tape.query_.keep(std::forward<Q>(query));
    tape.key_.keep(std::forward<Ke>(key));
    tape.value_.keep(std::forward<V>(value));
    tape.make_records();
    run<Scalar>({.query = &tape.query_, .key = &tape.key_, .value = &tape.value_}, tape.value_.cols(), out, tape.records_,
                execution);
    tape.find_rows();
  }

  /// The gradients of a loss L, given `grad_out` = dL/dout [Nq x Dv] and the tape of the forward pass of this same operator.
  /// Work: O(support (D + Dv)) where the tape stores the support. The result does not depend on the executor.
  template <class Scalar, RealExpression G, class E = Serial>
    requires(!std::same_as<E, GradientsOf<Scalar>>)
  GradientsOf<Scalar> backward(const Tape<Scalar>& tape, const G& grad_out, const E& executor = {}) const {
    GradientsOf<Scalar> grads;
    backward(tape, grad_out, grads, executor);
    return grads;
  }

  /// The same, in the memory of earlier gradients, which are overwritten and must not lie where others are read.
  template <class Scalar, RealExpression G, class E = Serial>
  void backward(const Tape<Scalar>& tape, const G& grad_out, GradientsOf<Scalar>& grads, const E& executor = {}) const {
    static_assert(std::is_same_v<ScalarOf<G>, Scalar>, "grad_out must have the scalar of the forward pass");
    const char* const function = "NadarayaWatson::backward";
    detail::require(grad_out.rows() == tape.queries() && grad_out.cols() == tape.value().cols(), function,
                    ": grad_out must be [", tape.queries(), " x ", tape.value().cols(), "] like the output, got ",
                    detail::shape(grad_out));
    validate<Scalar>(tape.query().matrix(), tape.key().matrix(), function);
    detail::require_gradients_apart(grads, tape.query(), tape.key(), tape.value(), grad_out, function);
    const engine::Execution<Scalar> execution(executor);
    const Rows<Scalar> grads_out(grad_out, execution.memory());
    grads.query.resize(tape.queries(), tape.query().cols());
    grads.key.resize(tape.keys(), tape.key().cols());
    grads.value.resize(tape.keys(), tape.value().cols());
    const auto policies = this->policies<Scalar>();
    const engine::Problem<Scalar> problem{.policies = policies.get(), .query = &tape.query_, .key = &tape.key_, .value = &tape.value_};
    const engine::HeadGradients<Scalar> places{tape.records_, grads_out.view(), WritableRows<Scalar>(grads.query).matrix(),
                                               WritableRows<Scalar>(grads.key).matrix(),
                                               WritableRows<Scalar>(grads.value).matrix()};
    engine::ParameterSums<Scalar> sums;
    engine::backward<Scalar>({&problem, 1}, {&places, 1}, {&sums, 1}, execution);
    static_cast<ParametersOf<Scalar>&>(grads) = detail::no_parameters<ParametersOf<Scalar>, Scalar>(similarity_, mask_);
    grads += sums;
  }

  /// The weights by which values are summed, [Nq x Nk], one entry for each supported pair. Include <Eigen/SparseCore>. Throws
  /// std::invalid_argument if there are more than 2^31 - 1. The result does not depend on the executor.
  template <RealExpression Q, RealExpression Ke, Executor E = Serial>
  Eigen::SparseMatrix<ScalarOf<Q>, Eigen::RowMajor, int> weights(const Q& query, const Ke& key, const E& executor = {}) const {
    using Scalar = ScalarOf<Q>;
    using Weights = Eigen::SparseMatrix<Scalar, Eigen::RowMajor, int>;
    static_assert(std::is_same_v<ScalarOf<Ke>, Scalar>, "query and key must have the same scalar");
    validate<Scalar>(query, key, "NadarayaWatson::weights");
    const engine::Execution<Scalar> execution(executor);
    const auto policies = this->policies<Scalar>();
    const Rows<Scalar> queries(query), keys(key);
    const engine::Problem<Scalar> problem{.policies = policies.get(), .query = &queries, .key = &keys, .value = &keys};
    Weights result(query.rows(), key.rows());
    detail::fill_with_weights(problem, execution, result);
    return result;
  }

 private:
  template <class, class, class, class, class>
  friend class Attention;
  friend struct detail::CountedRegression;

  /// As the engine takes them; they refer to this operator.
  template <class Scalar>
  detail::OperatorPolicies<Scalar, K, N, S, M, X> policies() const {
    return {kernel_, normalization_, similarity_, mask_, mix_, screening_};
  }

  /// Writes the regression of operands to `out`, and records unless there are none.
  template <class Scalar, class Out>
  void run(engine::Problem<Scalar> problem, Index cols, Out& out, std::span<engine::Record<Scalar>> records,
           const engine::Execution<Scalar>& execution) const {
    // Not before the inputs are evaluated: an expression may contain `out`.
    if constexpr (detail::OwningMatrix<Out>) out.resize(problem.query->rows(), cols);
    WritableRows<Scalar> rows(out, execution.memory());
    const MatrixMap<Scalar> to = rows.matrix();
    const auto policies = this->policies<Scalar>();
    problem.policies = policies.get();
    engine::forward<Scalar>({&problem, 1}, {&to, 1}, {&records, 1}, execution);
    rows.commit(out);
  }

  template <class Q, class Ke, class V, class Out, class E>
  void regress(const Q& query, const Ke& key, const V& value, Out& out, const E& executor) const {
    using Scalar = ScalarOf<Q>;
    validate<Scalar>(query, key, value, out, "NadarayaWatson::operator()");
    const engine::Execution<Scalar> execution(executor);
    const Rows<Scalar> queries(query, execution.memory()), keys(key, execution.memory()), values(value, execution.memory());
    run<Scalar>({.query = &queries, .key = &keys, .value = &values}, value.cols(), out, {}, execution);
  }

  template <class Q, class Stored, class Out, class E>
  void regress_cached(const Q& query, const KeyValueCache<Stored, S>& cache, Out& out, const E& executor) const {
    using Scalar = ScalarOf<Q>;
    static_assert(detail::check_operator<Scalar, K, N, S, M>());
    static_assert(std::is_same_v<Scalar, detail::ComputedIn<Stored>>, "query must have the scalar of the cache");
    const char* const function = "NadarayaWatson::operator()";
    validate<Scalar>(query, cache.keys(), function);
    detail::validate_output<Scalar>(query, cache.keys(), cache.values(), out, function);
    const engine::Execution<Scalar> execution(executor);
    const Rows<Scalar> queries(query, execution.memory()), no_keys(RowMatrix<Scalar>(0, query.cols())),
        no_values(RowMatrix<Scalar>(0, cache.value_cols()));
    run<Scalar>({.query = &queries, .key = &no_keys, .value = &no_values, .cached = cache.prepared()}, cache.value_cols(), out,
                {}, execution);
  }

  template <class Scalar, class Q, class Ke>
  void validate(const Q& query, const Ke& key, const char* function) const {
    static_assert(detail::check_operator<Scalar, K, N, S, M>());
    detail::require_query_and_key(query.rows(), query.cols(), key.rows(), key.cols(), function);
    detail::validate_parameters<Scalar>(kernel_, normalization_, similarity_);
    detail::validate_mask(mask_, Extent{query.rows(), key.rows()});
    detail::validate_dimension<Scalar>(similarity_, mix_, key.cols());
  }

  template <class Scalar, class Q, class Ke, class V, class Out>
  void validate(const Q& query, const Ke& key, const V& value, Out& out, const char* function) const {
    static_assert(std::is_same_v<ScalarOf<Ke>, Scalar> && std::is_same_v<ScalarOf<V>, Scalar>,
                  "query, key and value must have the same scalar");
    validate<Scalar>(query, key, function);
    detail::require_key_and_value(key.rows(), key.cols(), value.rows(), value.cols(), function);
    detail::validate_output<Scalar>(query, key, value, out, function);
  }

  K kernel_;
  N normalization_;
  S similarity_;
  M mask_;
  [[no_unique_address]] X mix_;
  Screening screening_ = Screening::automatic;
};

template <class K>
NadarayaWatson(K) -> NadarayaWatson<K>;
template <class K, class N>
NadarayaWatson(K, N) -> NadarayaWatson<K, N>;
template <class K, class N, class P>
NadarayaWatson(K, N, P) -> NadarayaWatson<K, N, detail::SimilarityOf<P>, detail::MaskOf<P>>;
template <class K, class N, class S, class M>
NadarayaWatson(K, N, S, M) -> NadarayaWatson<K, N, S, M>;
template <class K, class N, class S, class M, class X>
NadarayaWatson(K, N, S, M, X) -> NadarayaWatson<K, N, S, M, X>;

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
