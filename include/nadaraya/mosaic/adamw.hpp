// The optimizer.
#pragma once

#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/mosaic/stretches.hpp"
#include "nadaraya/types.hpp"

#include <cmath>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Adam with decoupled weight decay. Its state is two moments of every gradient.
/// Source: Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2.
struct AdamW {
  double beta1 = 0.9;  ///< decay of the mean of the gradients
  double beta2 = 0.99;  ///< decay of the mean of their squares
  double epsilon = 1e-8;  ///< added to the root of that mean
  double weight_decay = 0.1;  ///< of parameters with more than one dimension

  /// Moments of the gradients, carried from step to step.
  template <class Scalar>
  struct State {
    Parameters<Scalar> first;  ///< mean of the gradients
    Parameters<Scalar> second;  ///< mean of their squares
    Index step = 0;  ///< steps taken

    explicit State(const Layout& layout) : first(layout), second(layout) {}  ///< Zero moments for these parameters.
  };

  /// One step at the given learning rate: changes state and parameters.
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

#include "nadaraya/detail/end_precise.hpp"
