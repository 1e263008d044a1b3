// The plane through the values of a support, fitted by weighted least squares with a ridge in any number of dimensions.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/operands.hpp"
#include "nadaraya/mix/row_products.hpp"
#include "nadaraya/mix/small_system.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/weighted_keys.hpp"

#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// RidgedFit with the features k_j - q, for many columns: keys are read as rows. With p = w / sum w, the mean key m = sum p k,
/// psi = k - m and C = sum p psi psi^T,
///   c_j = p_j (1 + psi_j^T beta),   beta = (C + ridge I)^-1 (q - m),
/// in D x D or, for s < D, by G = W W^T [s x s], W = rows sqrt(p_j) psi_j:
///   sqrt(p_j) psi_j^T beta = [(G + ridge I)^-1 W (q - m)]_j.
/// Cost: O(s D min(s, D)). Memory is kept from one fit to the next.
template <class Scalar>
class LinearFit {
 public:
  /// The weights c of the values. s >= 1.
  void correct(const WeightedKeys<Scalar>& support, const Scalar& ridge, std::span<Scalar> corrected) {
    begin(support, ridge);
    by_rows_ ? fit_rows() : fit_columns();
    Column tilt = vector(tilt_, rows_);
    const Column p = vector(p_, rows_);
    // Its mean is zero but for rounding, which a small ridge amplifies.
    tilt.array() -= p.dot(tilt);
    Column(corrected.data(), rows_) = p.array() * (Scalar(1) + tilt.array());
  }

  /// The gradients of a loss, given g = dL/dc, after correct(). With nu = (C + ridge I)^-1 sum p g psi and what a fit of g leaves,
  /// e_j = g_j - sum p g - psi_j^T nu:
  ///   dL/dw_j = ((1 + psi_j^T beta) e_j - ridge nu^T beta) / sum w,   dL/dk_j = p_j e_j beta - c_j nu,   dL/dq = nu.
  /// Returns dL/dridge = -nu^T beta.
  Scalar pullback(const WeightedKeys<Scalar>& support, std::span<const Scalar> grad_corrected,
                  const WeightedKeyGradients<Scalar>& gradients) {
    const Column p = vector(p_, rows_), root = vector(root_, rows_), tilt = vector(tilt_, rows_), beta = vector(beta_, cols_);
    Column rest = vector(rest_, rows_), nu = vector(nu_, cols_);
    if (by_rows_) set_beta();
    rest = Eigen::Map<const Vector>(grad_corrected.data(), rows_);
    rest.array() -= p.dot(rest);
    Column solved = vector(solved_, rows_);
    solved = root.array() * rest.array();
    if (by_rows_) {
      system_.solve(solved.data());
      sum_of_rows(scaled(), solved.data(), nu.data());
    } else {
      sum_of_rows(scaled(), solved.data(), nu.data());
      system_.solve(nu.data());
    }
    products_with(scaled(), nu.data(), solved.data());
    for (Index j = 0; j < rows_; ++j) rest(j) -= unscaled(support, j, solved(j), nu);
    const Scalar by_ridge = -nu.dot(beta);
    Column(gradients.query, cols_) = nu;
    for (Index j = 0; j < rows_; ++j) {
      const Scalar one_and_tilt = Scalar(1) + tilt(j);
      gradients.weights[static_cast<std::size_t>(j)] = (one_and_tilt * rest(j) + ridge_ * by_ridge) / total_;
      Column(gradients.keys + j * cols_, cols_) = Scalar(p(j) * rest(j)) * beta - Scalar(p(j) * one_and_tilt) * nu;
    }
    return by_ridge;
  }

 private:
  using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;
  using Column = Eigen::Map<Vector>;
  using Memory = std::vector<Scalar>;

  /// Room for n numbers and a pack, which stay until there are more.
  static Scalar* room(Memory& memory, Index n) {
    const auto numbers = static_cast<std::size_t>(n + SmallSystem<Scalar>::past);
    if (memory.size() < numbers) memory.resize(numbers);
    return memory.data();
  }
  static Column vector(Memory& memory, Index n) { return Column(room(memory, n), n); }

  /// W.
  FewRows<Scalar> scaled() { return {scaled_.data(), rows_, cols_}; }

