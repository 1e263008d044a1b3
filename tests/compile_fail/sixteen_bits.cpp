// expect first: convert operands with .cast<float>()
// Nothing is computed in 16 bits.
#include "nadaraya/entmax.hpp"

using namespace nadaraya;

#ifdef FAIL
using T = Eigen::bfloat16;
#else
using T = float;
#endif

RowMatrix<T> weigh(const RowMatrix<T>& x) {
  return sparsemax(x);
}
