// expect first: neither a similarity
// The first error says what the argument after the normalization may be.
#include "nadaraya/attend.hpp"

using namespace nadaraya;

struct Past {
  KeyRange ranges(Index query, const Extent& n) const { return n.clip(0, query + 1); }
};

Eigen::MatrixXf weigh(const Eigen::MatrixXf& Q, const Eigen::MatrixXf& K, const Eigen::MatrixXf& V) {
#ifdef FAIL
  return attend(Biweight{}, Adaptive{}, Past{}, Q, K, V);
#else
  return Q * K.transpose() * V;
#endif
}
