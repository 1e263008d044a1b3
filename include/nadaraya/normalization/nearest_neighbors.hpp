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
#include <functional>
#include <limits>
#include <vector>

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
  static constexpr bool selects = true;

  Index neighbors = 1;

  /// Does this kernel take its bandwidth from the (k+1)-th key?
  template <class K>
  static constexpr bool borrows_bandwidth = !ExponentialKernel<K> && !std::same_as<K, Uniform>;

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
    std::vector<Scalar> largest(z.begin(), z.end());
    const auto last = largest.begin() + static_cast<std::ptrdiff_t>(kept_keys - 1);
    std::nth_element(largest.begin(), last, largest.end(), std::greater<Scalar>());
    const Scalar epsilon(Eigen::NumTraits<Scalar>::epsilon());
    return Scalar(*last - detail::abs(*last) * epsilon - Scalar((std::numeric_limits<Scalar>::min)()));
  }

  /// Leaves the k best in order of their index; where the kernel borrows its bandwidth and there
  /// is a (k+1)-th key at a distance, that one comes last.
  template <Kernel K, class Scalar>
  void select(const K&, CandidateRow<Scalar>& row) const {
    const std::size_t count = (std::min)(row.size(), static_cast<std::size_t>(kept<K>()));
    std::vector<std::size_t> rank(row.size());
    for (std::size_t j = 0; j < rank.size(); ++j) rank[j] = j;
    const auto closer = [&](std::size_t a, std::size_t b) {
      if (row.values()[b] < row.values()[a]) return true;
      if (row.values()[a] < row.values()[b]) return false;
      return row.keys()[a] < row.keys()[b];
    };
    std::partial_sort(rank.begin(), rank.begin() + static_cast<std::ptrdiff_t>(count), rank.end(), closer);
    rank.resize(count);
    const std::size_t neighbours = (std::min)(count, static_cast<std::size_t>(neighbors));
    std::sort(rank.begin(), rank.begin() + static_cast<std::ptrdiff_t>(neighbours),
              [&](std::size_t a, std::size_t b) { return row.keys()[a] < row.keys()[b]; });
    if (borrows_bandwidth<K> && count > neighbours && !(row.values()[rank.back()] < Scalar(0))) rank.pop_back();
    row.keep(rank);
  }

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
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
