// expect first: normalization: RowNormalizer<S> solve(
// The first error names the member that a normalization lacks.
#include "nadaraya/attend.hpp"
#include "nadaraya/normalization/anchored.hpp"

using namespace nadaraya;

struct Halved : Anchored {
  template <class K, class S>
  RowNormalizer<S> solve(const K& kernel, RowView<S> z) const {
    return Anchored::solve(kernel, 0.0, z, S(0));
  }
};

Eigen::MatrixXf weigh(const Eigen::MatrixXf& Q, const Eigen::MatrixXf& K, const Eigen::MatrixXf& V) {
#ifdef FAIL
  return attend(Biweight{}, Halved{}, Q, K, V);
#else
  return Q * K.transpose() * V;
#endif
}
