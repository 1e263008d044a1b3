// The interface that the engine calls, implemented by a similarity policy.
#pragma once

#include "nadaraya/engine/row_similarity.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include <algorithm>
#include <memory>
#include <span>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

template <class Scalar, class S>
constexpr SimilarityTraits traits_of_similarity() {
  SimilarityTraits traits;
  traits.bounded_by_product = vectorized<Scalar> && ProductSimilarity<S>;
  if constexpr (requires { requires S::is_product; }) traits.is_product = traits.bounded_by_product;
  traits.prepares = PreparingSimilarity<S>;
  return traits;
}

/// Can a grid find the keys near a query?
template <class Scalar, class S>
inline constexpr bool finds_by_grid = vectorized<Scalar> && LocalSimilarity<S, Scalar> && !PreparingSimilarity<S>;

/// Room for a row, uninitialized: on the stack, unless it is long or of a class.
template <class Scalar>
class RowRoom {
 public:
  explicit RowRoom(Index cols) : cols_(cols) {
    if (cols > most) long_row_.resize(cols);
  }
  auto row() {
    return Eigen::Map<Eigen::Matrix<Scalar, 1, Eigen::Dynamic>>(cols_ > most ? long_row_.data() : short_row_, cols_);
  }

 private:
  static constexpr Index most = std::is_arithmetic_v<Scalar> ? 128 : 0;

  Index cols_;
  Scalar short_row_[most > 0 ? most : 1];
  Eigen::Matrix<Scalar, 1, Eigen::Dynamic> long_row_;
};

template <class Scalar, class S>
class RowSimilarityOf final : public RowSimilarity<Scalar> {
 public:
  /// Refers to the similarity.
  explicit RowSimilarityOf(const S& similarity)
      : RowSimilarity<Scalar>(traits_of_similarity<Scalar, S>()), similarity_(similarity) {}

  void validate(Index dimension) const override { detail::validate_dimension(similarity_, dimension); }
  ProductBound<Scalar> product_bound(const Scalar& query_norm, Index dimension) const override;
  const GridFunctions<Scalar>* grid() const override;
  Scalar radius(const Scalar& floor, Index dimension) const override;
  Rows<Scalar> prepare(const Rows<Scalar>& rows) const override;
  void pull_prepared_back(const Rows<Scalar>& rows, const Rows<Scalar>& prepared, MatrixMap<Scalar>& grad) const override;
  void score(const Scalar* query, const View<Scalar>& key, const KeyList& keys, Scalar* z) const override;
  Scalar pull_query(const Scalar* query, const View<Scalar>& key, const KeyList& keys, const Scalar* dz,
                    Scalar* grad_query) const override;
  void pull_keys(const View<Scalar>& query, const View<Scalar>& key, std::span<const Pair<Scalar>> pairs,
                 MatrixMap<Scalar>& grad_key) const override;
  std::unique_ptr<OwnGradient> no_gradient() const override;
  void pull_parameters(const Scalar* query, const View<Scalar>& key, const KeyList& keys, const Scalar* dz,
                       OwnGradient& sum) const override;

 private:
  using RowVector = Eigen::Matrix<Scalar, 1, Eigen::Dynamic>;

  static auto row_of(const Scalar* x, Index cols) { return Eigen::Map<const RowVector>(x, cols); }

  const S& similarity_;
};

template <class Scalar, class S>
ProductBound<Scalar> RowSimilarityOf<Scalar, S>::product_bound([[maybe_unused]] const Scalar& query_norm,
                                                               [[maybe_unused]] Index dimension) const {
  if constexpr (traits_of_similarity<Scalar, S>().bounded_by_product) {
    return similarity_.template product_bound<Scalar>(query_norm, dimension);
  } else {
    return {};
  }
}

template <class Scalar, class S>
const GridFunctions<Scalar>* RowSimilarityOf<Scalar, S>::grid() const {
  if constexpr (finds_by_grid<Scalar, S>) {
    return &grid_functions<Scalar>();
  } else {
    return nullptr;
  }
}

template <class Scalar, class S>
Scalar RowSimilarityOf<Scalar, S>::radius([[maybe_unused]] const Scalar& floor, [[maybe_unused]] Index dimension) const {
  if constexpr (finds_by_grid<Scalar, S>) {
    return similarity_.radius(floor, dimension);
  } else {
    return Scalar(Eigen::NumTraits<Scalar>::infinity());
  }
}

template <class Scalar, class S>
Rows<Scalar> RowSimilarityOf<Scalar, S>::prepare(const Rows<Scalar>& rows) const {
  if constexpr (PreparingSimilarity<S>) {
    return Rows<Scalar>(similarity_.prepared(rows.matrix()));
  } else {
    return Rows<Scalar>(rows.matrix());
  }
}

