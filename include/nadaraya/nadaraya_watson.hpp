// The operator: attention as a Nadaraya-Watson regression, forward and backward, one head.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/footprint.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/key_value_cache.hpp"
#include "nadaraya/mask/mask.hpp"
#include "nadaraya/normalization/adaptive.hpp"
#include "nadaraya/pass/batch.hpp"
#include "nadaraya/screening.hpp"
#include "nadaraya/similarity/dot_product.hpp"
#include "nadaraya/tape.hpp"

#include <Eigen/SparseCore>

#include <concepts>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

#include "nadaraya/detail/precise.hpp"

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
template <class Gradient>
struct SimilarityGradient {
  Gradient similarity;
};
template <class Gradient>
struct BiasGradient {
  Gradient bias;
};
template <int>
struct NoGradient {};

/// Positions of queries and keys are stored as KeyIndex.
inline void require_countable(Index rows, const char* name, const char* function) {
  require(rows <= (std::numeric_limits<KeyIndex>::max)(), function, ": ", name, " has ", rows, " rows, more than 2^31 - 1");
}

inline void require_query_and_key(Index query_rows, Index query_cols, Index key_rows, Index key_cols, const char* function) {
  require(query_cols == key_cols, function, ": query and key must have the same number of columns, got ",
          shape(query_rows, query_cols), " and ", shape(key_rows, key_cols));
  require_countable(query_rows, "query", function);
  require_countable(key_rows, "key", function);
}

inline void require_key_and_value(Index key_rows, Index key_cols, Index value_rows, Index value_cols, const char* function) {
  require(key_rows == value_rows, function, ": key and value must have the same number of rows, got ",
          shape(key_rows, key_cols), " and ", shape(value_rows, value_cols));
}

}  // namespace detail

/// Gradients of a loss by those of an operator's parameters that exist: `.scale` of the similarity,
/// `.bandwidth` of the normalization, `.alpha` of the kernel, and `.similarity` and `.bias` of parameters
/// that the similarity and the mask have themselves (sums over all rows).
template <class Scalar, bool Scale, bool Bandwidth, bool Alpha, class Similarity = void, class Bias = void>
struct OwnGradients : std::conditional_t<Scale, detail::ScaleGradient<Scalar>, detail::NoGradient<0>>,
                      std::conditional_t<Bandwidth, detail::BandwidthGradient<Scalar>, detail::NoGradient<1>>,
                      std::conditional_t<Alpha, detail::AlphaGradient<Scalar>, detail::NoGradient<2>>,
                      std::conditional_t<std::is_void_v<Similarity>, detail::NoGradient<3>, detail::SimilarityGradient<Similarity>>,
                      std::conditional_t<std::is_void_v<Bias>, detail::NoGradient<4>, detail::BiasGradient<Bias>> {
  template <class S, class M>
  OwnGradients& operator+=(const pass::PolicyGradients<Scalar, S, M>& more) {
    if constexpr (Scale) this->scale += Scalar(more.scale);
    if constexpr (Bandwidth) this->bandwidth += Scalar(more.bandwidth);
    if constexpr (Alpha) this->alpha += Scalar(more.alpha);
    if constexpr (!std::is_void_v<Similarity>) this->similarity += more.similarity;
    if constexpr (!std::is_void_v<Bias>) this->bias += more.bias;
    return *this;
  }
};

/// The same, and by its inputs, each of its input's shape.
template <class Scalar, bool Scale, bool Bandwidth, bool Alpha, class Similarity = void, class Bias = void>
struct Gradients : OwnGradients<Scalar, Scale, Bandwidth, Alpha, Similarity, Bias> {
  RowMatrix<Scalar> query;
  RowMatrix<Scalar> key;
  RowMatrix<Scalar> value;
};

