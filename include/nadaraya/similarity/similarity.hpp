// What a similarity is: how close a query and a key are, and which way each should move.
#pragma once

#include "nadaraya/detail/members.hpp"
#include "nadaraya/detail/misspellings.hpp"
#include "nadaraya/product_bound.hpp"
#include "nadaraya/types.hpp"

#include <concepts>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// A similarity z(q, k) of two rows: the larger, the closer.
///
/// A model has, with S the scalar of the rows,
///   S score(const Q& q, const K& k) const
///   void pullback(const Q& q, const K& k, S dz, DQ dq, DK dk) const   adds dz times dz/dq to dq, dz/dk to dk
/// and may have
///   void validate() const      throws if a parameter has no meaning
///   void validate(Index D) const            throws if it is not for rows of D columns; both may be there
///   has_scale, S scale_pullback(q, k, dz) const                 dz times dz/dscale
///   prepared(X), prepared_pullback(X, P, dP)    a transformation of every row before rows are
///                              compared, done once per operand, and its pullback; free of parameters,
///                              so that heads which differ in them can share keys. A row whose dP is zero gets zero,
///                              whatever it holds
///   is_product, ProductBound<S> product_bound<S>(|q|^2, D) const
///                              what lets the engine score keys by the block; see ProductSimilarity
///   S radius<S>(S floor, Index D) const      what lets the engine look keys up in a grid; see LocalSimilarity
///   static constexpr double distance_factor     makes it a metric: squared distance = -factor z
///   G zero_gradient<S>() const, void parameter_pullback(q, k, S dz, G& sum) const
///                              the gradient of parameters of its own; see ParametricSimilarity
/// An operator does not compile where a member of one of these names has another signature, or where a name comes close.
/// No misspelling at all passes where a line next to yours says static_assert(nadaraya::ScaledSimilarity<MySimilarity>).
///
/// Functions must be pure: they may be called from several threads at once, and pullback is called twice for a pair whose dz is
/// not zero, once for dq and once for dk, of which the other is scratch; for a product not at all. Sums over pairs, such as the
/// gradient of a parameter, belong into parameter_pullback or scale_pullback, which are called once.
///
/// Laws: the pullback agrees with finite differences of the score; for a metric z <= 0, and z = 0 exactly for equal rows.
template <class S>
concept Similarity =
    std::copyable<S> && requires(const S similarity, const RowMatrix<double> rows, RowMatrix<double> grads, double dz) {
      { similarity.score(rows.row(0), rows.row(0)) } -> std::same_as<double>;
      similarity.pullback(rows.row(0), rows.row(0), dz, grads.row(0), grads.row(0));
    };

/// A similarity that is minus a squared distance, up to a factor.
template <class S>
concept MetricSimilarity = Similarity<S> && requires {
  { S::distance_factor } -> std::convertible_to<double>;
};

/// A similarity with a scale to differentiate by.
template <class S>
concept ScaledSimilarity = Similarity<S> && requires { requires S::has_scale; };

/// A similarity with parameters of its own to differentiate by, such as a learned metric. It also has
///   G zero_gradient<S>() const     a gradient by the parameters, all zero; G is copyable and has +=
///   void parameter_pullback(const Q& q, const K& k, const S& dz, G& sum) const     adds dz times dz/dparameters
/// Backward calls parameter_pullback once for every pair whose dz is not zero, sums over some queries at a time and adds
/// these sums in the order of the queries: `grads.similarity` does not depend on the number of threads. Rows are as
/// prepared() leaves them. Memory: a gradient for every 96 queries.
template <class S, class Scalar>
concept ParametricSimilarity = Similarity<S> && requires(const S similarity, const RowMatrix<Scalar> rows, const Scalar dz,
                                                         decltype(similarity.template zero_gradient<Scalar>()) sum) {
  similarity.parameter_pullback(rows.row(0), rows.row(0), dz, sum);
  sum += sum;
};

/// A similarity that transforms every row of its operands first.
template <class S>
concept PreparingSimilarity = Similarity<S> && requires(const S similarity, const RowMatrix<double> rows) {
  { similarity.prepared(rows) } -> std::same_as<RowMatrix<double>>;
  { similarity.prepared_pullback(rows, rows, rows) } -> std::same_as<RowMatrix<double>>;
};

/// A similarity that is a multiple of the dot product (is_product is true, and the bound is met with
/// equality), or is bounded by one: then only the keys whose bound exceeds the floor are scored one
/// by one. Law: the bound holds for the products, norms and sums as computed, rounding included.
template <class S>
concept ProductSimilarity = Similarity<S> && requires(const S similarity, Index dimension) {
  { S::is_product } -> std::convertible_to<bool>;
  { similarity.template product_bound<double>(1.0, dimension) } -> std::same_as<ProductBound<double>>;
};

/// A similarity that falls with distance. Law: if z as computed exceeds the floor, the rows, of D
/// columns, lie no farther apart than radius(floor, D), which is positive; +infinity where that cannot be
/// said, as for a floor of -infinity.
template <class S, class Scalar>
concept LocalSimilarity = Similarity<S> && requires(const S similarity, const Scalar floor, Index dimension) {
  { similarity.radius(floor, dimension) } -> std::same_as<Scalar>;
};

/// Squared distance = -factor z for a metric; 0 for a similarity that is no distance.
template <Similarity S>
constexpr double distance_factor() {
  if constexpr (MetricSimilarity<S>) {
    return S::distance_factor;
  } else {
    return 0.0;
  }
}

