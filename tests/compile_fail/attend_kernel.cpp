// expect first: S derivative(S t) const is missing
// The first error names the member that a kernel lacks.
#include "nadaraya/attend.hpp"
#include "nadaraya/normalization/fixed_bandwidth.hpp"
#include "nadaraya/similarity/squared_distance.hpp"

using namespace nadaraya;

struct Kernel2 {
  static constexpr bool compact = true;
  template <class S>
  S profile(S t) const {
    return t * t;
  }
  template <class S>
  S derivativ(S t) const {
    return S(2) * t;
  }
};

Eigen::MatrixXf weigh(const Eigen::MatrixXf& Q, const Eigen::MatrixXf& K, const Eigen::MatrixXf& V) {
#ifdef FAIL
  return attend(Kernel2{}, FixedBandwidth{1.0}, SquaredDistance{}, Q, K, V);
#else
  return Q * K.transpose() * V;
#endif
}
