// expect: WidthData
// expect: WidthNotConst
// expect: WidthOfSomething
// expect: ElementwiseData
// expect: ElementwiseFunction
// expect: ExponentialData
// expect: ExponentialCompact
// expect: HomogeneousData
// expect: AlphaDerivativeOfNothing
// expect: AlphaDerivativeAlone
// expect: CentreData
// expect: Center
// expect: ValidateOfSomething
// expect: ValidateNotConst
// expect: CompactData
// expect: Exponental
// expect: Homogenous
// expect: Elementwize
// expect: Widht
// expect: AlphaDerivative
// expect: Valdiate
// An optional member of a kernel that has another signature, or comes close to its name, would be ignored.
#include "nadaraya/kernel/kernel.hpp"

#include <vector>

using namespace nadaraya;

struct Plain {
  static constexpr bool compact = true;
  template <class S>
  S profile(S t) const {
    return t;
  }
  template <class S>
  S derivative(S) const {
    return S(1);
  }
};
struct Full : Plain {
  static constexpr bool elementwise = true;
  double width() const { return 1.0; }
  double centre() const { return 1.0; }
  double alpha() const { return 2.0; }
  void validate() const {}
};
static_assert(detail::check_kernel<Plain>() && detail::check_kernel<Full>() && AdaptiveKernel<Full>);

#ifdef FAIL
struct WidthData : Plain {
  double width = 1.0;
};
struct WidthNotConst : Plain {
  double width() { return 1.0; }
};
struct WidthOfSomething : Plain {
  double width(double t) const { return t; }
};
struct ElementwiseData : Plain {
  bool elementwise = true;
};
struct ElementwiseFunction : Plain {
  static constexpr bool elementwise() { return true; }
};
struct ExponentialData : Plain {
  bool exponential = true;
};
struct ExponentialCompact : Plain {
  static constexpr bool exponential = true;
};
struct HomogeneousData : Plain {
  bool homogeneous = true;
};
struct AlphaDerivativeOfNothing : Plain {
  double width() const { return 1.0; }
  double alpha() const { return 2.0; }
  double alpha_derivative() const { return 0.0; }
};
struct AlphaDerivativeAlone : Plain {
  double width() const { return 1.0; }
  double alpha() const { return 2.0; }
  double alpha_derivative(double) const { return 0.0; }
};
struct CentreData : Plain {
  double centre = 0.0;
};
struct Center : Plain {
  double center() const { return 0.0; }
};
struct ValidateOfSomething : Plain {
  void validate(double) const {}
};
struct ValidateNotConst : Plain {
  void validate() {}
};
struct CompactData : Plain {
  bool compact = true;
};
struct Exponental : Plain {
  static constexpr bool exponental = false;
};
struct Homogenous : Plain {
  static constexpr bool homogenous = true;
};
struct Elementwize : Plain {
  static constexpr bool elementwize = true;
};
struct Widht : Plain {
  double widht() const { return 1.0; }
};
struct AlphaDerivative : Plain {
  double alphaDerivative(double) const { return 0.0; }
};
struct Valdiate : Plain {
  void valdiate() const {}
};
static_assert(detail::check_kernel<WidthData>());
static_assert(detail::check_kernel<WidthNotConst>());
static_assert(detail::check_kernel<WidthOfSomething>());
static_assert(detail::check_kernel<ElementwiseData>());
static_assert(detail::check_kernel<ElementwiseFunction>());
static_assert(detail::check_kernel<ExponentialData>());
static_assert(detail::check_kernel<ExponentialCompact>());
static_assert(detail::check_kernel<HomogeneousData>());
static_assert(detail::check_kernel<AlphaDerivativeOfNothing>());
static_assert(detail::check_kernel<AlphaDerivativeAlone>());
static_assert(detail::check_kernel<CentreData>());
static_assert(detail::check_kernel<Center>());
static_assert(detail::check_kernel<ValidateOfSomething>());
static_assert(detail::check_kernel<ValidateNotConst>());
static_assert(detail::check_kernel<CompactData>());
static_assert(detail::check_kernel<Exponental>());
static_assert(detail::check_kernel<Homogenous>());
static_assert(detail::check_kernel<Elementwize>());
static_assert(detail::check_kernel<Widht>());
static_assert(detail::check_kernel<AlphaDerivative>());
static_assert(detail::check_kernel<Valdiate>());
#endif
