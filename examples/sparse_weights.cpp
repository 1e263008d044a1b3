// Which word attends to which: the weights as a sparse matrix, to print, to store or to multiply with.
#include <nadaraya/nadaraya.hpp>

#include <Eigen/SparseCore>

#include <array>
#include <cstdio>

int main() {
  using namespace nadaraya;
  const std::array<const char*, 6> words{"the", "cat", "sat", "on", "the", "mat"};
  // Made-up embeddings: article, animal, verb, preposition, article, thing.
  RowMatrix<double> x(6, 4);
  x << 2.0, 0.0, 0.0, 0.1,  //
      0.2, 1.8, 0.4, 0.0,   //
      0.0, 0.6, 2.0, 0.3,   //
      0.1, 0.0, 0.7, 1.9,   //
      2.0, 0.0, 0.0, 0.2,   //
      0.2, 1.5, 0.1, 0.6;

  // Every word looks back, at itself included.
  const NadarayaWatson attention{Biweight{}, Adaptive{}, DotProduct{.scale = 0.7}, Causal{}};
  const Eigen::SparseMatrix<double, Eigen::RowMajor> weights = attention.weights(x, x);

  bool causal = true;
  for (Index i = 0; i < weights.outerSize(); ++i) {
    std::printf("%-4s <-", words[static_cast<std::size_t>(i)]);
    for (Eigen::SparseMatrix<double, Eigen::RowMajor>::InnerIterator entry(weights, i); entry; ++entry) {
      std::printf("  %s %.2f", words[static_cast<std::size_t>(entry.col())], entry.value());
      causal = causal && entry.col() <= i;
    }
    std::printf("\n");
  }

  // The weights are the operator: applied to the values they give its output.
  const RowMatrix<double> by_weights = weights * x;
  const RowMatrix<double> by_operator = attention(x, x, x);
  const double difference = (by_weights - by_operator).cwiseAbs().maxCoeff();
  std::printf("%d of 21 visible pairs have weight; weights times values is off by %.1e\n",
              static_cast<int>(weights.nonZeros()), difference);
  return causal && weights.nonZeros() < 21 && difference <= 1e-14 ? 0 : 1;
}
