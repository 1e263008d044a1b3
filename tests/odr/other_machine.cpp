// Compiled, but not run, for machines that the tests do not run on.
#ifdef _WIN32
#include <windows.h>
#endif
#include <nadaraya/nadaraya.hpp>

using namespace nadaraya;

Eigen::MatrixXf regress(const Eigen::MatrixXf& q, const Eigen::MatrixXf& k, const Eigen::MatrixXf& v);

Eigen::MatrixXf regress(const Eigen::MatrixXf& q, const Eigen::MatrixXf& k, const Eigen::MatrixXf& v) {
  RowMatrix<float> out;
  NadarayaWatson op{Biweight{}, Adaptive{}, DotProduct{}, Causal{}};
  const auto tape = op.forward(q, k, v, out);
  const auto grads = op.backward(tape, out);
  KeyValueCache<float> cache(k.cols(), v.cols());
  cache.append(k, v);
  return op(q, cache) + out + grads.query + attend(Epanechnikov{}, FixedBandwidth{0.5}, SquaredDistance{}, q, k, v);
}
