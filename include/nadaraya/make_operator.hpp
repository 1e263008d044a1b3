// The operator, or its parts, that options name.
#pragma once

#include "nadaraya/chosen_operator.hpp"
#include "nadaraya/detail/check.hpp"
#include "nadaraya/kernel/gaussian.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/kernel/rectified_power.hpp"
#include "nadaraya/kernel/uniform.hpp"
#include "nadaraya/mask/causal.hpp"
#include "nadaraya/mix/local_linear.hpp"
#include "nadaraya/mix/local_polynomial.hpp"
#include "nadaraya/normalization/adaptive.hpp"
#include "nadaraya/normalization/anchored.hpp"
#include "nadaraya/normalization/fixed_bandwidth.hpp"
#include "nadaraya/normalization/nearest_neighbors.hpp"
#include "nadaraya/normalization/unnormalized.hpp"
#include "nadaraya/operator_options.hpp"
#include "nadaraya/screening.hpp"
#include "nadaraya/similarity/cosine.hpp"
#include "nadaraya/similarity/dot_product.hpp"
#include "nadaraya/similarity/squared_distance.hpp"

#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// visit(kernel), a kernel policy. The options must be valid.
template <class Visit>
decltype(auto) with_kernel(const OperatorOptions& options, const Visit& visit) {
  if (options.kernel == "epanechnikov") return visit(Epanechnikov{});
  if (options.kernel == "biweight") return visit(Biweight{});
  if (options.kernel == "triweight") return visit(Triweight{});
  if (options.kernel == "gaussian") return visit(Gaussian{});
  if (options.kernel == "uniform") return visit(Uniform{});
  return visit(options.alpha ? RectifiedPower::with_alpha(*options.alpha) : RectifiedPower::with_exponent(*options.exponent));
}

/// visit(similarity), a similarity policy. The options must be valid.
template <class Visit>
decltype(auto) with_similarity(const OperatorOptions& options, const Visit& visit) {
  if (options.similarity == "cosine") return visit(Cosine{options.scale.value_or(1.0)});
  if (options.similarity == "euclidean") return visit(SquaredDistance{options.scale.value_or(1.0)});
  return visit(DotProduct{options.scale});
}

