// Sums over pairs of the gradients of an operator's parameters.
#pragma once

#include "nadaraya/loops/operands.hpp"
#include "nadaraya/loops/row_normalizer.hpp"

#include <memory>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// The gradient of parameters that a policy of the user's has, of whatever type it is.
class OwnGradient {
 public:
  virtual ~OwnGradient() = default;
  /// Adds another of the same type.
  virtual void add(const OwnGradient& more) = 0;
};

template <class Gradient>
class OwnGradientOf final : public OwnGradient {
 public:
  explicit OwnGradientOf(Gradient zero) : sum(std::move(zero)) {}
  void add(const OwnGradient& more) override { sum += static_cast<const OwnGradientOf&>(more).sum; }

  Gradient sum;
};

/// Sums over some pairs, those of float in double. The last two are null where there is nothing to sum.
template <class Scalar>
struct ParameterSums : ParameterGradients<Wide<Scalar>> {
  Wide<Scalar> ridge{0};  ///< by the mix's ridge
  std::unique_ptr<OwnGradient> similarity;
  std::unique_ptr<OwnGradient> bias;

  void add(const ParameterGradients<Scalar>& more) {
    this->scale += Wide<Scalar>(more.scale);
    this->bandwidth += Wide<Scalar>(more.bandwidth);
    this->alpha += Wide<Scalar>(more.alpha);
  }
  void add(const ParameterSums& more) {
    this->scale += more.scale;
    this->bandwidth += more.bandwidth;
    this->alpha += more.alpha;
    ridge += more.ridge;
    if (similarity) similarity->add(*more.similarity);
    if (bias) bias->add(*more.bias);
  }
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
