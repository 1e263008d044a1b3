// expect: a dot product is not one
// A bandwidth is compared with distances.
#include "nadaraya/nadaraya.hpp"

using namespace nadaraya;

Eigen::MatrixXf weigh(const Eigen::MatrixXf& Q, const Eigen::MatrixXf& K, const Eigen::MatrixXf& V) {
#ifdef FAIL
  return attend(Biweight{}, FixedBandwidth{1.0}, Q, K, V);
#else
  return attend(Biweight{}, FixedBandwidth{1.0}, Cosine{}, Q, K, V);
#endif
}
