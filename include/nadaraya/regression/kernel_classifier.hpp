// Classification by kernel weights.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/normalization/nearest_neighbors.hpp"
#include "nadaraya/regression/any_kernel.hpp"
#include "nadaraya/regression/bandwidth_search.hpp"
#include "nadaraya/regression/class_criterion.hpp"
#include "nadaraya/regression/columns.hpp"
#include "nadaraya/regression/density_model.hpp"
#include "nadaraya/regression/kernel_inputs.hpp"
#include "nadaraya/regression/local_data.hpp"
#include "nadaraya/regression/operations.hpp"
#include "nadaraya/regression/product.hpp"
#include "nadaraya/regression/rule_of_thumb.hpp"
#include "nadaraya/types.hpp"

#if !defined(NADARAYA_COMPILED)
#include "nadaraya/regression/operations_definitions.hpp"
#endif

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// The points of a classifier: as those of a density.
using ClassifierModel = DensityModel;

/// What a classifier says about queries.
struct ClassPrediction {
  RowMatrix<double> probabilities;  ///< [Nq x C]; where no point has weight, the shares of the classes
  std::vector<Index> labels;        ///< the likeliest class of each query, the smaller label of equals
  std::vector<Index> empty_rows;    ///< queries where no point has weight, ascending
};

/// P(c | q) = sum of w_j over the points of class c / sum_j w_j, with the weights w_j of LocalRegression: regression of
/// degree 0 on the indicators of the classes; kernel discriminant analysis with the shares of the classes as their
/// probabilities.
///   const auto model = KernelClassifier<Biweight>::fit(Biweight{}, x, labels, ClassLikelihood{});
///   model.predict(queries).probabilities
/// x [N x Dx], finite; labels [N], any integers. Errors: std::invalid_argument, before anything is computed. No result
/// depends on the executor.
template <RegressionKernel K>
class KernelClassifier {
 public:
  /// With one bandwidth for each column: h > 0, or 0 <= lambda <= 1 for categorical ones.
  template <RealExpression X>
  KernelClassifier(K kernel, const Eigen::VectorXd& bandwidths, const X& x, const std::vector<Index>& labels,
                   const ClassifierModel& model = {})
      : kernel_(std::move(kernel)), data_(checked(x, labels, model)), classes_(distinct(labels)), scales_(bandwidths) {
    detail::require_bandwidths(data_, bandwidths, "KernelClassifier");
    detail::validate_kernel<double>(detail::factor_of(kernel_));
  }

  /// With the k nearest points, as LocalRegression.
  template <RealExpression X>
  requires CompactKernel<K> KernelClassifier(K kernel, NearestNeighbors nearest, const X& x,
                                             const std::vector<Index>& labels, const ClassifierModel& model = {})
      : kernel_(std::move(kernel)),
        data_(checked(x, labels, model)),
        classes_(distinct(labels)),
        neighbors_(nearest.neighbors) {
    detail::require_neighbors(data_, neighbors_, "KernelClassifier");
    detail::validate_kernel<double>(kernel_);
    scales_ = detail::neighbor_scales(data_.x);
  }

  /// With the bandwidths that minimize a criterion on the points left out: ClassLikelihood, by its gradient, or
  /// ClassErrors, the best of a grid. N >= 2. Deterministic.
  template <RealExpression X, ClassCriterion C, class E = Serial>
  static KernelClassifier fit(K kernel, const X& x, const std::vector<Index>& labels, const C& criterion,
                              const ClassifierModel& model = {}, const BandwidthSearch& search = {},
                              const E& executor = {}) {
    return KernelClassifier(kernel, choose(kernel, x, labels, criterion, model, search, executor).bandwidths, x, labels,
                            model);
  }

  /// The search of fit() alone.
  template <RealExpression X, ClassCriterion C, class E = Serial>
  static BandwidthChoice choose(const K& kernel, const X& x, const std::vector<Index>& labels, const C& criterion,
                                const ClassifierModel& model = {}, const BandwidthSearch& search = {},
                                const E& executor = {}) {
    detail::validate_kernel<double>(detail::factor_of(kernel));
    const detail::LocalData data = checked(x, labels, model);
    const auto classes = static_cast<Index>(distinct(labels).size());
    const AnyExecutor any(executor);
    const auto objective = [&](const detail::LocalData& points, const Eigen::VectorXd& bandwidths,
                               Eigen::VectorXd* gradient) {
      return Operations::class_criterion({detail::AnyKernel::of(kernel), points, bandwidths}, classes, criterion, any,
                                         gradient);
    };
    const double deviation = detail::kernel_deviation(kernel, detail::ColumnOrder(data.kinds, x.cols()).continuous());
    return Operations::search(data, deviation, objective, search, "KernelClassifier::fit");
  }

