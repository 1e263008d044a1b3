// The few names every layer shares.
#pragma once

#include "nadaraya/detail/same_build.hpp"

#include <Eigen/Core>

#include <cstdint>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Sizes and positions, signed, as in Eigen. Products of sizes are formed in this type only.
using Index = Eigen::Index;

/// A key's position as the tape and the sparse weights store it: half the memory of an Index.
/// Operators refuse more than 2^31 - 1 keys.
using KeyIndex = std::int32_t;

/// Tokens as rows, each row contiguous.
template <class Scalar>
using RowMatrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A scalar that attention can be computed in: float, double, long double, or a type that behaves
/// like them (automatic differentiation, multiprecision). Integers and complex numbers are not, and
/// nothing is computed in 16 bits: operators refuse Eigen::half and Eigen::bfloat16 by name. Caches store them, and Attention
/// reads them where its output is float.
template <class Scalar>
concept RealScalar = !Eigen::NumTraits<Scalar>::IsInteger && !Eigen::NumTraits<Scalar>::IsComplex;

/// Any dense Eigen expression over a real scalar: matrix, block, map, transpose, sum, ...
template <class M>
concept RealExpression = requires(const std::remove_cvref_t<M>& m) {
  []<class Derived>(const Eigen::MatrixBase<Derived>&) {}(m);
  requires RealScalar<typename std::remove_cvref_t<M>::Scalar>;
};

namespace detail {

/// Eigen computes in half and bfloat16 by going through float for every operation, and rounds after each.
template <class Scalar>
constexpr bool check_scalar() {
  static_assert(sizeof(Scalar) >= sizeof(float),
                "nadaraya computes in float, double and wider scalars, not in 16 bits (Eigen::half, Eigen::bfloat16): convert "
                "operands with .cast<float>(), give Attention, which reads 16 bits, an output of floats, or keep keys and values "
                "in a KeyValueCache or LayerCache of 16 bits");
  return true;
}

/// The scalar of computations with stored numbers: float for those of 16 bits.
template <class Stored>
using ComputedIn =
    std::conditional_t<std::is_same_v<Stored, Eigen::half> || std::is_same_v<Stored, Eigen::bfloat16>, float, Stored>;

}  // namespace detail

/// The scalar of an expression.
template <class M>
using ScalarOf = typename std::remove_cvref_t<M>::Scalar;

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
