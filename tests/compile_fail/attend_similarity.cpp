// expect first: S score(const Q& q, const K& k) const is missing
// The first error names the member that a similarity lacks.
#include "nadaraya/attend.hpp"
#include "nadaraya/mask/causal.hpp"

using namespace nadaraya;

struct Product {
  template <class Q, class K>
  typename Q::Scalar scores(const Q& q, const K& k) const {
    return q.dot(k);
  }
  template <class Q, class K, class S, class DQ, class DK>
  void pullback(const Q& q, const K& k, const S& dz, DQ&& dq, DK&& dk) const {
    dq += dz * k;
    dk += dz * q;
  }
};

Eigen::MatrixXf weigh(const Eigen::MatrixXf& Q, const Eigen::MatrixXf& K, const Eigen::MatrixXf& V) {
#ifdef FAIL
  return attend(Biweight{}, Adaptive{}, Product{}, Causal{}, Q, K, V);
#else
  return Q * K.transpose() * V;
#endif
}