  void begin(const WeightedKeys<Scalar>& support, const Scalar& ridge) {
    rows_ = support.size();
    cols_ = support.dimension();
    by_rows_ = rows_ < cols_;
    ridge_ = ridge;
    Column p = vector(p_, rows_), root = vector(root_, rows_);
    p = Eigen::Map<const Vector>(support.weights.data(), rows_);
    total_ = p.sum();
    p /= total_;
    for (Index j = 0; j < rows_; ++j) root(j) = detail::sqrt(Scalar(p(j)));
    mean_of_keys(support);
    const Column mean = vector(mean_, cols_);
    Scalar* const to = room(scaled_, rows_ * cols_);
    if constexpr (engine::vectorized<Scalar>) {
      const engine::View<Scalar>& rows = support.rows;
      const Scalar* const first = support.keys.list != nullptr ? rows.data : support.key(0);
      const auto& loops = engine::loops<Scalar, engine::FitLoops>();
      loops.offset_rows(support.keys.list, root.data(), rows_, first, rows.stride, cols_, mean.data(), to);
    } else {
      for (Index j = 0; j < rows_; ++j) {
        Column(to + j * cols_, cols_) = Scalar(root(j)) * (Eigen::Map<const Vector>(support.key(j), cols_) - mean);
      }
    }
    vector(offset_, cols_) = Eigen::Map<const Vector>(support.query, cols_) - mean;
  }

  void mean_of_keys(const WeightedKeys<Scalar>& support) {
    Column mean = vector(mean_, cols_);
    if constexpr (engine::vectorized<Scalar>) {
      const engine::View<Scalar>& rows = support.rows;
      if (support.keys.list != nullptr) {
        engine::loops<Scalar>().mix(support.keys.list, p_.data(), rows_, rows.data, rows.stride, cols_, mean.data());
      } else {
        engine::loops<Scalar>().multiply(Index(1), rows_, cols_, p_.data(), rows_, Index(1), support.key(0), rows.stride,
                                         mean.data(), cols_);
      }
      return;
    }
    mean.setZero();
    for (Index j = 0; j < rows_; ++j) mean += Scalar(p_[static_cast<std::size_t>(j)]) * Eigen::Map<const Vector>(support.key(j), cols_);
  }

  void fit_columns() {
    Scalar* const c = system_.begin(cols_);
    products_of_columns(scaled(), c, system_.stride());
    system_.factorize(ridge_);
    vector(beta_, cols_) = vector(offset_, cols_);
    system_.solve(beta_.data());
    products_with(scaled(), beta_.data(), room(tilt_, rows_));
    divide_by_roots(tilt_.data());
  }

  void fit_rows() {
    Scalar* const g = system_.begin(rows_);
    products_of_rows(scaled(), g, system_.stride());
    products_with(scaled(), offset_.data(), room(dual_, rows_));
    system_.factorize(ridge_);
    system_.solve(dual_.data());
    vector(tilt_, rows_) = vector(dual_, rows_);
    divide_by_roots(tilt_.data());
  }

  /// psi_j^T x from sqrt(p_j) psi_j^T x. A weight that underflows to zero has no root to divide by, and no part in the result.
  void divide_by_roots(Scalar* products) {
    for (Index j = 0; j < rows_; ++j) {
      const Scalar& root = root_[static_cast<std::size_t>(j)];
      products[j] = root > Scalar(0) ? Scalar(products[j] / root) : Scalar(0);
    }
  }
  Scalar unscaled(const WeightedKeys<Scalar>& support, Index j, const Scalar& product, const Column& x) {
    const Scalar root = root_[static_cast<std::size_t>(j)];
    if (root > Scalar(0)) return product / root;
    return x.dot(Eigen::Map<const Vector>(support.key(j), cols_) - vector(mean_, cols_));
  }

  /// From the s x s solution: ridge beta = (q - m) - W^T (G + ridge I)^-1 W (q - m).
  void set_beta() {
    Column beta = vector(beta_, cols_);
    sum_of_rows(scaled(), vector(dual_, rows_).data(), beta.data());
    beta = (vector(offset_, cols_) - beta) / ridge_;
  }

  Index rows_ = 0;
  Index cols_ = 0;
  bool by_rows_ = false;
  Scalar ridge_{0};
  Scalar total_{0};
  SmallSystem<Scalar> system_;                     // C or G
  Memory scaled_;                                   // W [s x D]
  Memory p_, root_, tilt_, dual_, rest_, solved_;   // [s]
  Memory mean_, offset_, beta_, nu_;                // [D]; q - m is the offset
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
