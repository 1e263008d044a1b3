// expect first: convert operands with .cast<float>()
// Nothing is computed in 16 bits.
#include "nadaraya/attention.hpp"

using namespace nadaraya;

#ifdef FAIL
using T = Eigen::bfloat16;
void weigh(HeadView<const T> x, HeadView<T> out) { Attention{Biweight{}}(x, x, x, out); }
#endif
