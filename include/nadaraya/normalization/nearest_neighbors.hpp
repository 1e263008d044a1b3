// Nearest neighbours: top-k softmax, top-k uniform, and the k-nearest-neighbour bandwidth.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/kernel/uniform.hpp"
#include "nadaraya/mask/mask.hpp"
#include "nadaraya/normalization/normalization.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/row/functions.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <limits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Keeps the k largest similarities of each row (of equal ones, those of lower index), then weighs
/// them by the kernel:
///   Gaussian   softmax of the kept similarities (top-k softmax);
///   Uniform    1/k each (top-k attention, kNN regression); no gradient reaches query and key;
///   any other  kappa(1 - d_j^2 / h^2) with h the distance of the (k+1)-th nearest key
///              (Loftsgaarden & Quesenberry 1965), which takes its share of the gradient.
/// With k or fewer visible keys the bandwidth of the last kind is infinite, and with a (k+1)-th key
/// at distance zero it is zero; all kept keys then weigh the same. Keys as far as the (k+1)-th
/// have weight zero: a row of exact ties at that distance is empty.
struct NearestNeighbors {
  static constexpr bool selects = true;  ///< it picks candidates by rank

  Index neighbors = 1;  ///< k

  /// True if this kernel takes its bandwidth from the (k+1)-th key.
  template <class K>
  static constexpr bool borrows_bandwidth = !ExponentialKernel<K> && !std::same_as<K, Uniform>;

  /// Refuses a compact kernel without a distance, and with a bias, when compiled.
  template <class K, class Similarity, class Mask>
  static constexpr void check() {
    static_assert(!borrows_bandwidth<K> || MetricSimilarity<Similarity>,
                  "NearestNeighbors takes a compact kernel's bandwidth from the distance of the next key, and a dot "
                  "product is not a distance: use SquaredDistance or Cosine, or the Gaussian or Uniform kernel");
    static_assert(!borrows_bandwidth<K> || !BiasMask<Mask>,
                  "NearestNeighbors takes a compact kernel's bandwidth from the distance of the next key, and an "
                  "additive bias is not a distance: use the Gaussian or Uniform kernel with a bias");
    static_assert(!ExponentialKernel<K> || AdaptiveKernel<K>, "an exponential kernel needs width()");
  }

  /// Throws std::invalid_argument if k < 1.
  template <class Scalar>
  void validate(double) const {
    detail::require(neighbors >= 1, "NearestNeighbors: neighbors must be at least 1, got ", neighbors);
  }

  /// How many candidates of a row matter: the k kept, and the one that sets the bandwidth.
  template <class K>
  Index kept() const {
    return borrows_bandwidth<K> && neighbors < (std::numeric_limits<Index>::max)() ? neighbors + 1 : neighbors;
  }

  /// Just below the smallest similarity that matters so far, so that equal ones still compete.
  template <Kernel K, class Scalar>
  Scalar floor(const K&, double, RowView<Scalar> z, const Scalar&) const {
    const auto kept_keys = static_cast<std::size_t>(kept<K>());
    const Scalar none = -Scalar(Eigen::NumTraits<Scalar>::infinity());
    if (z.size() <= kept_keys) return none;
    const Scalar last = detail::kth_largest(z, kept_keys);
    const Scalar epsilon(Eigen::NumTraits<Scalar>::epsilon());
    return Scalar(last - detail::abs(last) * epsilon - Scalar((std::numeric_limits<Scalar>::min)()));
  }

  /// Leaves the k best in order of their index; where the kernel borrows its bandwidth and there
  /// is a (k+1)-th key at a distance, that one comes last. O(n).
  template <Kernel K, class Scalar>
  void select(const K&, CandidateRow<Scalar>& row) const {
    const auto kept_keys = static_cast<std::size_t>(kept<K>());
    if (row.size() > kept_keys) detail::keep_largest(row, kept_keys);
    if constexpr (borrows_bandwidth<K>) {
      if (row.size() > static_cast<std::size_t>(neighbors)) move_farthest_to_end(row);
    }
  }

  /// The bandwidth and the divisor of what `select` left. O(k).
  template <Kernel K, class Scalar>
  RowNormalizer<Scalar> solve(const K& kernel, double, RowView<Scalar> z, const Scalar&) const {
    if constexpr (ExponentialKernel<K>) {
      return detail::at_nearest(kernel, Scalar(kernel.width()), z);
    } else {
      // Similarity is minus the squared distance, up to a factor that cancels in d^2 / h^2.
      Scalar width(Eigen::NumTraits<Scalar>::infinity());
      if constexpr (borrows_bandwidth<K>) {
        if (z.size() > static_cast<std::size_t>(neighbors)) width = Scalar(-z.back());
      }
      return detail::at_zero(kernel, width, z);
    }
  }

  /// As FixedBandwidth, with a bandwidth that moves with the (k+1)-th key.
  template <Kernel K, class Scalar>
  void pullback(const K& kernel, const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> dz,
                ParameterGradients<Scalar>& parameters) const {
    const auto sums = detail::pull_self_normalized(kernel, map, t, g, detail::zero_distance(kernel, map), dz, parameters);
    if constexpr (borrows_bandwidth<K>) {
      // The distance, -z of the last key, is the map's width but for its pivot, so that dL/dz_last = -dL/ddistance.
      if (map.width < Scalar(Eigen::NumTraits<Scalar>::infinity())) {
        dz[t.size() - 1] -= Scalar(sums.by_width * (map.width / (map.width - map.pivot)));
      }
    }
    detail::divide_by(map.width, dz);
  }

 private:
  /// Of keys that are equally far, that of the highest index; drops it if it is at distance zero.
  template <class Scalar>
  static void move_farthest_to_end(CandidateRow<Scalar>& row) {
    Scalar* const z = row.value_data();
    KeyIndex* const keys = row.key_data();
    const std::size_t last = row.size() - 1;
    std::size_t farthest = last;
    for (std::size_t j = last; j-- > 0;) {
      if (z[j] < z[farthest]) farthest = j;
    }
    std::rotate(z + farthest, z + farthest + 1, z + row.size());
    std::rotate(keys + farthest, keys + farthest + 1, keys + row.size());
    if (!(z[last] < Scalar(0))) row.resize(last);
  }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