namespace detail {

template <class Scalar, class K>
AnyRule<Scalar> rule_of(const OperatorOptions& o, const K& kernel, const AnySimilarity<Scalar>& similarity) {
  using Rule = AnyRule<Scalar>;
  if constexpr (AdaptiveKernel<K>) {
    if (o.normalization == "adaptive") return Rule(kernel, Adaptive{}, similarity);
  }
  if (o.normalization == "anchored") return Rule(kernel, Anchored{*o.bandwidth}, similarity);
  if (o.normalization == "fixed") return Rule(kernel, FixedBandwidth{*o.bandwidth}, similarity);
  if (o.normalization == "unnormalized") return Rule(kernel, Unnormalized{*o.bandwidth, o.mass.value_or(1.0)}, similarity);
  return Rule(kernel, NearestNeighbors{*o.neighbors}, similarity);
}

/// A number of double may be infinite, or 0, in float: `used`, which is computed with for the option.
template <class Scalar>
void require_in_range(const OperatorOptions& o, const char* option, const std::optional<double>& value, double used) {
  const double size = std::abs(used);
  const bool fits = used == 0 || (size <= static_cast<double>((std::numeric_limits<Scalar>::max)()) &&
                                  size >= static_cast<double>((std::numeric_limits<Scalar>::min)()));
  require(!value || fits, "OperatorOptions: ", o.named(option), o.spelling.before_value, value.value_or(0),
          " is out of the range of ", sizeof(Scalar) == sizeof(float) ? "float32" : "float64");
}

/// The rule and the similarity.
template <class Scalar>
std::pair<AnyRule<Scalar>, AnySimilarity<Scalar>> policies_of(const OperatorOptions& o) {
  o.validate();
  require_in_range<Scalar>(o, "exponent", o.exponent, o.exponent.value_or(0));
  require_in_range<Scalar>(o, "alpha", o.alpha, o.alpha ? 1 / (*o.alpha - 1) : 0.0);
  require_in_range<Scalar>(o, "mass", o.mass, o.mass.value_or(0));
  require_in_range<Scalar>(o, "scale", o.scale, o.scale.value_or(0));
  const auto make = [&] {
    const auto similarity = with_similarity(o, [](const auto& policy) { return AnySimilarity<Scalar>(policy); });
    const auto rule = with_kernel(o, [&](const auto& kernel) { return rule_of(o, kernel, similarity); });
    return std::pair(rule, similarity);
  };
#if defined(__cpp_exceptions)
  // Policies know no names of options.
  try {
    return make();
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    const auto end = message.find(": ");
    fail({"OperatorOptions: ", o.fractions(), end == std::string::npos ? ": " + message : message.substr(end)});
  }
#else
  return make();
#endif
}

template <class Scalar>
AnyMask<Scalar> mask_of(const OperatorOptions& o) {
  o.validate_mask();
  if (o.mask == "causal") return AnyMask<Scalar>(Causal{});
  if (o.mask == "strictly-causal") return AnyMask<Scalar>(StrictlyCausal{});
  if (o.mask == "window") return AnyMask<Scalar>(SlidingWindow{*o.window});
  return AnyMask<Scalar>(NoMask{});
}

template <class Scalar>
AnyMix<Scalar> mix_of(const OperatorOptions& o) {
  require_in_range<Scalar>(o, "ridge", o.ridge, o.ridge.value_or(0));
  const double ridge = o.ridge.value_or(LocalLinear{}.ridge);
  if (o.mix == "linear") return AnyMix<Scalar>(LocalLinear{ridge});
  if (o.mix == "quadratic") return AnyMix<Scalar>(LocalPolynomial<2>{ridge});
  if (o.mix == "cubic") return AnyMix<Scalar>(LocalPolynomial<3>{ridge});
  return {};
}

#if defined(NADARAYA_COMPILED)
extern template std::pair<AnyRule<float>, AnySimilarity<float>> policies_of(const OperatorOptions&);
extern template std::pair<AnyRule<double>, AnySimilarity<double>> policies_of(const OperatorOptions&);
extern template AnyMask<float> mask_of(const OperatorOptions&);
extern template AnyMask<double> mask_of(const OperatorOptions&);
extern template AnyMix<float> mix_of(const OperatorOptions&);
extern template AnyMix<double> mix_of(const OperatorOptions&);
#endif

}  // namespace detail

/// Returns the mask alone, for those that combine it with others. Throws std::invalid_argument where it or its window is
/// unknown, missing or out of range; the other options are not read.
template <class Scalar>
AnyMask<Scalar> make_mask(const OperatorOptions& options) {
  return detail::mask_of<Scalar>(options);
}

/// Returns the operator for a scalar, float or double:
///   make_operator<float>(OperatorOptions::parse("kernel=biweight mask=causal"))
/// Throws std::invalid_argument if the options are not valid or a number is out of its range.
template <class Scalar>
ChosenOperator<Scalar> make_operator(const OperatorOptions& options) {
  auto [rule, similarity] = detail::policies_of<Scalar>(options);
  return ChosenOperator<Scalar>(std::move(rule), std::move(similarity), make_mask<Scalar>(options), Screening::automatic,
                                detail::mix_of<Scalar>(options));
}

/// Returns the operator of the other options and a mask in place of theirs. Throws, too, for a mask that shifts similarities
/// where the normalization compares distances.
template <class Scalar>
ChosenOperator<Scalar> make_operator(const OperatorOptions& options, AnyMask<Scalar> mask) {
  auto [rule, similarity] = detail::policies_of<Scalar>(options);
  return ChosenOperator<Scalar>(std::move(rule), std::move(similarity), std::move(mask), Screening::automatic,
                                detail::mix_of<Scalar>(options));
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
