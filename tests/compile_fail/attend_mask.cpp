// expect first: bool visible(Index query, Index key, const Extent& n) const
// The first error names the member of a mask that would be ignored.
#include "nadaraya/attend.hpp"

using namespace nadaraya;

struct Past {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  bool visible(Index query, Index key) const { return key <= query; }
};

Eigen::MatrixXf weigh(const Eigen::MatrixXf& Q, const Eigen::MatrixXf& K, const Eigen::MatrixXf& V) {
#ifdef FAIL
  return attend(Biweight{}, Adaptive{}, Past{}, Q, K, V);
#else
  return Q * K.transpose() * V;
#endif
}
