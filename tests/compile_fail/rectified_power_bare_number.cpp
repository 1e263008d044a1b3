// expect: private
// A number alone does not say whether it is alpha or the exponent.
#include "nadaraya/nadaraya.hpp"

using namespace nadaraya;

Eigen::MatrixXf weigh(const Eigen::MatrixXf& Q, const Eigen::MatrixXf& K, const Eigen::MatrixXf& V) {
#ifdef FAIL
  return attend(RectifiedPower{1.5}, Adaptive{}, Q, K, V);
#else
  return attend(RectifiedPower::with_alpha(1.5), Adaptive{}, Q, K, V);
#endif
}
