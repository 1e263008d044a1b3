// Policies that tests run through: masks chosen at run time, and a kernel of a user's own.
#pragma once

#include <nadaraya/definitions.hpp>
#include <nadaraya/nadaraya.hpp>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace nadaraya::test {

/// A kernel as a user would write it: kappa(u) = (1 - u^2)^2 (1 + u^2 / 2), t = 1 - u^2. It has a
/// width, so it works with every normalization.
struct Custom {
  static constexpr bool compact = true;
  template <class S>
  S profile(S t) const {
    return t * t * (S(3) - t) / S(2);
  }
  template <class S>
  S derivative(S t) const {
    return S(3) * t * (S(2) - t) / S(2);
  }
  static constexpr double width() { return 1.5; }
};

/// Any mask without bias, chosen at run time.
struct AnyMask {
  std::string name;
  std::function<KeyRange(Index, const Extent&)> ranges;
  std::function<bool(Index, Index, const Extent&)> visibles;

  KeyRange range(Index i, const Extent& n) const { return ranges(i, n); }
  bool visible(Index i, Index j, const Extent& n) const { return visibles(i, j, n); }
};

/// Any mask with a bias.
struct AnyBias : AnyMask {
  std::function<double(Index, Index, const Extent&)> biases;

  double bias(Index i, Index j, const Extent& n) const { return biases(i, j, n); }
};

template <Mask M>
AnyMask any_mask(const std::string& name, const M& mask) {
  return AnyMask{name, [mask](Index i, const Extent& n) { return mask.range(i, n); },
                 [mask](Index i, Index j, const Extent& n) { return is_visible(mask, i, j, n); }};
}

template <Mask M>
AnyBias any_bias(const std::string& name, const M& mask) {
  return AnyBias{any_mask(name, mask), [mask](Index i, Index j, const Extent& n) { return mask.bias(i, j, n); }};
}

/// Every mask of the library, for a problem with at least four keys.
inline std::vector<AnyMask> masks() {
  const auto holes = [](Index i, Index j) { return (i + 2 * j) % 3 != 0; };
  return {any_mask("none", NoMask{}),
          any_mask("causal", Causal{}),
          any_mask("strictly causal", StrictlyCausal{}),
          any_mask("window", SlidingWindow{4}),
          any_mask("key lengths", KeyLengths{4}),
          any_mask("boolean", BooleanMask{holes}),
          any_mask("causal and boolean", Causal{} & BooleanMask{holes})};
}

inline std::vector<AnyBias> biases() {
  return {any_bias("alibi", AdditiveBias{Alibi{0.2}}), any_bias("causal alibi", Causal{} & AdditiveBias{Alibi{0.2}})};
}

}  // namespace nadaraya::test
