// The interface that the engine calls, implemented by a mask policy.
#pragma once

#include "nadaraya/engine/row_mask.hpp"
#include "nadaraya/mask/mask.hpp"

#include <cstdint>
#include <memory>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

template <class Scalar, class M>
class RowMaskOf final : public RowMask<Scalar> {
 public:
  /// Refers to the mask.
  explicit RowMaskOf(const M& mask) : RowMask<Scalar>(MaskTraits{HoledMask<M>, BiasMask<M>}), mask_(mask) {}

  KeyRange range(Index query, const Extent& n) const override { return mask_.range(query, n); }

  std::uint64_t visible(Index query, Index first, Index count, const Extent& n) const override {
    std::uint64_t bits = 0;
    for (Index j = 0; j < count; ++j) bits |= std::uint64_t(is_visible(mask_, query, first + j, n)) << j;
    return bits;
  }

  void add_bias([[maybe_unused]] Index query, [[maybe_unused]] const KeyList& keys, [[maybe_unused]] const Extent& n,
                [[maybe_unused]] Scalar* z) const override {
    if constexpr (BiasMask<M>) {
      const Scalar hidden = -Scalar(Eigen::NumTraits<Scalar>::infinity());
      for (Index j = 0; j < keys.count; ++j) {
        if (!is_visible(mask_, query, keys[j], n)) continue;
        const Scalar bias = Scalar(mask_.bias(query, keys[j], n));
        z[j] = bias == hidden ? hidden : z[j] + bias;
      }
    }
  }

  std::unique_ptr<OwnGradient> no_gradient() const override {
    if constexpr (ParametricBias<M, Scalar>) {
      return std::make_unique<OwnGradientOf<decltype(mask_.template zero_gradient<Scalar>())>>(
          mask_.template zero_gradient<Scalar>());
    } else {
      return nullptr;
    }
  }

  void pull_parameters([[maybe_unused]] Index query, [[maybe_unused]] const KeyList& keys, [[maybe_unused]] const Extent& n,
                       [[maybe_unused]] const Scalar* dz, [[maybe_unused]] OwnGradient& sum) const override {
    if constexpr (ParametricBias<M, Scalar>) {
      auto& to = static_cast<OwnGradientOf<decltype(mask_.template zero_gradient<Scalar>())>&>(sum).sum;
      for (Index j = 0; j < keys.count; ++j) {
        if (!(dz[j] == Scalar(0))) mask_.bias_pullback(query, keys[j], n, dz[j], to);
      }
    }
  }

 private:
  const M& mask_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
