// expect: VisibleOfTwo
// expect: VisibleNotConst
// expect: VisibleOfNothing
// expect: VisibleOverloaded
// expect: VisibleTemplate
// expect: VisibleData
// expect: VisiblePrivate
// expect: VisibleFinal
// expect: BiasOfTwo
// expect: BiasNotConst
// expect: BiasOfNothing
// expect: ValidateOfNothing
// expect: ValidateNotConst
// expect: Visable
// expect: IsVisible
// expect: Bais
// expect: Valdate
// expect: BiasPullbackAlone
// expect: BiasPullbackOfTwo
// expect: Visibel
// expect: function must return the number that is added
// expect: an entry must be true or false
// expect: ZeroGrad
// expect: ZeroGradientAlone
// An optional member of a mask that has another signature, or comes close to its name, would be ignored.
#include "nadaraya/mask/additive_bias.hpp"
#include "nadaraya/mask/boolean_mask.hpp"
#include "nadaraya/mask/intersection.hpp"

#include <vector>

using namespace nadaraya;

struct Holes {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  bool visible(int query, long key, Extent) const { return query != key; }
  double bias(Index, Index, const Extent&) const { return 0.0; }
  void validate(Extent) const {}
};
struct Whole {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
};
static_assert(detail::check_mask<Holes>() && detail::check_mask<Whole>() && detail::check_mask<Intersection<Whole, Whole>>());
static_assert(HoledMask<Intersection<Whole, Holes>> && !BiasMask<Intersection<Whole, Whole>>);

#ifdef FAIL
struct BiasPullbackAlone : Holes {
  void bias_pullback(Index, Index, const Extent&, double, double&) const {}
};
struct BiasPullbackOfTwo : Holes {
  template <class S>
  S zero_gradient() const {
    return S(0);
  }
  template <class S>
  void bias_pullback(Index, Index, const S&, S&) const {}
};
struct VisibleOfTwo {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  bool visible(Index query, Index key) const { return key <= query; }
};
struct VisibleNotConst {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  bool visible(Index query, Index key, const Extent&) { return key <= query; }
};
struct VisibleOfNothing {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  void visible(Index, Index, const Extent&) const {}
};
struct VisibleOverloaded {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  bool visible(Index query) const { return query > 0; }
  bool visible(Index query, Index key) const { return key <= query; }
};
struct VisibleTemplate {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  template <class I>
  bool visible(I query, I key) const { return key <= query; }
};
struct VisibleData {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  std::vector<bool> visible;
};
class VisiblePrivate {

 public:
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }

 private:
  bool visible(Index query, Index key, const Extent&) const { return key <= query; }
};
struct VisibleFinal final {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  bool visible(Index query, Index key) const { return key <= query; }
};
struct BiasOfTwo {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  double bias(Index query, Index key) const { return double(key - query); }
};
struct BiasNotConst {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  double bias(Index, Index, const Extent&) { return 1.0; }
};
struct BiasOfNothing {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  void bias(Index, Index, const Extent&) const {}
};
struct ValidateOfNothing {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  void validate() const {}
};
struct ValidateNotConst {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  void validate(const Extent&) {}
};
struct Visable {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  bool visable(Index query, Index key, const Extent&) const { return key <= query; }
};
struct IsVisible {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  bool is_visible(Index query, Index key, const Extent&) const { return key <= query; }
};
struct Bais {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  double bais(Index, Index, const Extent&) const { return 1.0; }
};
struct Valdate {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
  void valdate(const Extent&) const {}
};
struct Visibel : Whole {
  bool visibel(Index, Index, const Extent&) const { return true; }
};
struct ZeroGrad : Holes {
  double zero_grad() const { return 0.0; }
};
struct ZeroGradientAlone : Holes {
  template <class S>
  S zero_gradient() const {
    return S(0);
  }
};
struct FunctionOfNothing {
  void operator()(Index, Index) const {}
};
static_assert(detail::check_mask<VisibleOfTwo>());
static_assert(detail::check_mask<VisibleNotConst>());
static_assert(detail::check_mask<VisibleOfNothing>());
static_assert(detail::check_mask<VisibleOverloaded>());
static_assert(detail::check_mask<VisibleTemplate>());
static_assert(detail::check_mask<VisibleData>());
static_assert(detail::check_mask<VisiblePrivate>());
static_assert(detail::check_mask<VisibleFinal>());
static_assert(detail::check_mask<BiasOfTwo>());
static_assert(detail::check_mask<BiasNotConst>());
static_assert(detail::check_mask<BiasOfNothing>());
static_assert(detail::check_mask<ValidateOfNothing>());
static_assert(detail::check_mask<ValidateNotConst>());
static_assert(detail::check_mask<Visable>());
static_assert(detail::check_mask<IsVisible>());
static_assert(detail::check_mask<Bais>());
static_assert(detail::check_mask<Valdate>());
static_assert(detail::check_mask<BiasPullbackAlone>());
static_assert(detail::check_mask<BiasPullbackOfTwo>());
static_assert(detail::check_mask<Visibel>());
static_assert(detail::check_mask<ZeroGrad>());
static_assert(detail::check_mask<ZeroGradientAlone>());
static_assert(!BiasMask<AdditiveBias<FunctionOfNothing>>);
bool hides(const BooleanMask<Eigen::MatrixXf>& mask) { return !mask.visible(0, 0, Extent{1, 1}); }
#endif