template <class Scalar, class S>
void RowSimilarityOf<Scalar, S>::pull_prepared_back([[maybe_unused]] const Rows<Scalar>& rows,
                                                    [[maybe_unused]] const Rows<Scalar>& prepared,
                                                    [[maybe_unused]] MatrixMap<Scalar>& grad) const {
  if constexpr (PreparingSimilarity<S>) {
    const RowMatrix<Scalar> pulled = similarity_.prepared_pullback(rows.matrix(), prepared.matrix(), grad);
    for (Index i = 0; i < grad.rows(); ++i) {
      const auto row = grad.row(i);
      if (std::any_of(row.begin(), row.end(), [](const Scalar& x) { return !(x == Scalar(0)); })) grad.row(i) = pulled.row(i);
    }
  }
}

template <class Scalar, class S>
void RowSimilarityOf<Scalar, S>::score(const Scalar* query, const View<Scalar>& key, const KeyList& keys, Scalar* z) const {
  const auto q = row_of(query, key.cols);
  for (Index j = 0; j < keys.count; ++j) z[j] = similarity_.score(q, key.eigen_row(keys[j]));
}

template <class Scalar, class S>
Scalar RowSimilarityOf<Scalar, S>::pull_query([[maybe_unused]] const Scalar* query, [[maybe_unused]] const View<Scalar>& key,
                                              [[maybe_unused]] const KeyList& keys, [[maybe_unused]] const Scalar* dz,
                                              [[maybe_unused]] Scalar* grad_query) const {
  Scalar by_scale(0);
  if constexpr (!traits_of_similarity<Scalar, S>().is_product) {
    const auto q = row_of(query, key.cols);
    Eigen::Map<RowVector> grad(grad_query, key.cols);
    RowRoom<Scalar> room(key.cols), unused_room(key.cols);
    auto run = room.row(), unused = unused_room.row();
    run.setZero();
    unused.setZero();
    Scalar run_by_scale(0);
    const auto end_run = [&] {
      grad += run;
      run.setZero();
      by_scale += run_by_scale;
      run_by_scale = Scalar(0);
    };
    for (Index j = 0; j < keys.count; ++j) {
      if (j > 0 && j % list_run_terms == 0) end_run();
      if (dz[j] == Scalar(0)) continue;
      const auto k = key.eigen_row(keys[j]);
      similarity_.pullback(q, k, dz[j], run, unused);
      if constexpr (ScaledSimilarity<S>) run_by_scale += similarity_.scale_pullback(q, k, dz[j]);
    }
    end_run();
  }
  return by_scale;
}

template <class Scalar, class S>
void RowSimilarityOf<Scalar, S>::pull_keys([[maybe_unused]] const View<Scalar>& query, [[maybe_unused]] const View<Scalar>& key,
                                           [[maybe_unused]] std::span<const Pair<Scalar>> pairs,
                                           [[maybe_unused]] MatrixMap<Scalar>& grad_key) const {
  if constexpr (!traits_of_similarity<Scalar, S>().is_product) {
    RowRoom<Scalar> room(key.cols);
    auto unused = room.row();
    unused.setZero();
    for (const Pair<Scalar>& pair : pairs) {
      if (pair.dz == Scalar(0)) continue;
      similarity_.pullback(query.eigen_row(pair.query), key.eigen_row(pair.key), pair.dz, unused, grad_key.row(pair.key));
    }
  }
}

template <class Scalar, class S>
std::unique_ptr<OwnGradient> RowSimilarityOf<Scalar, S>::no_gradient() const {
  if constexpr (ParametricSimilarity<S, Scalar>) {
    return std::make_unique<OwnGradientOf<decltype(similarity_.template zero_gradient<Scalar>())>>(
        similarity_.template zero_gradient<Scalar>());
  } else {
    return nullptr;
  }
}

template <class Scalar, class S>
void RowSimilarityOf<Scalar, S>::pull_parameters([[maybe_unused]] const Scalar* query, [[maybe_unused]] const View<Scalar>& key,
                                                 [[maybe_unused]] const KeyList& keys, [[maybe_unused]] const Scalar* dz,
                                                 [[maybe_unused]] OwnGradient& sum) const {
  if constexpr (ParametricSimilarity<S, Scalar>) {
    auto& to = static_cast<OwnGradientOf<decltype(similarity_.template zero_gradient<Scalar>())>&>(sum).sum;
    const auto q = row_of(query, key.cols);
    for (Index j = 0; j < keys.count; ++j) {
      if (!(dz[j] == Scalar(0))) similarity_.parameter_pullback(q, key.eigen_row(keys[j]), dz[j], to);
    }
  }
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