  /// With the number of neighbors, among those given, that minimizes a criterion; the first of equals.
  template <RealExpression X, ClassCriterion C, class E = Serial>
  requires CompactKernel<K>
  static KernelClassifier fit_neighbors(K kernel, const X& x, const std::vector<Index>& labels,
                                        const std::vector<Index>& neighbors, const C& criterion,
                                        const ClassifierModel& model = {}, const E& executor = {}) {
    double best = std::numeric_limits<double>::infinity();
    Index chosen = 0;
    for (const Index k : neighbors) {
      const double value =
          KernelClassifier(kernel, NearestNeighbors{k}, x, labels, model).criterion(criterion, executor);
      if (value < best) {
        best = value;
        chosen = k;
      }
    }
    detail::require(chosen > 0, "KernelClassifier::fit_neighbors: neighbors must not be empty");
    return KernelClassifier(kernel, NearestNeighbors{chosen}, x, labels, model);
  }

  const K& kernel() const { return kernel_; }  ///< The kernel.
  /// The bandwidths h or lambda, one for each column. With neighbors, the standard deviations of the columns.
  const Eigen::VectorXd& scales() const { return scales_; }
  Index neighbors() const { return neighbors_; }                  ///< 0 with fixed bandwidths.
  const std::vector<Index>& classes() const { return classes_; }  ///< The labels, ascending.

  /// A criterion of this classifier.
  template <ClassCriterion C, class E = Serial>
  double criterion(const C& criterion, const E& executor = {}) const {
    return Operations::class_criterion(inputs(), class_count(), criterion, AnyExecutor(executor), nullptr);
  }

  /// Its gradient by log h, or lambda of a categorical column. Throws std::invalid_argument for a classifier by
  /// neighbors.
  template <ClassCriterion C, class E = Serial>
  Eigen::VectorXd criterion_gradient(const C& criterion, const E& executor = {}) const {
    detail::require(neighbors_ == 0, "KernelClassifier::criterion_gradient: a number of neighbors has no gradient");
    Eigen::VectorXd gradient;
    Operations::class_criterion(inputs(), class_count(), criterion, AnyExecutor(executor), &gradient);
    return gradient;
  }

  /// queries [Nq x Dx] -> probabilities [Nq x C], columns as classes().
  template <RealExpression Q, class E = Serial>
  ClassPrediction predict(const Q& queries, const E& executor = {}) const {
    detail::require(queries.cols() == data_.x.cols(), "KernelClassifier: queries must have the columns of x ",
                    detail::shape(data_.x), ", got ", detail::shape(queries));
    const RowMatrix<double> q = queries.template cast<double>();
    detail::require_finite_rows(q, "KernelClassifier", "queries");
    ClassPrediction result;
    result.empty_rows =
        Operations::class_probabilities(inputs(), q, class_count(), result.probabilities, AnyExecutor(executor));
    for (Index i = 0; i < result.probabilities.rows(); ++i) {
      Index best = 0;
      result.probabilities.row(i).maxCoeff(&best);
      result.labels.push_back(classes_[static_cast<std::size_t>(best)]);
    }
    return result;
  }

 private:
  using Operations = detail::LocalOperations<double>;

  detail::KernelInputs inputs() const { return {detail::AnyKernel::of(kernel_), data_, scales_, neighbors_}; }

  Index class_count() const { return static_cast<Index>(classes_.size()); }

  static std::vector<Index> distinct(std::vector<Index> labels) {
    std::sort(labels.begin(), labels.end());
    labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
    return labels;
  }

  /// y holds the position of each label among the classes.
  template <class X>
  static detail::LocalData checked(const X& x, const std::vector<Index>& labels, const ClassifierModel& model) {
    detail::require(x.rows() == static_cast<Index>(labels.size()),
                    "KernelClassifier: there must be one label for each row of x ", detail::shape(x), ", got ",
                    labels.size());
    const std::vector<Index> classes = distinct(labels);
    RowMatrix<double> y(x.rows(), 1);
    for (Index i = 0; i < x.rows(); ++i) {
      y(i, 0) = static_cast<double>(
          std::lower_bound(classes.begin(), classes.end(), labels[static_cast<std::size_t>(i)]) - classes.begin());
    }
    detail::LocalData data{x.template cast<double>(), y, model.weights, 0, 1.0, model.columns, model.factors};
    detail::require_local_data(data, "KernelClassifier");
    return data;
  }

  K kernel_;
  detail::LocalData data_;
  std::vector<Index> classes_;
  Eigen::VectorXd scales_;
  Index neighbors_ = 0;
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
