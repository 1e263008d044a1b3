// expect: ValidateNoTemplate
// expect: ValidateOfNothing
// expect: CheckOfTwo
// expect: CheckNotStatic
// expect: SelectWithoutSelects
// expect: SelectsData
// expect: SelectOfOne
// expect: FloorsWithFactor
// expect: FloorsAlone
// expect: SolveAlone
// expect: NearestWidthNoTemplate
// expect: NearestWidthOfNothing
// expect: BandwidthFunction
// expect: Bandwith
// expect: Selcets
// expect: NearestWidht
// expect: Chekc
// expect: Valdiate
// An optional member of a normalization that has another signature, or comes close to its name, would be ignored.
#include "nadaraya/normalization/nearest_neighbors.hpp"

#include "nadaraya/normalization/adaptive.hpp"
#include "nadaraya/normalization/unnormalized.hpp"
#include "nadaraya/similarity/squared_distance.hpp"

#include <span>

using namespace nadaraya;

struct Plain {
  template <class K, class S>
  S floor(const K&, double, RowView<S>, const S&) const {
    return -Eigen::NumTraits<S>::infinity();
  }
  template <class K, class S>
  RowNormalizer<S> solve(const K&, double, RowView<S>, const S&) const {
    return {};
  }
  template <class K, class S>
  void pullback(const K&, const RowNormalizer<S>&, RowView<S>, RowView<S>, RowOut<S>, ParameterGradients<S>&) const {}
};
static_assert(detail::check_normalization<Plain, Biweight, float>() && detail::check_normalization<NearestNeighbors, Gaussian, double>());
static_assert(detail::check_normalization<Adaptive, Biweight, float>() && detail::check_normalization<Adaptive, Gaussian, long double>());
static_assert(detail::check_normalization<Unnormalized, Uniform, double>());

#ifdef FAIL
struct ValidateNoTemplate : Plain {
  void validate(double) const {}
};
struct ValidateOfNothing : Plain {
  template <class S>
  void validate() const {}
};
struct CheckOfTwo : Plain {
  template <class K, class Mask>
  static constexpr void check() {}
};
struct CheckNotStatic : Plain {
  template <class K, class Similarity, class Mask>
  void check() const {}
};
struct SelectWithoutSelects : Plain {
  template <class K, class S>
  void select(const K&, CandidateRow<S>&) const {}
};
struct SelectsData : Plain {
  bool selects = true;
};
struct SelectOfOne : Plain {
  static constexpr bool selects = true;
  template <class S>
  void select(CandidateRow<S>&) const {}
};
struct FloorsWithFactor : Plain {
  using Plain::solve;
  template <class K, class S>
  void solve(const K&, std::span<const RowView<S>>, std::span<const S>, RowNormalizer<S>*) const {}
  template <class K, class S>
  void floors(const K&, double, std::span<const RowView<S>>, std::span<const S>, S*) const {}
};
struct FloorsAlone : Plain {
  template <class K, class S>
  void floors(const K&, std::span<const RowView<S>>, std::span<const S>, S*) const {}
};
struct SolveAlone : Plain {
  using Plain::solve;
  template <class K, class S>
  void solve(const K&, std::span<const RowView<S>>, std::span<const S>, RowNormalizer<S>*) const {}
};
struct NearestWidthNoTemplate : Plain {
  double nearest_width(const Biweight&) const { return 1.0; }
};
struct NearestWidthOfNothing : Plain {
  template <class S>
  S nearest_width() const {
    return S(1);
  }
};
struct BandwidthFunction : Plain {
  double bandwidth() const { return 1.0; }
};
struct Bandwith : Plain {
  double bandwith = 1.0;
};
struct Selcets : Plain {
  static constexpr bool selcets = true;
};
struct NearestWidht : Plain {
  template <class S, class K>
  S nearest_widht(const K&) const {
    return S(1);
  }
};
struct Chekc : Plain {
  template <class K, class Similarity, class Mask>
  static constexpr void chekc() {}
};
struct Valdiate : Plain {
  template <class S>
  void valdiate(double) const {}
};
static_assert((detail::check_normalization<ValidateNoTemplate, Biweight, float>() && detail::check_combination<ValidateNoTemplate, Biweight, SquaredDistance, NoMask>()));
static_assert((detail::check_normalization<ValidateOfNothing, Biweight, float>() && detail::check_combination<ValidateOfNothing, Biweight, SquaredDistance, NoMask>()));
static_assert((detail::check_normalization<CheckOfTwo, Biweight, float>() && detail::check_combination<CheckOfTwo, Biweight, SquaredDistance, NoMask>()));
static_assert((detail::check_normalization<CheckNotStatic, Biweight, float>() && detail::check_combination<CheckNotStatic, Biweight, SquaredDistance, NoMask>()));
static_assert((detail::check_normalization<SelectWithoutSelects, Biweight, float>() && detail::check_combination<SelectWithoutSelects, Biweight, SquaredDistance, NoMask>()));
static_assert((detail::check_normalization<SelectsData, Biweight, float>() && detail::check_combination<SelectsData, Biweight, SquaredDistance, NoMask>()));
static_assert((detail::check_normalization<SelectOfOne, Biweight, float>() && detail::check_combination<SelectOfOne, Biweight, SquaredDistance, NoMask>()));
static_assert((detail::check_normalization<FloorsWithFactor, Biweight, float>() && detail::check_combination<FloorsWithFactor, Biweight, SquaredDistance, NoMask>()));
static_assert((detail::check_normalization<FloorsAlone, Biweight, float>() && detail::check_combination<FloorsAlone, Biweight, SquaredDistance, NoMask>()));
static_assert((detail::check_normalization<SolveAlone, Biweight, float>() && detail::check_combination<SolveAlone, Biweight, SquaredDistance, NoMask>()));
static_assert((detail::check_normalization<NearestWidthNoTemplate, Biweight, float>() && detail::check_combination<NearestWidthNoTemplate, Biweight, SquaredDistance, NoMask>()));
static_assert((detail::check_normalization<NearestWidthOfNothing, Biweight, float>() && detail::check_combination<NearestWidthOfNothing, Biweight, SquaredDistance, NoMask>()));
static_assert((detail::check_normalization<BandwidthFunction, Biweight, float>() && detail::check_combination<BandwidthFunction, Biweight, SquaredDistance, NoMask>()));
static_assert(detail::check_normalization<Bandwith, Biweight, float>());
static_assert(detail::check_normalization<Selcets, Biweight, float>());
static_assert(detail::check_normalization<NearestWidht, Biweight, float>());
static_assert(detail::check_normalization<Chekc, Biweight, float>());
static_assert(detail::check_normalization<Valdiate, Biweight, float>());
#endif
