// What the loops read and write, and the bounds that they share with their callers.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Scalars that the vector loops take.
template <class Scalar>
inline constexpr bool vectorized = std::is_same_v<Scalar, float> || std::is_same_v<Scalar, double>;

/// Rows with at most `longest_short_row` candidates are short: up to `most_rows_at_once` of them are solved together.
inline constexpr Index longest_short_row = 128;
inline constexpr std::size_t most_rows_at_once = 16;

/// What sums over a row are formed in.
template <class Scalar>
using Wide = std::conditional_t<std::is_same_v<Scalar, float>, double, Scalar>;

/// How far from one the total of n weights may be where Newton's next step is the last: what that step leaves is below
/// the rounding of the weights. For r = 1 it leaves nothing unless the support changes.
template <class Scalar>
Scalar settled_excess(bool linear, Index n) {
  const Scalar epsilon(Eigen::NumTraits<Scalar>::epsilon());
  return linear ? Scalar(Scalar(4) * epsilon) : detail::sqrt(Scalar(epsilon / Scalar(static_cast<double>(4 * n))));
}

/// Terms of a sum over keys or queries that are added up before they are added to the total: in one accumulator the
/// rounding error would grow with their number. Of the keys or queries of a product of matrices; of the keys of a list,
/// none of which is without weight; and of a key's pairs.
inline constexpr Index run_terms = 256;
inline constexpr Index list_run_terms = 32;
inline constexpr Index pair_run_terms = 64;

/// Sums over a row's support.
template <class Scalar>
struct ProfileSums {
  Scalar value;  ///< of kappa(t)
  Scalar slope;  ///< of kappa'(t)
};

/// Where the candidates of one query among the keys of a panel go. Both pointers move with them.
template <class T>
struct Candidates {
  T* z = nullptr;
  KeyIndex* key = nullptr;
  KeyIndex* full = nullptr;   ///< key's last place before which there is room for a whole panel
  T floor = T(0);             ///< a score above it, or NaN, is a candidate
  T shift = T(0);             ///< added to every number
  std::uint64_t visible = 0;  ///< bit j: does the query see key j of the panel?
};

/// A query and a key that it gives weight, on the way back.
template <class T>
struct Pair {
  KeyIndex query;
  KeyIndex key;
  T p;   ///< the weight
  T dz;  ///< dL/dz
};

/// Sums over a row of factor s_j and of factor s_j (g_j - origin).
template <class Scalar>
struct Moments {
  Wide<Scalar> mass;
  Wide<Scalar> first;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
