// Sums of weights by class: probabilities, and the losses of the points left out.
#pragma once

#include "nadaraya/detail/function_ref.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/regression/class_criterion.hpp"
#include "nadaraya/regression/density_criterion.hpp"
#include "nadaraya/regression/local_design.hpp"
#include "nadaraya/regression/neighborhood.hpp"
#include "nadaraya/regression/smoother_error.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

/// Sums of the weights of each class, into sums [C].
inline void sum_classes(const LocalDesign& design, const Neighborhood& around, Eigen::VectorXd& sums) {
  sums.setZero();
  const auto weights = around.weights();
  for (Index j = 0; j < around.count(); ++j) sums(static_cast<Index>(design.y(around.point(j), 0))) += weights(j);
}

/// The mean loss, and its gradient by log h, or lambda, unless null.
inline double class_criterion_at(const KernelInputs& inputs, Index classes,
                                 const FunctionRef<ClassLoss(const LeftOutClass&)>& loss, const AnyExecutor& executor,
                                 Eigen::VectorXd* gradient) {
  const LocalDesign design = design_of(inputs);
  const LocalData& data = inputs.data;
  const RowMatrix<double> q = design.order.scaled(data.x, inputs.bandwidths);
  const double total = data.weights.size() > 0 ? data.weights.sum() : static_cast<double>(q.rows());
  const auto make = [&] {
    return [&, around = Neighborhood(design), query = Eigen::VectorXd(), sums = Eigen::VectorXd(classes),
            slopes = Eigen::VectorXd()](Index i, ValueWithSlopes& sum) mutable {
      query = q.row(i).transpose();
      around.visit(query, i);
      sum_classes(design, around, sums);
      const double mass = sums.sum();
      const auto own = static_cast<Index>(design.y(i, 0));
      Index predicted = 0;
      sums.maxCoeff(&predicted);
      const bool alone = !(mass > 0);
      const double probability = alone ? 0.0 : sums(own) / mass;
      const ClassLoss at =
          loss({probability, !alone && predicted == own, static_cast<double>(q.rows()), static_cast<double>(classes)});
      const double share = (data.weights.size() > 0 ? data.weights(i) : 1.0) / total;
      sum.value += share * at.value;
      if (gradient == nullptr || alone || at.by_probability == 0) return;
      slopes.resize(around.count());
      for (Index j = 0; j < around.count(); ++j) {
        slopes(j) = ((static_cast<Index>(design.y(around.point(j), 0)) == own ? 1.0 : 0.0) - probability) / mass;
      }
      for (Index d = 0; d < sum.slopes.size(); ++d) sum.slopes(d) += share * at.by_probability * around.pull(slopes.data(), d);
    };
  };
  const ValueWithSlopes result = sum_over_rows(design, q.cols(), executor, make);
  if (gradient != nullptr) *gradient = design.order.restored(result.slopes);
  return result.value;
}

/// The class probabilities at q [Nq x D], in units of the design. Returns the rows where no point has weight.
inline std::vector<Index> class_probabilities(const LocalDesign& design, const RowMatrix<double>& q, Index classes,
                                              RowMatrix<double>& probabilities, const AnyExecutor& executor) {
  Eigen::VectorXd shares = Eigen::VectorXd::Zero(classes);
  for (Index j = 0; j < design.y.rows(); ++j) {
    shares(static_cast<Index>(design.y(j, 0))) += design.weights.size() > 0 ? design.weights(j) : 1.0;
  }
  shares /= shares.sum();
  probabilities.resize(q.rows(), classes);
  std::vector<char> empty(static_cast<std::size_t>(q.rows()), 0);
  for_row_chunks(q.rows(), cost_of_fit(design), executor, [&](Index first, Index last, Index) {
    Neighborhood around(design);
    Eigen::VectorXd query, sums(classes);
    for (Index i = first; i < last; ++i) {
      query = q.row(i).transpose();
      around.visit(query, -1);
      sum_classes(design, around, sums);
      const double mass = sums.sum();
      empty[static_cast<std::size_t>(i)] = mass > 0 ? 0 : 1;
      if (mass > 0) {
        probabilities.row(i) = sums.transpose() / mass;
      } else {
        probabilities.row(i) = shares.transpose();
      }
    }
  });
  return marked_rows(empty);
}

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
