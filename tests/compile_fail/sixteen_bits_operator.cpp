// expect first: convert operands with .cast<float>()
// Nothing is computed in 16 bits.
#include "nadaraya/attend.hpp"

using namespace nadaraya;

Eigen::MatrixXf weigh(const Eigen::MatrixXf& X) {
#ifdef FAIL
  const RowMatrix<Eigen::half> x = X.cast<Eigen::half>();
  return attend(Biweight{}, Adaptive{}, x, x, x).cast<float>();
#else
  return X;
#endif
}