namespace detail {

/// The gradient of a policy's own parameters, void if it has none.
template <bool any, class Policy, class Scalar>
struct OwnGradient {
  using Type = void;
};
template <class Policy, class Scalar>
struct OwnGradient<true, Policy, Scalar> {
  using Type = decltype(std::declval<const Policy&>().template zero_gradient<Scalar>());
};
template <bool any, class Policy, class Scalar>
using OwnGradientOf = typename OwnGradient<any, Policy, Scalar>::Type;

/// The policy after the normalization is a similarity or, that left out, a mask.
template <class P>
inline constexpr bool leaves_similarity_out = !MeantAsSimilarity<P> && MeantAsMask<P>;
template <class P>
using SimilarityOf = std::conditional_t<leaves_similarity_out<P>, DotProduct, P>;
template <class P>
using MaskOf = std::conditional_t<leaves_similarity_out<P>, P, NoMask>;

struct CountedRegression;

}  // namespace detail

template <class K, class N, class S, class M>
class Attention;

/// out_i = sum_j p_ij v_j, where the weights of query i,
///   p_ij = kappa(t_ij) / mass_i,   t_ij from z_ij = similarity(q_i, k_j),
/// are given by a kernel and a normalization over the keys the mask leaves visible.
///
/// Shapes: query [Nq x D], key [Nk x D], value [Nk x Dv], out [Nq x Dv]; rows are tokens. Any real
/// dense Eigen expressions of one scalar. Any size may be 0; Nq and Nk are at most 2^31 - 1.
/// Cost: O(Nq Nk D) for the scores (masked panels left out), O(support (D + Dv)) for everything
/// after them, forward and backward, with a compact kernel. A fixed bandwidth under a compact kernel and
/// SquaredDistance in 1 to 3 dimensions needs no score of far keys: O(N log N + support (1 + Dv)), N the
/// larger of Nq and Nk, where it is a small part of the keys that has weight. Memory: see Tape.
/// Rounding: all keys of a query are scored in one order of summation: equal keys have equal weights, bit by bit, and of
/// equal scores NearestNeighbors keeps the lower index. The bits do not depend on the executor. In the last digits the same
/// query may differ between calls in which it is scored otherwise: with fewer than four queries on the same keys or with
/// more, in another block of 96, with the keys screened or not, from a KeyValueCache or from its rows.
/// Special values: an empty row (no visible key, or none within the bandwidth) gives zeros, passes
/// no gradient and is counted; NaN in a visible key or in a query makes exactly the rows that see
/// it NaN; NaN in a value reaches the rows that give it weight.
/// Errors: std::invalid_argument for shapes, parameters, masks, outputs and executors, before anything is written.
/// What else is thrown on the way (std::bad_alloc, an exception of the user's own policy or executor) may leave
/// an output half written.
/// Source: arXiv 2601.22766.
template <class K, class N = Adaptive, class S = DotProduct, class M = NoMask>
class NadarayaWatson {
  static_assert(detail::check_kernel<K>(), "the first policy is a kernel; see kernel/kernel.hpp");
  static_assert(Similarity<S> || detail::MeantAsSimilarity<S>,
                "the policy after the normalization is neither a similarity (score, pullback; see similarity/similarity.hpp) "
                "nor a mask (range; see mask/mask.hpp)");
  static_assert(detail::check_similarity<S>(), "the third policy is a similarity; see similarity/similarity.hpp");
  static_assert(detail::check_mask<M>(), "the last policy is a mask; see mask/mask.hpp");

 public:
  template <class Scalar>
  using GradientsOf = Gradients<Scalar, ScaledSimilarity<S>, HasBandwidth<N>, AlphaKernel<K>,
                                detail::OwnGradientOf<ParametricSimilarity<S, Scalar>, S, Scalar>,
                                detail::OwnGradientOf<ParametricBias<M, Scalar>, M, Scalar>>;
  template <class Scalar>
  using ParametersOf = OwnGradients<Scalar, ScaledSimilarity<S>, HasBandwidth<N>, AlphaKernel<K>,
                                    detail::OwnGradientOf<ParametricSimilarity<S, Scalar>, S, Scalar>,
                                    detail::OwnGradientOf<ParametricBias<M, Scalar>, M, Scalar>>;

  explicit NadarayaWatson(K kernel = K{}, N normalization = N{}, S similarity = S{}, M mask = M{})
      : kernel_(std::move(kernel)),
        normalization_(std::move(normalization)),
        similarity_(std::move(similarity)),
        mask_(std::move(mask)) {
    static_assert(detail::check_combination<N, K, S, M>());
  }

