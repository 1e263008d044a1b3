// expect first: give Attention, which reads 16 bits, an output of floats
// 16 bits are read, and nothing is computed in them.
#include "nadaraya/attention.hpp"

using namespace nadaraya;

#ifdef FAIL
using T = Eigen::bfloat16;
void weigh(HeadView<const T> x, HeadView<T> out) { Attention{Biweight{}}(x, x, x, out); }
#endif
