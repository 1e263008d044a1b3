// The library's operators behind a C interface, for peers.py. Built without machine flags: the
// library finds its vector tier at run time.
#include "problem.hpp"

#include <nadaraya/nadaraya.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

namespace {

using namespace nadaraya;

/// What to compute; null is not wanted. The three gradients are wanted where `grad_out` is given.
struct Results {
  float* out;
  const float* grad_out;
  float* grad_query;
  float* grad_key;
  float* grad_value;
  double* mean_support;
};

template <class A, class E>
void run_attention(const A& attention, const Problem& p, const Results& to, const E& workers) {
  const auto input = [&](const float* all, Index rows) { return HeadView<const float>::bhnd(all, 1, p.heads, rows, p.dim); };
  const auto result = [&](float* all, Index rows) { return HeadView<float>::bhnd(all, 1, p.heads, rows, p.dim); };
  const auto query = input(p.query, p.queries), key = input(p.key, p.tokens), value = input(p.value, p.tokens);
  const auto out = result(to.out, p.queries);
  if (to.grad_out == nullptr && to.mean_support == nullptr) return attention(query, key, value, out, workers);
  const auto tape = attention.forward(query, key, value, out, workers);
  if (to.mean_support != nullptr) *to.mean_support = tape.mean_support();
  if (to.grad_out == nullptr) return;
  attention.backward(tape, input(to.grad_out, p.queries), result(to.grad_query, p.queries), result(to.grad_key, p.tokens),
                     result(to.grad_value, p.tokens), workers);
}

template <class A>
void run_attention(const A& attention, const Problem& p, const Results& to) {
  if (p.threads == 1) {
    run_attention(attention, p, to, Serial{});
  } else {
    run_attention(attention, p, to, Threads{p.threads});
  }
}

template <class K>
void run_kernel(const Problem& p, const Results& to) {
  const DotProduct similarity{p.scale};
  if (p.causal != 0) {
    run_attention(Attention{K{}, Adaptive{}, similarity, Causal{}}, p, to);
  } else {
    run_attention(Attention{K{}, Adaptive{}, similarity}, p, to);
  }
}

void run_rule(std::string_view rule, const Problem& p, const Results& to) {
  if (rule == "softmax") return run_kernel<Gaussian>(p, to);
  if (rule == "sparsemax") return run_kernel<Epanechnikov>(p, to);
  if (rule == "1.5-entmax") return run_kernel<Biweight>(p, to);
  if (rule == "4/3-entmax") return run_kernel<Triweight>(p, to);
  throw std::invalid_argument("unknown rule " + std::string(rule));
}

}  // namespace

PEERS_EXPORT int ours_run(const char* rule, const Problem* problem, const Results* results) {
  return guarded([&] { run_rule(rule, *problem, *results); });
}

PEERS_EXPORT const char* ours_error() { return last_error; }

PEERS_EXPORT const char* ours_description() {
  static const std::string text = std::to_string(NADARAYA_VERSION_MAJOR) + '.' +
                                  std::to_string(NADARAYA_VERSION_MINOR) + '.' +
                                  std::to_string(NADARAYA_VERSION_PATCH) + " (" + simd::name(simd::tier()) + ')';
  return text.c_str();
}
