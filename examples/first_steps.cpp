// 1.5-entmax attention next to softmax attention: same call, but most keys get no weight at all.
#include <nadaraya/nadaraya.hpp>

#include <Eigen/SparseCore>

#include <cstdio>
#include <random>

int main() {
  using namespace nadaraya;
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  const auto random = [&](Index rows, Index cols) {
    return RowMatrix<float>(RowMatrix<float>::NullaryExpr(rows, cols, [&]() { return normal(generator); }));
  };
  // One head: 8 queries, 64 keys, 16 dimensions. Rows are tokens. The keys are scaled up as a
  // trained head's are, so that some keys matter more than others.
  const RowMatrix<float> query = 2.0f * random(8, 16);
  const RowMatrix<float> key = random(64, 16);
  const RowMatrix<float> value = random(64, 16);

  const NadarayaWatson softmax{Gaussian{}, Adaptive{}};
  const NadarayaWatson entmax{Biweight{}, Adaptive{}};  // the biweight kernel is 1.5-entmax

  RowMatrix<float> smooth, sparse;
  const auto smooth_tape = softmax.forward(query, key, value, smooth);
  const auto sparse_tape = entmax.forward(query, key, value, sparse);
  const auto probability = softmax.weights(query, key);

  // Softmax leaves a third of its weight on keys to which entmax gives none.
  std::printf("keys with weight, of 64\nquery  softmax  1.5-entmax  softmax's weight on the same keys\n");
  bool chosen_by_both = true;
  for (Index i = 0; i < query.rows(); ++i) {
    float kept = 0;
    for (const KeyIndex j : sparse_tape.support(i)) kept += probability.coeff(i, j);
    std::printf("%5d  %7d  %10d  %20.2f\n", static_cast<int>(i), static_cast<int>(smooth_tape.support_size(i)),
                static_cast<int>(sparse_tape.support_size(i)), static_cast<double>(kept));
    const auto supported = static_cast<float>(sparse_tape.support_size(i));
    chosen_by_both = chosen_by_both && kept > supported / 64.0f;
  }
  std::printf("mean support %.1f and %.1f\n", smooth_tape.mean_support(), sparse_tape.mean_support());
  return smooth_tape.mean_support() == 64.0 && sparse_tape.mean_support() < 16.0 && chosen_by_both ? 0 : 1;
}
