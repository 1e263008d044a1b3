// Two kernels of one's own, each a struct with a formula and its derivative.
#include <nadaraya/nadaraya.hpp>

#include <Eigen/SparseCore>

#include <cmath>
#include <cstdio>

/// The tricube kernel of local regression (Cleveland 1979): kappa(u) = (1 - u^3)^3, written in the
/// compact coordinate t = 1 - u^2.
struct Tricube {
  static constexpr bool compact = true;

  template <class Scalar>
  Scalar profile(const Scalar& t) const {
    using std::sqrt;
    const Scalar u = sqrt(Scalar(1) - t);
    const Scalar below = Scalar(1) - u * u * u;
    return below * below * below;
  }

  /// d kappa / dt = (d kappa / du) (du / dt) = (-9 u^2 (1 - u^3)^2) (-1 / (2 u)).
  template <class Scalar>
  Scalar derivative(const Scalar& t) const {
    using std::sqrt;
    const Scalar u = sqrt(Scalar(1) - t);
    const Scalar below = Scalar(1) - u * u * u;
    return Scalar(4.5) * u * below * below;
  }
};

/// kappa(t) = t^2 (3 - 2 t): a smooth step, flat at the edge and at the centre. Its width lets
/// Adaptive use it: no key more than 2 below the best can have weight.
struct SmoothStep {
  static constexpr bool compact = true;
  static constexpr double width() { return 2.0; }

  template <class Scalar>
  Scalar profile(const Scalar& t) const {
    return t * t * (Scalar(3) - Scalar(2) * t);
  }
  template <class Scalar>
  Scalar derivative(const Scalar& t) const {
    return Scalar(6) * t * (Scalar(1) - t);
  }
};

int main() {
  using namespace nadaraya;
  const Eigen::Vector4d x(0.0, 1.0, 2.0, 5.0), y(1.0, 3.0, 7.0, 9.0);
  const Eigen::Matrix<double, 1, 1> at(0.5);

  // Regression at 0.5 with bandwidth 2: distances 0.5, 0.5, 1.5 and 4.5, so u = 1/4, 1/4, 3/4, out.
  const double value = attend(Tricube{}, FixedBandwidth{2.0}, SquaredDistance{}, at, x, y)(0, 0);
  const double near = std::pow(1.0 - 1.0 / 64.0, 3), far = std::pow(1.0 - 27.0 / 64.0, 3);
  const double by_hand = (near * 1.0 + near * 3.0 + far * 7.0) / (near + near + far);
  std::printf("tricube regression at 0.5: %.15f, by hand %.15f\n", value, by_hand);

  // Attention with the other: each row finds the tau at which its weights sum to one.
  const NadarayaWatson attention{SmoothStep{}, Adaptive{}, DotProduct{.scale = 1.0}};
  const auto weights = attention.weights(x, x);
  double worst = 0;
  for (Index i = 0; i < weights.rows(); ++i) worst = std::fmax(worst, std::abs(weights.row(i).sum() - 1.0));
  std::printf("smooth-step attention: %d of 16 pairs have weight, row sums off by at most %.1e\n",
              static_cast<int>(weights.nonZeros()), worst);
  return std::abs(value - by_hand) <= 4e-15 && worst <= 1e-14 && weights.nonZeros() < 16 ? 0 : 1;
}
