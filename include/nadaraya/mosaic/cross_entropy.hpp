// The loss of a prediction.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/mosaic/sequences.hpp"
#include "nadaraya/mosaic/stretches.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Tokens with this target do not count.
inline constexpr int no_target = -1;

/// Mean over the tokens that have a target of -log softmax(logits)[target], in nats; 0 if none has.
/// logits [tokens x vocabulary]; grad, its gradient by them, is resized, or null if it is not wanted.
/// Errors: std::invalid_argument if there are not as many targets as rows, or one is outside the vocabulary.
template <class Scalar>
double cross_entropy(const RowMatrix<Scalar>& logits, std::span<const int> targets, RowMatrix<Scalar>* grad,
                     const AnyExecutor& executor) {
  using std::exp;
  using std::log;
  nadaraya::detail::require(static_cast<Index>(targets.size()) == logits.rows(), "mosaic::cross_entropy: logits is ",
                            nadaraya::detail::shape(logits), ", and there are ", targets.size(), " targets");
  Index counted = 0;
  for (const int target : targets) {
    nadaraya::detail::require(target == no_target || (target >= 0 && target < logits.cols()),
                              "mosaic::cross_entropy: a target is ", target, ", and logits is ",
                              nadaraya::detail::shape(logits));
    counted += target == no_target ? 0 : 1;
  }
  if (grad != nullptr) grad->resize(logits.rows(), logits.cols());
  std::vector<double> losses(targets.size(), 0.0);
  for_stretches(logits.rows(), tokens_at_once, executor, [&](Index first, Index count) {
    Eigen::Array<Scalar, 1, Eigen::Dynamic> weights(logits.cols());
    for (Index t = first; t < first + count; ++t) {
      const int target = targets[static_cast<std::size_t>(t)];
      if (target == no_target) {
        if (grad != nullptr) grad->row(t).setZero();
        continue;
      }
      const Scalar top = logits.row(t).maxCoeff();
      weights = (logits.row(t).array() - top).exp();
      const Scalar total = weights.sum();
      losses[static_cast<std::size_t>(t)] = static_cast<double>(log(total) - (logits(t, target) - top));
      if (grad == nullptr) continue;
      grad->row(t) = (weights / (total * Scalar(counted))).matrix();
      (*grad)(t, target) -= Scalar(1) / Scalar(counted);
    }
  });
  double sum = 0;
  for (const double loss : losses) sum += loss;
  return counted == 0 ? 0.0 : sum / static_cast<double>(counted);
}

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
