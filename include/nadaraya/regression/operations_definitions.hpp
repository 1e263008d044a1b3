// The definitions of regression/operations.hpp. With nadaraya::compiled, the library alone includes them.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/regression/choose_bandwidths.hpp"
#include "nadaraya/regression/class_weights.hpp"
#include "nadaraya/regression/density_criterion.hpp"
#include "nadaraya/regression/density_design.hpp"
#include "nadaraya/regression/inference.hpp"
#include "nadaraya/regression/local_design.hpp"
#include "nadaraya/regression/operations.hpp"
#include "nadaraya/regression/plug_in_ratio.hpp"
#include "nadaraya/regression/simultaneous.hpp"
#include "nadaraya/types.hpp"

#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

template <class Scalar>
BandwidthChoice LocalOperations<Scalar>::search(const LocalData& data, Scalar deviation,
                                                const BandwidthObjective& objective, const BandwidthSearch& search,
                                                const char* function) {
  return BandwidthSearcher(deviation, objective, search, function).run(data);
}

template <class Scalar>
Scalar LocalOperations<Scalar>::criterion(const KernelInputs& inputs, const AnyCriterion& criterion,
                                          const AnyExecutor& executor, Vector* gradient) {
  return criterion_at(inputs, criterion, executor, gradient);
}

template <class Scalar>
Prediction<Scalar> LocalOperations<Scalar>::predict(const KernelInputs& inputs, const Matrix& queries,
                                                    const AnyExecutor& executor) {
  const LocalDesign design = design_of(inputs);
  return predict_values(design, design.order.scaled(queries, inputs.bandwidths), executor);
}

template <class Scalar>
RegressionDiagnostics LocalOperations<Scalar>::diagnose(const KernelInputs& inputs, const AnyExecutor& executor) {
  const LocalDesign design = design_of(inputs);
  return detail::diagnose(design, design.order.scaled(inputs.data.x, inputs.bandwidths), executor);
}

template <class Scalar>
IntervalPrediction LocalOperations<Scalar>::intervals(const KernelInputs& inputs, const Matrix& queries,
                                                      const Matrix& noise, Scalar level, const AnyExecutor& executor) {
  const LocalDesign design = design_of(inputs);
  return predict_intervals(design, design.order.scaled(queries, inputs.bandwidths), noise, level, executor);
}

template <class Scalar>
IntervalPrediction LocalOperations<Scalar>::bands(const KernelInputs& inputs, const Matrix& queries,
                                                  const Matrix& noise, Scalar level, const BandDraws& draws,
                                                  const AnyExecutor& executor) {
  const LocalDesign design = design_of(inputs);
  return predict_bands(design, design.order.scaled(queries, inputs.bandwidths), noise, level, draws, executor);
}

template <class Scalar>
SlopePrediction LocalOperations<Scalar>::slopes(const KernelInputs& inputs, const Matrix& queries, const Matrix& noise,
                                                const AnyExecutor& executor) {
  const LocalDesign design = design_of(inputs);
  return predict_slopes(design, design.order.scaled(queries, inputs.bandwidths),
                        design.order.arranged_vector(inputs.bandwidths), noise, executor);
}

template <class Scalar>
Scalar LocalOperations<Scalar>::density_criterion(const KernelInputs& inputs, Scalar integral,
                                                  const SelfConvolution* convolution, const AnyExecutor& executor,
                                                  Vector* gradient) {
  const DensityDesign design = density_design(inputs, integral);
  const RowMatrix<double> q = design.local.order.scaled(inputs.data.x, inputs.bandwidths);
  const ValueWithSlopes result = convolution == nullptr ? likelihood_criterion(design, inputs.data.x, q, executor)
                                                        : least_squares_criterion(design, *convolution, q, executor);
  if (gradient != nullptr) *gradient = design.local.order.restored(result.slopes);
  return result.value;
}

template <class Scalar>
auto LocalOperations<Scalar>::log_density(const KernelInputs& inputs, Scalar integral, const Matrix& queries,
                                          const AnyExecutor& executor) -> Vector {
  const DensityDesign design = density_design(inputs, integral);
  return log_densities(design, design.local.order.scaled(queries, inputs.bandwidths), executor);
}

template <class Scalar>
Scalar LocalOperations<Scalar>::class_criterion(const KernelInputs& inputs, Index classes,
                                                const FunctionRef<ClassLoss(const LeftOutClass&)>& loss,
                                                const AnyExecutor& executor, Vector* gradient) {
  return class_criterion_at(inputs, classes, loss, executor, gradient);
}

template <class Scalar>
std::vector<Index> LocalOperations<Scalar>::class_probabilities(const KernelInputs& inputs, const Matrix& queries,
                                                                Index classes, Matrix& probabilities,
                                                                const AnyExecutor& executor) {
  const LocalDesign design = design_of(inputs);
  return detail::class_probabilities(design, design.order.scaled(queries, inputs.bandwidths), classes, probabilities,
                                     executor);
}

template <class Scalar>
Scalar LocalOperations<Scalar>::plug_in_ratio(const Matrix& x, const Matrix& y) {
  return detail::plug_in_ratio(x, y);
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
