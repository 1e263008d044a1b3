// expect: Adaptive
// Adaptive weighs by t = z / width - tau, and the uniform kernel has no width.
#include "nadaraya/nadaraya.hpp"

using namespace nadaraya;

Eigen::MatrixXf weigh(const Eigen::MatrixXf& Q, const Eigen::MatrixXf& K, const Eigen::MatrixXf& V) {
#ifdef FAIL
  return attend(Uniform{}, Adaptive{}, Q, K, V);
#else
  return attend(Biweight{}, Adaptive{}, Q, K, V);
#endif
}
