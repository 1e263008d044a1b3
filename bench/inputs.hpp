// The inputs of the benchmarks, and their counters.
#pragma once

#include <nadaraya/nadaraya.hpp>

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <random>

namespace bench {

using nadaraya::Index;

/// Standard normal numbers (Box & Muller 1958), the same everywhere.
class Normal {
 public:
  explicit Normal(std::uint64_t seed) : engine_(seed) {}

  float operator()() {
    const double u = 1.0 - static_cast<double>(engine_() >> 11) * 0x1p-53;
    const double angle = static_cast<double>(engine_() >> 11) * 0x1p-53;
    return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * angle));
  }

  template <class Range>
  void fill(Range&& range) {
    for (float& x : range) x = (*this)();
  }

 private:
  std::mt19937_64 engine_;
};

/// Counters: the rate of the work that a dense computation would do, and the mean support.
inline void count(benchmark::State& state, double dense_flops, double support) {
  state.counters["dense FLOP/s"] = benchmark::Counter(dense_flops, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["support"] = support;
}

}  // namespace bench
