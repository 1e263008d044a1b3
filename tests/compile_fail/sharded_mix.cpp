// expect: forward, prefill and backward are for LocalConstant
// Of a sharded local linear regression, outputs alone are computed.
#include "nadaraya/nadaraya.hpp"
#include "nadaraya/sharded.hpp"
#include "nadaraya/sharded/in_process.hpp"

using namespace nadaraya;

void regress(sharded::InProcessRank& ranks, const RowMatrix<float>& Q, const RowMatrix<float>& K, RowMatrix<float>& out) {
  const sharded::Operator op(NadarayaWatson{Biweight{}, Adaptive{}}.with(LocalLinear{}));
#ifdef FAIL
  op.forward(ranks, Q, K, K, out);
#else
  out = op(ranks, Q, K, K);
#endif
}