namespace detail {

/// Has it a member radius that can be called somehow? A deleted one takes an inherited one out.
template <class S>
concept CallableRadius = Names_radius<S> && (requires { &S::radius; } || requires(S s) { s.radius(); } ||
                                           requires(S s, double floor) { s.radius(floor); } ||
                                           requires(S s, double floor, Index dimension) { s.radius(floor, dimension); } ||
                                           requires(S s, double floor, Index dimension) { s.radius(floor, dimension, dimension); });

/// Does it check the number of columns? A call would also convert it to a number of another type.
template <class S>
concept ValidatesDimension = requires { static_cast<void (S::*)(Index) const>(&S::validate); };

/// Throws std::invalid_argument if a similarity is not for rows of `dimension` columns.
template <class S>
void validate_dimension([[maybe_unused]] const S& similarity, [[maybe_unused]] Index dimension) {
  if constexpr (ValidatesDimension<S>) similarity.validate(dimension);
}

/// Says which member of a similarity is missing, or is there with another signature and would be ignored.
template <class S>
constexpr bool check_similarity() {
  using Rows = RowMatrix<double>;
  static_assert(std::copyable<S>, "similarity: must be copyable");
  static_assert(requires(const S s, const Rows x) { { s.score(x.row(0), x.row(0)) } -> std::same_as<double>; },
                "similarity: S score(const Q& q, const K& k) const is missing, or has another signature");
  static_assert(requires(const S s, const Rows x, Rows dx, double dz) { s.pullback(x.row(0), x.row(0), dz, dx.row(0), dx.row(0)); },
                "similarity: void pullback(const Q& q, const K& k, S dz, DQ&& dq, DK&& dk) const is missing, or has another "
                "signature");
  if constexpr (Similarity<S> && !has_constrained_members<S>) {
    static_assert(!Names_has_scale<S> || requires { typename Flag<S::has_scale>; },
                  "similarity: has_scale must be a static constexpr bool");
    static_assert(!ScaledSimilarity<S> ||
                      requires(const S s, const Rows x, double dz) {
                        { s.scale_pullback(x.row(0), x.row(0), dz) } -> std::convertible_to<double>;
                      },
                  "similarity: has_scale takes S scale_pullback(const Q& q, const K& k, S dz) const, which is missing, or has "
                  "another signature");
    static_assert(!Names_scale_pullback<S> || Names_has_scale<S>,
                  "similarity: scale_pullback does nothing without static constexpr bool has_scale = true");
    static_assert(!(Names_prepared<S> || Names_prepared_pullback<S>) || PreparingSimilarity<S>,
                  "similarity: RowMatrix<S> prepared(const X& rows) const and RowMatrix<S> prepared_pullback(const X& rows, "
                  "const P& prepared, const D& grad) const go together; one is missing, or has another signature");
    static_assert(!Names_is_product<S> || requires { typename Flag<S::is_product>; },
                  "similarity: is_product must be a static constexpr bool");
    if constexpr (Names_product_bound<S> || requires { requires S::is_product; }) {
      static_assert(ProductSimilarity<S>,
                    "similarity: static constexpr bool is_product and template <class S> ProductBound<S> product_bound(const S& "
                    "query_norm, Index dimension) const go together; one is missing, or has another signature");
    }
    static_assert(LocalSimilarity<S, double> || !CallableRadius<S>,
                  "similarity: radius must be template <class S> S radius(const S& floor, Index dimension) const");
    static_assert(!Names_distance_factor<S> || requires { typename std::bool_constant<(S::distance_factor > 0)>; },
                  "similarity: distance_factor must be a static constexpr double");
    static_assert(!(Names_zero_gradient<S> || Names_parameter_pullback<S>) || ParametricSimilarity<S, double> ||
                      ParametricSimilarity<S, float>,
                  "similarity: template <class S> G zero_gradient() const and void parameter_pullback(const Q& q, const K& k, const "
                  "S& dz, G& sum) const go together, and G has +=; one is missing, or has another signature");
    static_assert(!Names_validate<S> || requires(const S s) { s.validate(); } || ValidatesDimension<S>,
                  "similarity: validate must be void validate() const or void validate(Index dimension) const");
    static_assert(Names_has_scale<S> || !Misspells_has_scale<S>, "similarity: is a member has_scale misspelt?");
    static_assert(Names_prepared<S> || !Misspells_prepared<S>, "similarity: is a member prepared(const X& rows) misspelt?");
    static_assert(Names_is_product<S> || !Misspells_is_product<S>, "similarity: is a member is_product misspelt?");
    static_assert(Names_radius<S> || !Misspells_radius<S>, "similarity: is a member radius(const S& floor, Index dimension) misspelt?");
    static_assert(Names_distance_factor<S> || !Misspells_distance_factor<S>, "similarity: is a member distance_factor misspelt?");
    static_assert(Names_zero_gradient<S> || !Misspells_zero_gradient<S>, "similarity: is a member zero_gradient() misspelt?");
    static_assert(Names_validate<S> || !Misspells_validate<S>, "similarity: is a member validate() misspelt?");
  }
  return true;
}

/// True if a policy is meant as a similarity.
template <class P>
concept MeantAsSimilarity = Similarity<P> || Names_score<P> || Names_pullback<P>;

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
