// An operator of which the scalar alone is known when a call is compiled.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/problem.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/types.hpp"

#include <span>

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

namespace detail {

/// Throws std::invalid_argument unless there is an operator for all query heads or one for each, with valid parameters.
template <class Scalar>
void validate_operators(std::span<const AnyOperator<Scalar>* const> operators, Index heads, const char* function) {
  const auto count = static_cast<Index>(operators.size());
  require(count == 1 || count == heads, function, ": there are operators for ", count, " heads, and query has ", heads);
  for (const AnyOperator<Scalar>* one : operators) one->validate();
}

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
