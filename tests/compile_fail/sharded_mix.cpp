// expect: a mix other than LocalConstant has to know all keys of a support
// Under a kernel that is not compact, sums alone travel; a local linear regression needs the keys themselves.
#include "nadaraya/nadaraya.hpp"
#include "nadaraya/sharded.hpp"
#include "nadaraya/sharded/in_process.hpp"

using namespace nadaraya;

void regress(sharded::InProcessRank& ranks, const RowMatrix<float>& Q, const RowMatrix<float>& K, RowMatrix<float>& out) {
#ifdef FAIL
  const sharded::Operator op(NadarayaWatson{Gaussian{}, Adaptive{}}.with(LocalLinear{}));
#else
  const sharded::Operator op(NadarayaWatson{Gaussian{}, NearestNeighbors{9}}.with(LocalLinear{}));
#endif
  op.forward(ranks, Q, K, K, out);
}
