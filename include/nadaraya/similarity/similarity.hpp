// What a similarity is: how close a query and a key are, and which way each should move.
#pragma once

#include "nadaraya/types.hpp"

#include <concepts>

namespace nadaraya {

/// A similarity z(q, k) of two rows: the larger, the closer.
///
/// A model has, with S the scalar of the rows,
///   S score(const Q& q, const K& k) const
///   void pullback(const Q& q, const K& k, S dz, DQ dq, DK dk) const   adds dz times dz/dq to dq, dz/dk to dk
/// and may have
///   void validate() const      throws if a parameter has no meaning
///   has_scale, S scale_pullback(q, k, dz) const                 dz times dz/dscale
///   prepared(X), prepared_pullback(X, P, dP)    a transformation of every row before rows are
///                              compared, done once per operand, and its pullback; free of parameters,
///                              so that heads which differ in them can share keys. A row whose dP is zero gets zero,
///                              whatever it holds
///   is_product, ProductBound<S> product_bound<S>(|q|^2, D) const
///                              what lets the engine score keys by the block; see ProductSimilarity
///   S reach<S>(S floor, Index D) const      what lets the engine look keys up by place; see LocalSimilarity
///   static constexpr double distance_factor     makes it a metric: squared distance = -factor z
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

/// A similarity that transforms every row of its operands first.
template <class S>
concept PreparingSimilarity = Similarity<S> && requires(const S similarity, const RowMatrix<double> rows) {
  { similarity.prepared(rows) } -> std::same_as<RowMatrix<double>>;
  { similarity.prepared_pullback(rows, rows, rows) } -> std::same_as<RowMatrix<double>>;
};

/// z(q, k) <= product q.k + key_norm |k|^2 + constant.
template <class Scalar>
struct ProductBound {
  Scalar product{1};
  Scalar key_norm{0};
  Scalar constant{0};
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
/// columns, lie no farther apart than reach(floor, D), which is positive; +infinity where that cannot be
/// said, as for a floor of -infinity.
template <class S, class Scalar>
concept LocalSimilarity = Similarity<S> && requires(const S similarity, const Scalar floor, Index dimension) {
  { similarity.reach(floor, dimension) } -> std::same_as<Scalar>;
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

}  // namespace nadaraya
