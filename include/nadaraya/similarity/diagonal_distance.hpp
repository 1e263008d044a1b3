// The similarity of kernel regression with a bandwidth for each column: minus the squared distance under a diagonal metric.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/similarity/similarity.hpp"
#include "nadaraya/similarity/squared_distance.hpp"

#include <concepts>
#include <limits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Minus the squared distance of rows whose columns are divided by bandwidths: z = -sum_d ((q_d - k_d) / h_d)^2, the diagonal
/// case of the Mahalanobis distance. FixedBandwidth{1} makes h_d the bandwidth of column d, as LocalRegression has them; any
/// other normalization widens all columns together. `grads.similarity` holds dL/dh_d [1 x D].
///
/// Scalar is that of the rows. Rows are compared as they are given: heads of other bandwidths can share keys and a cache.
/// Cost: a pair O(D). Far keys are ruled out as by SquaredDistance with the widest bandwidth for all columns, so that
/// bandwidths which differ much rule out fewer.
template <std::floating_point Scalar>
class DiagonalDistance {
 public:
  /// The type of bandwidths and of their gradient, one number for each column.
  using RowVector = Eigen::Matrix<Scalar, 1, Eigen::Dynamic>;

  static constexpr bool is_product = false;  ///< a product bounds it from above
  static constexpr double distance_factor = 1.0;  ///< squared distance = -z

  /// For rows without columns.
  DiagonalDistance() = default;
  /// One bandwidth for each column: a row or a column of them.
  template <class H>
  explicit DiagonalDistance(const Eigen::MatrixBase<H>& bandwidths) : bandwidths_(bandwidths.reshaped().transpose()) {
    inverse_ = bandwidths_.cwiseInverse();
    if (inverse_.size() > 0) {
      const double least(inverse_.minCoeff());
      widest_.scale = least * least;
    }
  }

  /// h_d [1 x D]
  const RowVector& bandwidths() const { return bandwidths_; }

  /// Throws std::invalid_argument unless bandwidths and their inverses are positive, with squares that the scalar can hold.
  void validate() const {
    constexpr Scalar least = (std::numeric_limits<Scalar>::min)(), most = (std::numeric_limits<Scalar>::max)();
    for (Index d = 0; d < bandwidths_.size(); ++d) {
      const Scalar h = bandwidths_(d), square = h * h;
      detail::require(h > Scalar(0) && square >= least && square <= most && Scalar(1) / square >= least,
                      "DiagonalDistance: bandwidths must be positive, with squares that the scalar in use can hold, got ", h,
                      " for column ", d);
    }
  }

  /// Throws std::invalid_argument unless there is a bandwidth for each of D columns.
  void validate(Index dimension) const {
    detail::require(bandwidths_.size() == dimension, "DiagonalDistance: there are ", bandwidths_.size(),
                    " bandwidths, and query and key have ", dimension, " columns");
  }

  /// -sum_d ((q_d - k_d) / h_d)^2
  template <class Q, class K>
  ScalarOf<Q> score(const Q& q, const K& k) const {
    return ScalarOf<Q>(-(q - k).cwiseProduct(inverse<ScalarOf<Q>>()).squaredNorm());
  }

  /// That of the distance with the widest bandwidth for all columns, which is not larger. The room for rounding that it leaves
  /// holds the two roundings more of each difference here.
  template <class S>
  ProductBound<S> product_bound(const S& query_norm, Index dimension) const {
    return widest_.product_bound(query_norm, dimension);
  }

  /// That of the distance with the widest bandwidth for all columns.
  template <class S>
  S radius(const S& floor, Index dimension) const {
    return widest_.radius(floor, dimension);
  }

  /// dz times 2 (k_d - q_d) / h_d^2 to dq, and its negative to dk.
  template <class Q, class K, class S, class DQ, class DK>
  void pullback(const Q& q, const K& k, const S& dz, DQ&& dq, DK&& dk) const {
    const auto& r = inverse<S>();
    const S twice(S(2) * dz);
    dq += twice * (k - q).cwiseProduct(r).cwiseProduct(r);
    dk += twice * (q - k).cwiseProduct(r).cwiseProduct(r);
  }

  /// No gradient by the bandwidths.
  template <class S>
  Eigen::Matrix<S, 1, Eigen::Dynamic> zero_gradient() const {
    return Eigen::Matrix<S, 1, Eigen::Dynamic>::Zero(bandwidths_.size());
  }
  /// dz times 2 (q_d - k_d)^2 / h_d^3 to dh_d.
  template <class Q, class K, class S>
  void parameter_pullback(const Q& q, const K& k, const S& dz, Eigen::Matrix<S, 1, Eigen::Dynamic>& sum) const {
    const auto& r = inverse<S>();
    sum += (S(2) * dz) * (q - k).cwiseProduct(r).cwiseAbs2().cwiseProduct(r);
  }

 private:
  /// 1 / h_d, by reference where the scalar is the same.
  template <class S>
  decltype(auto) inverse() const {
    return inverse_.template cast<S>();
  }

  RowVector bandwidths_, inverse_;
  SquaredDistance widest_;  ///< never farther
};

/// Of the scalar of the bandwidths.
template <class H>
DiagonalDistance(const Eigen::MatrixBase<H>&) -> DiagonalDistance<typename H::Scalar>;

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
