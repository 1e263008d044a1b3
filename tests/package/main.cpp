// The smallest user of the library: one query that equals its only key takes that key's value.
#include <nadaraya/nadaraya.hpp>

#include <cstdio>

int main() {
  using namespace nadaraya;
  const Eigen::MatrixXf Q = Eigen::MatrixXf::Identity(3, 3) * 10.0f;
  const Eigen::MatrixXf V = Eigen::MatrixXf::Identity(3, 3);
  const Eigen::MatrixXf out = attend(Biweight{}, Adaptive{}, Q, Q, V);
  const Eigen::MatrixXf on_threads = NadarayaWatson{Biweight{}}(Q, Q, V, Threads{2});
  // Scores of 100 / sqrt(3) and 0 are so far apart that every other key is out of the support.
  if (!((out - V).cwiseAbs().maxCoeff() <= 1e-6f) || on_threads != out) {
    std::fprintf(stderr, "unexpected result\n");
    return 1;
  }
  return 0;
}
