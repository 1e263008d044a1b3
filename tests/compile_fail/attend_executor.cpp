// expect first: executor: template <class Fn> void parallel_for(
// The first error names the member that an executor lacks.
#include "nadaraya/attend.hpp"

using namespace nadaraya;

struct Pool {
  template <class Fn>
  void parallel_for(Index n, const Fn& fn) {
    for (Index i = 0; i < n; ++i) fn(i);
  }
};

Eigen::MatrixXf weigh(const Eigen::MatrixXf& Q, const Eigen::MatrixXf& K, const Eigen::MatrixXf& V) {
#ifdef FAIL
  return NadarayaWatson{Biweight{}}(Q, K, V, Pool{});
#else
  return Q * K.transpose() * V;
#endif
}