  /// With the default similarity: NadarayaWatson{Biweight{}, Adaptive{}, Causal{}}.
  template <std::same_as<M> OnlyMask>
    requires(detail::leaves_similarity_out<OnlyMask>)
  NadarayaWatson(K kernel, N normalization, OnlyMask mask)
      : NadarayaWatson(std::move(kernel), std::move(normalization), S{}, std::move(mask)) {}

  const K& kernel() const { return kernel_; }
  const N& normalization() const { return normalization_; }
  const S& similarity() const { return similarity_; }
  const M& mask() const { return mask_; }
  Screening screening() const { return screening_; }

  /// The same operator, with that choice of whether to screen keys.
  NadarayaWatson with(Screening screening) const {
    NadarayaWatson other = *this;
    other.screening_ = screening;
    return other;
  }

  /// The regression alone: no tape. Returns [Nq x Dv]. Blocks of queries are shared out over the
  /// executor (Serial, Threads{n} or your own); the result does not depend on it.
  template <RealExpression Q, RealExpression Ke, RealExpression V, class E = Serial>
  RowMatrix<ScalarOf<Q>> operator()(const Q& query, const Ke& key, const V& value, const E& executor = {}) const {
    using Scalar = ScalarOf<Q>;
    validate<Scalar>(query, key, "NadarayaWatson::operator()");
    require_values<Scalar>(key, value, "NadarayaWatson::operator()");
    const pass::Execution<Scalar> execution(executor);
    RowMatrix<Scalar> out(query.rows(), value.cols());
    const Rows<Scalar> queries(query), keys(key), values(value);
    regress<Scalar>({&queries, &keys, &values, 0}, WritableRows<Scalar>(out).matrix(), {}, execution);
    return out;
  }

  /// The same on remembered keys and values. Returns [Nq x Dv].
  template <RealExpression Q, class E = Serial>
  RowMatrix<ScalarOf<Q>> operator()(const Q& query, const KeyValueCache<ScalarOf<Q>, S>& cache, const E& executor = {}) const {
    using Scalar = ScalarOf<Q>;
    validate<Scalar>(query, cache.keys(), "NadarayaWatson::operator()");
    const pass::Execution<Scalar> execution(executor);
    RowMatrix<Scalar> out(query.rows(), cache.value_cols());
    const Rows<Scalar> queries(query), keys(cache.keys()), values(cache.values());
    regress<Scalar>({&queries, &keys, &values, 0, cache.memory()}, WritableRows<Scalar>(out).matrix(), {}, execution);
    return out;
  }

  /// The regression with a record for `backward`. `out` is a matrix that can be resized to [Nq x Dv], or a
  /// map, block or Ref of that shape. It must not share memory with an input, except inside an expression,
  /// nor may two of its elements lie in one place.
  template <RealExpression Q, RealExpression Ke, RealExpression V, class Out, class E = Serial>
  Tape<ScalarOf<Q>> forward(Q&& query, Ke&& key, V&& value, Out&& out, const E& executor = {}) const {
    using Scalar = ScalarOf<Q>;
    using Written = std::remove_reference_t<Out>;
    static_assert(!std::is_const_v<Written> && (int(Written::Flags) & Eigen::LvalueBit) != 0, "out must be writable");
    const char* const function = "NadarayaWatson::forward";
    validate<Scalar>(query, key, function);
    require_values<Scalar>(key, value, function);
    require_output<Scalar>(out, query.rows(), value.cols(), function);
    require_apart(out, query, "query", function);
    require_apart(out, key, "key", function);
    require_apart(out, value, "value", function);
    const pass::Execution<Scalar> execution(executor);

    Tape<Scalar> tape;
    tape.query_ = Rows<Scalar>::kept(std::forward<Q>(query));
    tape.key_ = Rows<Scalar>::kept(std::forward<Ke>(key));
    tape.value_ = Rows<Scalar>::kept(std::forward<V>(value));
    tape.make_records();
    // Not before the inputs are evaluated: an expression may contain `out`.
    if constexpr (detail::OwningMatrix<Written>) out.resize(tape.queries(), tape.value_.cols());
    WritableRows<Scalar> rows(out);
    regress<Scalar>({&tape.query_, &tape.key_, &tape.value_, 0}, rows.matrix(), tape.records_, execution);
    rows.commit(out);
    tape.find_rows();
    return tape;
  }

