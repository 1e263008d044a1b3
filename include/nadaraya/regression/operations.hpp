// The computations of regressions, densities and classifiers, behind functions that a library can hold.
#pragma once

#include "nadaraya/detail/function_ref.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/regression/bandwidth_search.hpp"
#include "nadaraya/regression/class_criterion.hpp"
#include "nadaraya/regression/diagnostics.hpp"
#include "nadaraya/regression/kernel_inputs.hpp"
#include "nadaraya/regression/local_data.hpp"
#include "nadaraya/regression/prediction.hpp"
#include "nadaraya/regression/self_convolution.hpp"
#include "nadaraya/types.hpp"

#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// A template so that nadaraya::compiled can hold it, for double; defined in regression/operations_definitions.hpp.
/// Queries [Nq x D] are in units of x.
template <class Scalar>
struct LocalOperations {
  using Matrix = RowMatrix<Scalar>;
  using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;

  /// BandwidthSearcher::run.
  static BandwidthChoice search(const LocalData& data, Scalar deviation, const BandwidthObjective& objective,
                                const BandwidthSearch& search, const char* function);

  /// The value, and the gradient by log h, or lambda, unless null.
  static Scalar criterion(const KernelInputs& inputs, const AnyCriterion& criterion, const AnyExecutor& executor,
                          Vector* gradient);
  static Prediction<Scalar> predict(const KernelInputs& inputs, const Matrix& queries, const AnyExecutor& executor);
  static RegressionDiagnostics diagnose(const KernelInputs& inputs, const AnyExecutor& executor);
  static IntervalPrediction intervals(const KernelInputs& inputs, const Matrix& queries, const Matrix& noise,
                                      Scalar level, const AnyExecutor& executor);
  static IntervalPrediction bands(const KernelInputs& inputs, const Matrix& queries, const Matrix& noise, Scalar level,
                                  const BandDraws& draws, const AnyExecutor& executor);
  static SlopePrediction slopes(const KernelInputs& inputs, const Matrix& queries, const Matrix& noise,
                                const AnyExecutor& executor);

  /// `integral`: that of the kernel; with a convolution least-squares cross-validation, likelihood cross-validation
  /// without.
  static Scalar density_criterion(const KernelInputs& inputs, Scalar integral, const SelfConvolution* convolution,
                                  const AnyExecutor& executor, Vector* gradient);
  static Vector log_density(const KernelInputs& inputs, Scalar integral, const Matrix& queries,
                            const AnyExecutor& executor);

  /// y holds classes 0 to `classes` - 1.
  static Scalar class_criterion(const KernelInputs& inputs, Index classes,
                                const FunctionRef<ClassLoss(const LeftOutClass&)>& loss, const AnyExecutor& executor,
                                Vector* gradient);
  /// Returns the queries where no point has weight.
  static std::vector<Index> class_probabilities(const KernelInputs& inputs, const Matrix& queries, Index classes,
                                                Matrix& probabilities, const AnyExecutor& executor);

  /// sigma^2 (b - a) / (N mean m''^2), of plug_in_bandwidth().
  static Scalar plug_in_ratio(const Matrix& x, const Matrix& y);
};

#if defined(NADARAYA_COMPILED)
extern template struct LocalOperations<double>;
#endif

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
