// What normalizations call, declared: the functions of a row's numbers, by name. Their definitions take the loops.
#pragma once

#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/kernel/rectified_power.hpp"
#include "nadaraya/loops/operands.hpp"
#include "nadaraya/loops/row_normalizer.hpp"

#include <cstddef>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

template <class Scalar>
class CandidateRow;
template <class Scalar>
class RowRule;

namespace detail {

// row/mean.hpp, row/row_sums.hpp
template <class Scalar>
struct Mean;
template <class Scalar>
Scalar largest(RowView<Scalar> z);
template <Kernel K, class Scalar>
void slopes(const K& kernel, RowView<Scalar> t, const Scalar& divisor, RowOut<Scalar> s);

// row/self_normalized.hpp
template <class Scalar>
struct CoordinateSums;
template <Kernel K, class Scalar>
RowNormalizer<Scalar> at_nearest(const K& kernel, const Scalar& width, RowView<Scalar> z);
template <Kernel K, class Scalar>
RowNormalizer<Scalar> at_zero(const K& kernel, const Scalar& width, RowView<Scalar> z);
template <Kernel K, class Scalar>
Scalar zero_distance(const K& kernel, const RowNormalizer<Scalar>& map);
template <Kernel K, class Scalar>
CoordinateSums<Scalar> pull_to_coordinates(const K& kernel, const RowNormalizer<Scalar>& map, RowView<Scalar> t,
                                           RowView<Scalar> g, const Mean<Scalar>& mean, const Scalar& fixed,
                                           RowOut<Scalar> dt, ParameterGradients<Scalar>& parameters);
template <Kernel K, class Scalar>
CoordinateSums<Scalar> pull_self_normalized(const K& kernel, const RowNormalizer<Scalar>& map, RowView<Scalar> t,
                                            RowView<Scalar> g, const Scalar& fixed, RowOut<Scalar> dt,
                                            ParameterGradients<Scalar>& parameters);
template <class Scalar>
void divide_by(const Scalar& width, RowOut<Scalar> dz);

// row/threshold.hpp
template <AdaptiveKernel K, class Scalar>
class ThresholdSearch;
/// Scalars for which the thresholds of some short rows are found together.
template <class Scalar>
concept SearchedTogether = engine::vectorized<Scalar>;
template <int N, SearchedTogether Scalar>
void threshold_floors(const RectifiedPolynomial<N>& kernel, std::span<const RowView<Scalar>> rows,
                      std::span<const Scalar> floor_bound, int steps, Scalar* floors);
template <int N, SearchedTogether Scalar>
void thresholds(const RectifiedPolynomial<N>& kernel, std::span<const RowView<Scalar>> rows, std::span<const Scalar> floor_bound,
                RowNormalizer<Scalar>* maps);

// row/steep.hpp
template <class Scalar>
RowNormalizer<Scalar> steep_threshold(const RectifiedPower& kernel, RowView<Scalar> z);
template <class Scalar>
void pull_steep(const RectifiedPower& kernel, const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g,
                RowOut<Scalar> dz, ParameterGradients<Scalar>& parameters);

// row/kth_largest.hpp
template <class Scalar>
Scalar kth_largest(RowView<Scalar> z, std::size_t k);
template <class Scalar>
void keep_largest(CandidateRow<Scalar>& row, std::size_t k);

// row/alpha_gradient.hpp, row/pull_slopes.hpp
template <AlphaKernel K, class Scalar>
Scalar adaptive_slopes(const K& kernel, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> s);
template <class Scalar>
void pull_slopes(RowView<Scalar> g, RowOut<Scalar> dz);

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
