// expect first: include <nadaraya/definitions.hpp> for a kernel or normalization of your own
// With the compiled library, a kernel of one's own needs the definitions.
#ifndef FAIL
#include "nadaraya/definitions.hpp"
#endif
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
  S derivative(S t) const {
    return S(2) * t;
  }
};

Eigen::MatrixXf weigh(const Eigen::MatrixXf& Q, const Eigen::MatrixXf& K, const Eigen::MatrixXf& V) {
  return attend(Kernel2{}, FixedBandwidth{1.0}, SquaredDistance{}, Q, K, V);
}
