// expect: ProductBoundNoTemplate
// expect: ProductBoundOfOne
// expect: ProductWithoutBound
// expect: BoundWithoutProduct
// expect: ProductData
// expect: PreparedAlone
// expect: PreparedOfAnother
// expect: ReachOfOne
// expect: ReachOfDouble
// expect: ScaleWithoutPullback
// expect: PullbackWithoutScale
// expect: ScalePullbackOfOne
// expect: HasScaleData
// expect: FactorData
// expect: FactorFunction
// expect: ValidateOfSomething
// expect: Valdiate
// expect: ZeroGradientAlone
// expect: ParameterPullbackOfOne
// expect: HasScale
// expect: Prepare
// expect: IsProdcut
// expect: Raduis
// expect: DistanceFacter
// expect: ZeroGradients
// An optional member of a similarity that has another signature, or comes close to its name, would be ignored.
#include "nadaraya/similarity/cosine.hpp"

#include <vector>

using namespace nadaraya;

struct Plain {
  template <class Q, class K>
  typename Q::Scalar score(const Q& q, const K& k) const {
    return q.dot(k);
  }
  template <class Q, class K, class S, class DQ, class DK>
  void pullback(const Q& q, const K& k, const S& dz, DQ&& dq, DK&& dk) const {
    dq += dz * k;
    dk += dz * q;
  }
};
struct Everywhere : SquaredDistance {
  template <class S>
  S radius(const S&, Index) const = delete;
};
static_assert(detail::check_similarity<Everywhere>() && !LocalSimilarity<Everywhere, double>);
static_assert(detail::check_similarity<Plain>() && detail::check_similarity<Cosine>());

#ifdef FAIL
struct ZeroGradientAlone : Plain {
  template <class S>
  S zero_gradient() const {
    return S(0);
  }
};
struct ParameterPullbackOfOne : ZeroGradientAlone {
  template <class S>
  void parameter_pullback(const S&, S&) const {}
};
struct ProductBoundNoTemplate : Plain {
  static constexpr bool is_product = true;
  ProductBound<double> product_bound(double, Index) const { return {}; }
};
struct ProductBoundOfOne : Plain {
  static constexpr bool is_product = true;
  template <class S>
  ProductBound<S> product_bound(const S&) const {
    return {};
  }
};
struct ProductWithoutBound : Plain {
  static constexpr bool is_product = true;
};
struct BoundWithoutProduct : Plain {
  template <class S>
  ProductBound<S> product_bound(const S&, Index) const {
    return {};
  }
};
struct ProductData : Plain {
  bool is_product = true;
};
struct PreparedAlone : Plain {
  template <class X>
  RowMatrix<ScalarOf<X>> prepared(const X& x) const {
    return x;
  }
};
struct PreparedOfAnother : Plain {
  template <class X>
  Eigen::MatrixXd prepared(const X& x) const {
    return x;
  }
  template <class X>
  RowMatrix<double> prepared_pullback(const X&, const X&, const X& d) const {
    return d;
  }
};
struct ReachOfOne : Plain {
  template <class S>
  S radius(const S& floor) const {
    return floor;
  }
};
struct ReachOfDouble : Plain {
  float radius(float floor, Index) const { return floor; }
};
struct ScaleWithoutPullback : Plain {
  static constexpr bool has_scale = true;
};
struct PullbackWithoutScale : Plain {
  template <class Q, class K, class S>
  S scale_pullback(const Q&, const K&, const S& dz) const {
    return dz;
  }
};
struct ScalePullbackOfOne : Plain {
  static constexpr bool has_scale = true;
  double scale_pullback(double dz) const { return dz; }
};
struct HasScaleData : Plain {
  template <class Q, class K, class S>
  S scale_pullback(const Q&, const K&, const S& dz) const {
    return dz;
  }
  bool has_scale = true;
};
struct FactorData : Plain {
  double distance_factor = 1.0;
};
struct FactorFunction : Plain {
  static constexpr double distance_factor() { return 1.0; }
};
struct ValidateOfSomething : Plain {
  void validate(double) const {}
};
struct Valdiate : Plain {
  void valiadte() const {}
};
struct HasScale : Plain {
  static constexpr bool hasScale = true;
};
struct Prepare : Plain {
  template <class X>
  X prepare(const X& x) const {
    return x;
  }
};
struct IsProdcut : Plain {
  static constexpr bool is_prodcut = true;
};
struct Raduis : Plain {
  template <class S>
  S raduis(const S& floor, Index) const {
    return floor;
  }
};
struct DistanceFacter : Plain {
  static constexpr double distance_facter = 1.0;
};
struct ZeroGradients : Plain {
  template <class S>
  S zero_gradients() const {
    return S(0);
  }
};
static_assert(detail::check_similarity<ProductBoundNoTemplate>());
static_assert(detail::check_similarity<ProductBoundOfOne>());
static_assert(detail::check_similarity<ProductWithoutBound>());
static_assert(detail::check_similarity<BoundWithoutProduct>());
static_assert(detail::check_similarity<ProductData>());
static_assert(detail::check_similarity<PreparedAlone>());
static_assert(detail::check_similarity<PreparedOfAnother>());
static_assert(detail::check_similarity<ReachOfOne>());
static_assert(detail::check_similarity<ReachOfDouble>());
static_assert(detail::check_similarity<ScaleWithoutPullback>());
static_assert(detail::check_similarity<PullbackWithoutScale>());
static_assert(detail::check_similarity<ScalePullbackOfOne>());
static_assert(detail::check_similarity<HasScaleData>());
static_assert(detail::check_similarity<FactorData>());
static_assert(detail::check_similarity<FactorFunction>());
static_assert(detail::check_similarity<ValidateOfSomething>());
static_assert(detail::check_similarity<Valdiate>());
static_assert(detail::check_similarity<ZeroGradientAlone>());
static_assert(detail::check_similarity<ParameterPullbackOfOne>());
static_assert(detail::check_similarity<HasScale>());
static_assert(detail::check_similarity<Prepare>());
static_assert(detail::check_similarity<IsProdcut>());
static_assert(detail::check_similarity<Raduis>());
static_assert(detail::check_similarity<DistanceFacter>());
static_assert(detail::check_similarity<ZeroGradients>());
#endif
