// expect: NearestNeighbors takes a compact kernel's bandwidth from the distance
// The next key lends a compact kernel its distance.
#include "nadaraya/nadaraya.hpp"

using namespace nadaraya;

Eigen::MatrixXf weigh(const Eigen::MatrixXf& Q, const Eigen::MatrixXf& K, const Eigen::MatrixXf& V) {
#ifdef FAIL
  return attend(Biweight{}, NearestNeighbors{3}, Q, K, V);
#else
  return attend(Gaussian{}, NearestNeighbors{3}, Q, K, V);
#endif
}