  /// The gradients of a loss L, given `grad_out` = dL/dout [Nq x Dv] and the tape of the forward
  /// pass of this same operator. Work: O(support (D + Dv)) where the tape stores the support. The
  /// result does not depend on the executor.
  template <class Scalar, RealExpression G, class E = Serial>
  GradientsOf<Scalar> backward(const Tape<Scalar>& tape, const G& grad_out, const E& executor = {}) const {
    static_assert(std::is_same_v<ScalarOf<G>, Scalar>, "grad_out must have the scalar of the forward pass");
    detail::require(grad_out.rows() == tape.queries() && grad_out.cols() == tape.value().cols(),
                    "NadarayaWatson::backward: grad_out must be [", tape.queries(), " x ", tape.value().cols(),
                    "] like the output, got ", detail::shape(grad_out));
    validate<Scalar>(tape.query().matrix(), tape.key().matrix(), "NadarayaWatson::backward");
    const pass::Execution<Scalar> execution(executor);
    const Rows<Scalar> grads_out(grad_out);
    GradientsOf<Scalar> grads = no_gradients<GradientsOf<Scalar>, Scalar>();
    grads.query.resize(tape.queries(), tape.query().cols());
    grads.key.resize(tape.keys(), tape.key().cols());
    grads.value.resize(tape.keys(), tape.value().cols());
    const pass::BackwardRuleOf<Scalar, K, N> rule(row_rule());
    const auto policies = this->policies<pass::BackwardRule<Scalar>>(rule);
    const pass::Operands<Scalar, S> operands{&tape.query_, &tape.key_, &tape.value_, 0};
    const pass::GradientPlaces<Scalar> places{tape.records_, grads_out.view(), WritableRows<Scalar>(grads.query).matrix(),
                                              WritableRows<Scalar>(grads.key).matrix(),
                                              WritableRows<Scalar>(grads.value).matrix()};
    grads += pass::pull_back<Scalar, S, M>({&policies, 1}, {&operands, 1}, {&places, 1}, execution).front();
    return grads;
  }

  /// The weights themselves, [Nq x Nk], one entry for each supported pair: what attends to what. Throws
  /// std::invalid_argument if there are more than 2^31 - 1. The result does not depend on the executor.
  template <RealExpression Q, RealExpression Ke, Executor E = Serial>
  Eigen::SparseMatrix<ScalarOf<Q>, Eigen::RowMajor> weights(const Q& query, const Ke& key, const E& executor = {}) const {
    using Scalar = ScalarOf<Q>;
    validate<Scalar>(query, key, "NadarayaWatson::weights");
    const pass::Execution<Scalar> execution(executor);
    const pass::ForwardRuleOf<Scalar, K, N> rule(row_rule());
    return pass::weights(policies<pass::ForwardRule<Scalar>>(rule), Rows<Scalar>(query), Rows<Scalar>(key), execution);
  }

 private:
  template <class, class, class, class>
  friend class Attention;
  friend struct detail::CountedRegression;

  /// Zero, as far as parameters go.
  template <class Zero, class Scalar>
  Zero no_gradients() const {
    Zero zero;
    if constexpr (ParametricSimilarity<S, Scalar>) zero.similarity = similarity_.template zero_gradient<Scalar>();
    if constexpr (ParametricBias<M, Scalar>) zero.bias = mask_.template zero_gradient<Scalar>();
    return zero;
  }
  template <class Scalar>
  ParametersOf<Scalar> no_parameters() const {
    return no_gradients<ParametersOf<Scalar>, Scalar>();
  }

  RowRule<K, N> row_rule() const { return RowRule<K, N>(kernel_, normalization_, distance_factor<S>()); }

  /// As the passes take them; they refer to the rule and to this operator.
  template <class Rule>
  pass::Policies<Rule, S, M> policies(const Rule& rule) const {
    return {&rule, &similarity_, &mask_, screening_};
  }

