// Comparison of whole matrices, with the worst entry in the message. A NaN on one side fails.
#pragma once

#include <nadaraya/types.hpp>

#include "tests/support/catch.hpp"

#include <cmath>
#include <sstream>
#include <string>

namespace nadaraya::test {

/// |a - b| <= atol + rtol |b| everywhere; equal infinities and NaN at the same places agree.
template <class B>
class CloseTo {
 public:
  CloseTo(const B& expected, long double atol, long double rtol) : expected_(expected), atol_(atol), rtol_(rtol) {}

  template <class A>
  std::string difference(const A& actual) const {
    std::ostringstream text;
    if (actual.rows() != expected_.rows() || actual.cols() != expected_.cols()) {
      text << "shape [" << actual.rows() << " x " << actual.cols() << "] instead of [" << expected_.rows() << " x "
           << expected_.cols() << "]";
      return text.str();
    }
    long double worst = 0;
    for (Index i = 0; i < actual.rows(); ++i) {
      for (Index j = 0; j < actual.cols(); ++j) {
        const auto a = static_cast<long double>(actual(i, j));
        const auto b = static_cast<long double>(expected_(i, j));
        if (a == b || (std::isnan(a) && std::isnan(b))) continue;
        const long double excess = std::abs(a - b) / (atol_ + rtol_ * std::abs(b));
        if (!(excess <= 1) && !(excess <= worst)) {
          worst = excess;
          text.str("");
          text.precision(17);
          text << "at (" << i << ", " << j << "): " << a << " instead of " << b << ", off by "
               << static_cast<double>(a - b) << ", " << static_cast<double>(excess) << " times the tolerance";
        }
      }
    }
    return text.str();
  }

 private:
  const B& expected_;
  long double atol_;
  long double rtol_;
};

/// "" if the matrices agree, otherwise what is wrong. REQUIRE(difference(a, b, atol, rtol) == "").
template <class A, class B>
std::string difference(const A& actual, const B& expected, long double atol, long double rtol = 0) {
  return CloseTo<B>(expected, atol, rtol).difference(actual);
}

}  // namespace nadaraya::test
