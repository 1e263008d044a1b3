// An operator of which the scalar alone is known when a call is compiled.
#pragma once

#include "nadaraya/engine/problem.hpp"
#include "nadaraya/extent.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// The policies of an operator as the engine takes them, and their own checks. Calls that take operators as
/// AnyOperator are compiled once for each scalar, and not once for each combination of policies.
template <class Scalar>
class AnyOperator {
 public:
  virtual ~AnyOperator() = default;

  /// They live as long as the operator.
  virtual engine::HeadPolicies<Scalar> policies() const = 0;

  /// Throws std::invalid_argument if a parameter has no meaning.
  virtual void validate() const = 0;
  /// Throws std::invalid_argument if the mask is for other numbers of queries and keys.
  virtual void validate(const Extent& n) const = 0;
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
