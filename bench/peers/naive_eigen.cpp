// Softmax attention as one would first write it with Eigen: softmax(scale Q K^T) V by three dense
// steps, heads shared out over threads. A library of its own, since it is built for the machine at
// hand (-O3 -march=native) and Eigen's templates must not be shared with code that is not.
#include "problem.hpp"

#include <Eigen/Core>

#include <future>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void attend(const Problem& p, Eigen::Index head, float* out) {
  const Eigen::Index m = p.queries, n = p.tokens, d = p.dim;
  const Eigen::Map<const Matrix> query(p.query + head * m * d, m, d);
  const Eigen::Map<const Matrix> key(p.key + head * n * d, n, d), value(p.value + head * n * d, n, d);

  Matrix weights(m, n);
  weights.noalias() = static_cast<float>(p.scale) * query * key.transpose();
  for (Eigen::Index i = 0; i < m; ++i) {
    const Eigen::Index visible = p.causal != 0 ? i + 1 : n;
    auto row = weights.row(i).head(visible).array();
    row = (row - row.maxCoeff()).exp();
    row /= row.sum();
    weights.row(i).tail(n - visible).setZero();
  }
  Eigen::Map<Matrix>(out + head * m * d, m, d).noalias() = weights * value;
}

void attend_heads(const Problem& p, float* out) {
  if (p.threads < 1) throw std::invalid_argument("threads must be at least 1");
  const auto share = [&](Eigen::Index first) {
    for (Eigen::Index h = first; h < p.heads; h += p.threads) attend(p, h, out);
  };
  std::vector<std::future<void>> helpers;
  for (Eigen::Index t = 1; t < p.threads; ++t) helpers.push_back(std::async(std::launch::async, share, t));
  share(0);
  for (auto& helper : helpers) helper.get();
}

}  // namespace

PEERS_EXPORT int naive_run(const Problem* problem, float* out) {
  return guarded([&] { attend_heads(*problem, out); });
}

PEERS_EXPORT const char* naive_error() { return last_error; }

PEERS_EXPORT const char* naive_description() {
  static const std::string text = std::to_string(EIGEN_WORLD_VERSION) + '.' + std::to_string(EIGEN_MAJOR_VERSION) +
                                  '.' + std::to_string(EIGEN_MINOR_VERSION) + " (" + Eigen::SimdInstructionSetsInUse() +
                                  ')';
  return text.c_str();
}
