// Similarity on the unit sphere: rows are divided by their norm first.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/math.hpp"
#include "nadaraya/similarity/similarity.hpp"
#include "nadaraya/similarity/squared_distance.hpp"

#include <cmath>
#include <limits>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Shifted cosine: z = scale (cos(q, k) - 1) = -(scale / 2) |q/|q| - k/|k||^2.
///
/// It is the scaled cosine, shifted so that equal directions have z = 0 and z is a distance; a
/// shift changes no weight under Adaptive, Anchored or NearestNeighbors. A fixed bandwidth is
/// compared with the chord between the unit rows, d^2 = 2 (1 - cos), times sqrt(scale).
/// A zero row has no direction: its cosine with every row is 0, and no gradient passes through it. Any other finite row has
/// one, also where its length is out of range.
struct Cosine {
  static constexpr bool has_scale = true;  ///< `grads.scale` exists
  static constexpr bool is_product = false;  ///< a product bounds it from above
  static constexpr double distance_factor = 2.0;  ///< squared distance = -2 z

  double scale = 1.0;  ///< positive

  /// Throws std::invalid_argument unless the scale is positive and finite.
  void validate() const {
    detail::require(scale > 0.0 && detail::is_finite(scale), "Cosine: scale must be positive and finite, got ", scale);
  }

  /// Rows divided by their norm, once for each operand.
  template <class X>
  RowMatrix<ScalarOf<X>> prepared(const X& rows) const {
    using Scalar = ScalarOf<X>;
    RowMatrix<Scalar> unit = rows;
    for (Index i = 0; i < unit.rows(); ++i) {
      const Length<Scalar> length(rows.row(i));
      if (length.zero()) continue;
      unit.row(i) /= length.power;
      unit.row(i) /= length.rest;
    }
    return unit;
  }

  /// d(x / |x|) = (I - u u') dx / |x|, u = x / |x|. A row without gradient has none, whatever it holds.
  template <class X, class P, class D>
  RowMatrix<ScalarOf<X>> prepared_pullback(const X& rows, const P& unit, const D& grad) const {
    using Scalar = ScalarOf<X>;
    RowMatrix<Scalar> result(rows.rows(), rows.cols());
    for (Index i = 0; i < result.rows(); ++i) {
      const Length<Scalar> length(rows.row(i));
      if (length.zero() || is_zero(grad.row(i))) {
        result.row(i).setZero();
      } else {
        const Scalar radial(grad.row(i).dot(unit.row(i)));
        result.row(i) = (grad.row(i) - radial * unit.row(i)) / length.rest;
        result.row(i) /= length.power;
      }
    }
    return result;
  }

  /// z of two prepared rows.
  template <class Q, class K>
  ScalarOf<Q> score(const Q& q, const K& k) const {
    using Scalar = ScalarOf<Q>;
    // NaN in the other row counts.
    if (is_zero(q) || is_zero(k)) return Scalar(Scalar(0) * Scalar(q.dot(k)) - Scalar(scale));
    return half_chord().score(q, k);
  }

  /// A zero row makes the bound that of distance 1 instead of 2: nearer than it is, as a bound may.
  template <class Scalar>
  ProductBound<Scalar> product_bound(const Scalar& query_norm, Index dimension) const {
    return half_chord().product_bound(query_norm, dimension);
  }

  /// dz times scale (k - q) to dq, and scale (q - k) to dk.
  template <class Q, class K, class Scalar, class DQ, class DK>
  void pullback(const Q& q, const K& k, const Scalar& dz, DQ&& dq, DK&& dk) const {
    if (is_zero(q) || is_zero(k)) return;
    half_chord().pullback(q, k, dz, dq, dk);
  }

  /// dz z / scale.
  template <class Q, class K, class Scalar>
  Scalar scale_pullback(const Q& q, const K& k, const Scalar& dz) const {
    if (is_zero(q) || is_zero(k)) return Scalar(-dz);
    return Scalar(half_chord().scale_pullback(q, k, dz) / Scalar(2));
  }

 private:
  /// Between unit rows: minus half the scaled squared chord.
  SquaredDistance half_chord() const { return SquaredDistance{scale / 2.0}; }

  /// Ends at the first coordinate of nearly every row.
  template <class X>
  static bool is_zero(const X& x) {
    for (Index d = 0; d < x.size(); ++d) {
      if (!(x(d) == ScalarOf<X>(0))) return false;
    }
    return true;
  }

  /// |x| = power rest. For the built-in scalars the power is the largest one of two that does not exceed the largest
  /// |x_d|: dividing by it is exact, no square over- or underflows that matters, and |x| itself may be out of range. The
  /// rest is NaN if x is not finite.
  template <class Scalar>
  struct Length {
    Scalar power{1};
    Scalar rest{0};

    template <class X>
    explicit Length(const X& x) {
      if constexpr (std::is_floating_point_v<Scalar>) {
        if (is_zero(x)) return;
        if (!x.allFinite()) {
          rest = std::numeric_limits<Scalar>::quiet_NaN();
          return;
        }
        power = std::scalbn(Scalar(1), std::ilogb(x.cwiseAbs().maxCoeff()));
        rest = (x / power).norm();
      } else {
        const Scalar square(x.squaredNorm());
        if (!(square == Scalar(0))) rest = detail::sqrt(square);
      }
    }

    bool zero() const { return rest == Scalar(0); }
  };
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
