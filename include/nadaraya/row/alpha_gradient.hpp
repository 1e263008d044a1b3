// The gradient of an adaptive row's weights by its kernel's alpha.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/loops/operands.hpp"
#include "nadaraya/loops/row_normalizer.hpp"

#include <cstddef>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Sums over a row of kappa(t_j), s_j = kappa'(t_j) and a_j, the derivative by alpha at fixed tau, and of s_j and a_j times
/// g_j - origin.
template <class Scalar>
struct AlphaSums {
  Scalar value{0}, s{0}, sg{0}, a{0}, ag{0};

  AlphaSums() = default;
  explicit AlphaSums(int) {}

  AlphaSums& operator+=(const AlphaSums& more) {
    value += more.value, s += more.s, sg += more.sg, a += more.a, ag += more.ag;
    return *this;
  }
  friend AlphaSums operator+(AlphaSums sum, const AlphaSums& more) { return sum += more; }
};

/// Writes s_j = dp_j/dz_j at fixed tau and returns dL/dalpha = sum_j a_j (g_j - sum s g / sum s), from g = dL/dp. Where
/// scores are flat, a_j / s_j is nearly the same for all keys and the gradient cancels: only if both come from one and the
/// same coordinate, in a wider scalar where there is one, without the rounding of each. Where coordinates are measured from
/// the centre, weights are divided by their sum, and so are s_j and a_j: by that of the same wider numbers.
template <AlphaKernel K, class Scalar>
Scalar adaptive_slopes(const K& kernel, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> s) {
  using Wide = engine::Wide<Scalar>;
  const Wide origin(g[0]), width(kernel.width());
  const auto sums = sum<AlphaSums<Wide>>(t.size(), [&](std::size_t j) {
    const Wide t_j(t[j]), g_j(Wide(g[j]) - origin);
    AlphaSums<Wide> of;
    if (in_support(kernel, t_j)) {
      if constexpr (requires { kernel.adaptive_slopes(t_j); }) {
        const auto slopes = kernel.adaptive_slopes(t_j);
        of.value = slopes.value;
        of.s = slopes.by_t;
        of.a = slopes.by_alpha;
      } else {
        of.value = kernel.profile(t_j);
        of.s = kernel.derivative(t_j);
        of.a = kernel.adaptive_alpha_derivative(t_j);
      }
      of.sg = of.s * g_j;
      of.ag = of.a * g_j;
    }
    s[j] = static_cast<Scalar>(Wide(of.s / width));
    return of;
  });
  if (sums.s == Wide(0)) return Scalar(0);
  const Wide gradient(sums.ag - sums.a * (sums.sg / sums.s));
  if (centre(kernel) == 1.0) return static_cast<Scalar>(gradient);
  const Scalar total(static_cast<Scalar>(sums.value));
  for (Scalar& s_j : s) s_j /= total;
  return static_cast<Scalar>(Wide(gradient / sums.value));
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