  /// Writes the regression to `out`, and records unless there are none.
  template <class Scalar>
  void regress(const pass::Operands<Scalar, S>& operands, const pass::RowsMap<Scalar>& out,
               std::span<pass::Record<Scalar>> records, const pass::Execution<Scalar>& execution) const {
    const pass::ForwardRuleOf<Scalar, K, N> rule(row_rule());
    const auto policies = this->policies<pass::ForwardRule<Scalar>>(rule);
    pass::regress<Scalar, S, M>({&policies, 1}, {&operands, 1}, {&out, 1}, {&records, 1}, execution);
  }

  template <class Scalar, class Q, class Ke>
  void validate(const Q& query, const Ke& key, const char* function) const {
    static_assert(detail::check_scalar<Scalar>());
    static_assert(!detail::Names_parameter_pullback<S> || ParametricSimilarity<S, Scalar>,
                  "similarity: zero_gradient and parameter_pullback are not for this scalar");
    static_assert(!detail::Names_bias_pullback<M> || has_constrained_members<M> || ParametricBias<M, Scalar>,
                  "mask: zero_gradient and bias_pullback are not for this scalar");
    static_assert(std::is_same_v<ScalarOf<Ke>, Scalar>, "query and key must have the same scalar");
    static_assert(detail::check_normalization<N, K, Scalar>(),
                  "the second policy is a normalization; see normalization/normalization.hpp");
    detail::require_query_and_key(query.rows(), query.cols(), key.rows(), key.cols(), function);
    validate_parameters<Scalar>();
    const Extent n{query.rows(), key.rows()};
    if constexpr (requires { mask_.validate(n); }) mask_.validate(n);
  }

  template <class Scalar>
  void validate_parameters() const {
    if constexpr (requires { kernel_.template validate<Scalar>(); }) {
      kernel_.template validate<Scalar>();
    } else if constexpr (requires { kernel_.validate(); }) {
      kernel_.validate();
    }
    if constexpr (requires { similarity_.validate(); }) similarity_.validate();
    if constexpr (requires { normalization_.template validate<Scalar>(0.0); }) {
      normalization_.template validate<Scalar>(distance_factor<S>());
    }
  }

  template <class Scalar, class Ke, class V>
  static void require_values(const Ke& key, const V& value, const char* function) {
    static_assert(std::is_same_v<ScalarOf<V>, Scalar>, "query, key and value must have the same scalar");
    detail::require_key_and_value(key.rows(), key.cols(), value.rows(), value.cols(), function);
  }

  template <class Scalar, class Out>
  static void require_output(const Out& out, Index rows, Index cols, const char* function) {
    static_assert(std::is_same_v<ScalarOf<Out>, Scalar>, "out must have the scalar of the inputs");
    if constexpr (detail::OwningMatrix<Out>) {
      // Eigen checks only in debug builds whether a matrix can be resized.
      const auto takes = [](int size, int most, Index n) {
        return size == Eigen::Dynamic ? most == Eigen::Dynamic || n <= most : n == size;
      };
      detail::require(takes(Out::RowsAtCompileTime, Out::MaxRowsAtCompileTime, rows) &&
                          takes(Out::ColsAtCompileTime, Out::MaxColsAtCompileTime, cols),
                      function, ": out must be [", rows, " x ", cols, "], to which its type cannot be resized; got ",
                      detail::shape(out));
    } else {
      detail::require(out.rows() == rows && out.cols() == cols, function, ": out must be [", rows, " x ", cols, "], got ",
                      detail::shape(out));
      detail::require(!detail::footprint(out).collides(), function, ": out ", detail::shape(out),
                      " must not have two elements in one place");
    }
  }

  template <class Out, class X>
  static void require_apart(const Out& out, const X& input, const char* name, const char* function) {
    detail::require(!detail::Footprint::share(detail::written_footprint(out), detail::footprint(input)), function, ": out ",
                    detail::shape(out), " must not share memory with ", name, ' ', detail::shape(input));
  }

  K kernel_;
  N normalization_;
  S similarity_;
  M mask_;
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

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
