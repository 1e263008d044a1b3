// The optimizer: AdamW, its learning rate's schedule, and the clipping of gradients.
#pragma once

#include "nadaraya/mosaic/any_executor.hpp"
#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstddef>
#include <vector>

namespace nadaraya::mosaic {

/// Numbers that are one piece of an optimizer's work.
inline constexpr Index numbers_at_once = 16384;

/// Rises linearly to `peak` over the warm-up, then falls along half a cosine to `last` at step `steps`, and
/// stays there. Source: Loshchilov & Hutter 2017, arXiv 1608.03983.
struct CosineSchedule {
  double peak = 1e-3;
  double last = 1e-4;
  Index warm_up = 100;
  Index steps = 2000;

  double operator()(Index step) const {
    if (step < warm_up) return peak * static_cast<double>(step + 1) / static_cast<double>(warm_up + 1);
    if (step >= steps) return last;
    const double done = static_cast<double>(step - warm_up) / static_cast<double>(steps - warm_up);
    return last + 0.5 * (1.0 + std::cos(3.141592653589793 * done)) * (peak - last);
  }
};

/// The Euclidean norm of all gradients together, summed in double.
template <class Scalar>
double norm(const Parameters<Scalar>& grads, const AnyExecutor& executor) {
  const Index n = grads.size();
  std::vector<double> squares(static_cast<std::size_t>((n + numbers_at_once - 1) / numbers_at_once));
  for_stretches(n, numbers_at_once, executor, [&](Index first, Index count) {
    squares[static_cast<std::size_t>(first / numbers_at_once)] =
        grads.vector().segment(first, count).template cast<double>().square().sum();
  });
  double sum = 0;
  for (const double square : squares) sum += square;
  return std::sqrt(sum);
}

/// Scales the gradients down to a norm of `limit` if theirs is larger; returns what it was.
/// Source: Pascanu, Mikolov & Bengio 2013, arXiv 1211.5063.
template <class Scalar>
double clip(Parameters<Scalar>& grads, double limit, const AnyExecutor& executor) {
  const double length = norm(grads, executor);
  if (length > limit) {
    const auto factor = static_cast<Scalar>(limit / length);
    for_stretches(grads.size(), numbers_at_once, executor,
                  [&](Index first, Index count) { grads.vector().segment(first, count) *= factor; });
  }
  return length;
}

/// Adam with decoupled weight decay. Its state is two moments of every gradient.
/// Source: Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2.
struct AdamW {
  double beta1 = 0.9;
  double beta2 = 0.99;
  double epsilon = 1e-8;
  double weight_decay = 0.1;  ///< of parameters with more than one dimension

  template <class Scalar>
  struct State {
    Parameters<Scalar> first;
    Parameters<Scalar> second;
    Index step = 0;

    explicit State(const Layout& layout) : first(layout), second(layout) {}
  };

  template <class Scalar>
  void step(const Layout& layout, double rate, const Parameters<Scalar>& grads, State<Scalar>& state,
            Parameters<Scalar>& parameters, const AnyExecutor& executor) const {
    ++state.step;
    const double steps = static_cast<double>(state.step);
    const auto scale = static_cast<Scalar>(rate / (1.0 - std::pow(beta1, steps)));
    const auto correction = static_cast<Scalar>(1.0 / std::sqrt(1.0 - std::pow(beta2, steps)));
    const auto b1 = static_cast<Scalar>(beta1), b2 = static_cast<Scalar>(beta2), e = static_cast<Scalar>(epsilon);
    for (const Layout::Entry& entry : layout.entries()) {
      const auto kept = static_cast<Scalar>(entry.shape.size() > 1 ? 1.0 - rate * weight_decay : 1.0);
      for_stretches(entry.slot.size(), numbers_at_once, executor, [&](Index start, Index count) {
        const Index at = entry.slot.offset + start;
        const auto g = grads.vector().segment(at, count);
        auto m = state.first.vector().segment(at, count);
        auto v = state.second.vector().segment(at, count);
        auto p = parameters.vector().segment(at, count);
        m = b1 * m + (Scalar(1) - b1) * g;
        v = b2 * v + (Scalar(1) - b2) * g * g;
        p = kept * p - scale * m / (v.sqrt() * correction + e);
      });
    }
  }
};

}  // namespace nadaraya::mosaic
