// Dropout whose choices are a function of where and when.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/mosaic/counter_random.hpp"
#include "nadaraya/mosaic/sequences.hpp"
#include "nadaraya/mosaic/stretches.hpp"
#include "nadaraya/types.hpp"

#include <cstdint>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Each number is 0 with probability `rate`, and otherwise divided by 1 - rate. Which are 0 depends on seed,
/// step, site and place, and backward need not remember. Throws std::invalid_argument if rate is not in [0, 1).
/// Source: Srivastava et al. 2014, Journal of Machine Learning Research 15.
struct Dropout {
  double rate = 0.0;  ///< probability of a zero, in [0, 1)
  std::uint64_t seed = 0;  ///< of the whole training
  std::uint64_t step = 0;  ///< of the training

  /// Throws std::invalid_argument if rate is not in [0, 1).
  void validate() const {
    nadaraya::detail::require(rate >= 0.0 && rate < 1.0, "mosaic::Dropout: rate must be in [0, 1), got ", rate);
  }

  /// In place, forward and, with the same site, backward.
  template <class Scalar>
  void apply(std::uint64_t site, RowMatrix<Scalar>& x, const AnyExecutor& executor) const {
    if (rate == 0.0) return;
    const CounterRandom random(seed, step, site);
    const auto bound = static_cast<std::uint64_t>(rate * 0x1p63);
    const auto factor = static_cast<Scalar>(1.0 / (1.0 - rate));
    for_stretches(x.rows(), tokens_at_once, executor, [&](Index first, Index count) {
      for (Index i = first * x.cols(); i < (first + count) * x.cols(); ++i) {
        const std::uint64_t draw = random[static_cast<std::uint64_t>(i)] >> 1;
        x.data()[i] = draw < bound ? Scalar(0) : factor * x.data()[i];
      }
    });
  }
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
