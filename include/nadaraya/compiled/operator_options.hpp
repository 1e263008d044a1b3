// Operators by the names of their policies.
#pragma once

#include "nadaraya/chosen_operator.hpp"
#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/math.hpp"
#include "nadaraya/kernel/gaussian.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/kernel/rectified_power.hpp"
#include "nadaraya/kernel/uniform.hpp"
#include "nadaraya/mask/causal.hpp"
#include "nadaraya/normalization/adaptive.hpp"
#include "nadaraya/normalization/anchored.hpp"
#include "nadaraya/normalization/fixed_bandwidth.hpp"
#include "nadaraya/normalization/nearest_neighbors.hpp"
#include "nadaraya/normalization/unnormalized.hpp"
#include "nadaraya/similarity/cosine.hpp"
#include "nadaraya/similarity/dot_product.hpp"
#include "nadaraya/similarity/squared_distance.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <locale>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// The policies of an operator, as nadaraya_operator_create of nadaraya.h names them.
struct OperatorOptions {
  std::string kernel, normalization = "adaptive", similarity = "dot", mask = "none";
  std::optional<double> exponent, alpha, bandwidth, mass, neighbors, scale, window;

  /// From "name=value name=value ...". Throws std::invalid_argument if a name or value is unknown, given twice, missing or
  /// does not belong to the others.
  static OperatorOptions parse(std::string_view text);

  /// Sets a number that is there already, or the scale. Throws std::invalid_argument for any other, and for one that the
  /// option cannot be.
  void set(std::string_view name, double value);

  void validate() const;

 private:
  std::optional<double>* number(std::string_view name) {
    if (name == "exponent") return &exponent;
    if (name == "alpha") return &alpha;
    if (name == "bandwidth") return &bandwidth;
    if (name == "mass") return &mass;
    if (name == "neighbors") return &neighbors;
    if (name == "scale") return &scale;
    if (name == "window") return &window;
    return nullptr;
  }
  std::string* choice(std::string_view name) {
    if (name == "kernel") return &kernel;
    if (name == "normalization") return &normalization;
    if (name == "similarity") return &similarity;
    if (name == "mask") return &mask;
    return nullptr;
  }
};

namespace detail {

inline double parse_number(std::string_view name, const std::string& text) {
  std::istringstream stream(text);
  stream.imbue(std::locale::classic());
  double value = 0;
  stream >> value;
  require(!stream.fail() && stream.peek() == std::istringstream::traits_type::eof(),
          "OperatorOptions::parse: ", std::string(name), " must be a number, got '", text, "'");
  return value;
}

inline void require_choice(const char* name, const std::string& value, std::initializer_list<const char*> known) {
  std::string all;
  for (const char* one : known) {
    if (value == one) return;
    all += (all.empty() ? "" : ", ") + std::string(one);
  }
  fail({"OperatorOptions: ", name, " must be one of ", all, "; got '", value, "'"});
}

inline void require_belongs(bool wanted, bool given, const char* name, const char* to) {
  require(!wanted || given, "OperatorOptions: ", to, " needs ", name);
  require(wanted || !given, "OperatorOptions: ", name, " goes with ", to, " only");
}

inline void require_positive(const char* name, const std::optional<double>& value) {
  if (value) require(*value > 0 && is_finite(*value), "OperatorOptions: ", name, " must be positive and finite, got ", *value);
}

inline void require_count(const char* name, const std::optional<double>& value) {
  constexpr double most = 9007199254740992.0;  // 2^53: all below are exact in double
  if (value) {
    require(*value >= 1 && *value <= most && *value == std::floor(*value), "OperatorOptions: ", name,
            " must be a whole number from 1 to 2^53, got ", *value);
  }
}

}  // namespace detail

inline OperatorOptions OperatorOptions::parse(std::string_view text) {
  constexpr std::string_view spaces = " \t\r\n";
  OperatorOptions options;
  std::string seen = " ";
  while (true) {
    const std::size_t begin = text.find_first_not_of(spaces);
    if (begin == std::string_view::npos) break;
    const std::string_view option = text.substr(begin, text.find_first_of(spaces, begin) - begin);
    text.remove_prefix(begin + option.size());
    const std::size_t equals = option.find('=');
    const std::string name(option.substr(0, equals));
    detail::require(equals != std::string_view::npos, "OperatorOptions::parse: options are name=value, got '", name, "'");
    const std::string value(option.substr(equals + 1));
    detail::require(seen.find(' ' + name + ' ') == std::string::npos, "OperatorOptions::parse: ", name, " is given twice");
    seen += name + ' ';
    if (std::string* choice = options.choice(name)) {
      *choice = value;
    } else if (std::optional<double>* number = options.number(name)) {
      *number = detail::parse_number(name, value);
    } else {
      detail::fail({"OperatorOptions::parse: there is no option '", name, "'"});
    }
  }
  options.validate();
  return options;
}

inline void OperatorOptions::set(std::string_view name, double value) {
  std::optional<double>* const old = number(name);
  detail::require(old && (*old || old == &scale), "OperatorOptions::set: the operator has no number '", std::string(name), "'");
  *old = value;
  validate();
}

inline void OperatorOptions::validate() const {
  using detail::require;
  detail::require_choice("kernel", kernel, {"epanechnikov", "biweight", "triweight", "polynomial", "gaussian", "uniform"});
  detail::require_choice("normalization", normalization, {"adaptive", "fixed", "anchored", "nearest", "unnormalized"});
  detail::require_choice("similarity", similarity, {"dot", "cosine", "euclidean"});
  detail::require_choice("mask", mask, {"none", "causal", "strictly-causal", "window"});
  detail::require_belongs(kernel == "polynomial", exponent || alpha, "exponent or alpha", "kernel=polynomial");
  require(!exponent || !alpha, "OperatorOptions: exponent and alpha are one parameter; give one of them");
  const bool unnormalized = normalization == "unnormalized", metric = normalization == "fixed" || unnormalized;
  detail::require_belongs(metric || normalization == "anchored", bandwidth.has_value(), "bandwidth",
                          "normalization=fixed, anchored or unnormalized");
  require(unnormalized || !mass, "OperatorOptions: mass goes with normalization=unnormalized only");
  detail::require_belongs(normalization == "nearest", neighbors.has_value(), "neighbors", "normalization=nearest");
  detail::require_belongs(mask == "window", window.has_value(), "window", "mask=window");
  detail::require_positive("exponent", exponent);
  detail::require_positive("bandwidth", bandwidth);
  detail::require_positive("mass", mass);
  if (alpha) {
    require(*alpha > 1 && detail::is_finite(*alpha),
            "OperatorOptions: alpha must be finite and exceed 1 (alpha 1 is kernel=gaussian), got ", *alpha);
  }
  if (scale) require(detail::is_finite(*scale), "OperatorOptions: scale must be finite, got ", *scale);
  if (similarity != "dot") detail::require_positive("scale", scale);
  detail::require_count("neighbors", neighbors);
  detail::require_count("window", window);
  require(kernel != "uniform" || normalization != "adaptive",
          "OperatorOptions: kernel=uniform has no normalization=adaptive, its profile jumps; use fixed, anchored or nearest");
  require(similarity != "dot" || !metric, "OperatorOptions: normalization=", normalization,
          " compares distances, and similarity=dot is none; use cosine or euclidean");
  require(similarity != "dot" || normalization != "nearest" || kernel == "gaussian" || kernel == "uniform",
          "OperatorOptions: normalization=nearest takes the bandwidth of kernel=", kernel,
          " from distances, and similarity=dot is none; use cosine or euclidean");
}

namespace detail {

template <class Scalar>
AnySimilarity<Scalar> similarity_of(const OperatorOptions& o) {
  if (o.similarity == "cosine") return AnySimilarity<Scalar>(Cosine{o.scale.value_or(1.0)});
  if (o.similarity == "euclidean") return AnySimilarity<Scalar>(SquaredDistance{o.scale.value_or(1.0)});
  return AnySimilarity<Scalar>(DotProduct{o.scale});
}

template <class Scalar>
AnyMask<Scalar> mask_of(const OperatorOptions& o) {
  if (o.mask == "causal") return AnyMask<Scalar>(Causal{});
  if (o.mask == "strictly-causal") return AnyMask<Scalar>(StrictlyCausal{});
  if (o.mask == "window") return AnyMask<Scalar>(SlidingWindow{static_cast<Index>(*o.window)});
  return AnyMask<Scalar>(NoMask{});
}

template <class Scalar, class K>
AnyRule<Scalar> rule_of(const OperatorOptions& o, const K& kernel, const AnySimilarity<Scalar>& similarity) {
  using Rule = AnyRule<Scalar>;
  if constexpr (AdaptiveKernel<K>) {
    if (o.normalization == "adaptive") return Rule(kernel, Adaptive{}, similarity);
  }
  if (o.normalization == "anchored") return Rule(kernel, Anchored{*o.bandwidth}, similarity);
  if (o.normalization == "fixed") return Rule(kernel, FixedBandwidth{*o.bandwidth}, similarity);
  if (o.normalization == "unnormalized") return Rule(kernel, Unnormalized{*o.bandwidth, o.mass.value_or(1.0)}, similarity);
  return Rule(kernel, NearestNeighbors{static_cast<Index>(*o.neighbors)}, similarity);
}

template <class Scalar>
AnyRule<Scalar> rule_of(const OperatorOptions& o, const AnySimilarity<Scalar>& similarity) {
  if (o.kernel == "epanechnikov") return rule_of(o, Epanechnikov{}, similarity);
  if (o.kernel == "biweight") return rule_of(o, Biweight{}, similarity);
  if (o.kernel == "triweight") return rule_of(o, Triweight{}, similarity);
  if (o.kernel == "gaussian") return rule_of(o, Gaussian{}, similarity);
  if (o.kernel == "uniform") return rule_of(o, Uniform{}, similarity);
  return rule_of(o, o.alpha ? RectifiedPower::with_alpha(*o.alpha) : RectifiedPower::with_exponent(*o.exponent), similarity);
}

/// A number of double may be none, or 0, in float.
template <class Scalar>
void require_in_range(const char* name, double value) {
  const double size = std::abs(value);
  require(value == 0 || (size <= static_cast<double>((std::numeric_limits<Scalar>::max)()) &&
                         size >= static_cast<double>((std::numeric_limits<Scalar>::min)())),
          "OperatorOptions: ", name, ' ', value, " is out of the range of ",
          sizeof(Scalar) == sizeof(float) ? "float32" : "float64");
}

}  // namespace detail

/// Returns the operator for a scalar, float or double. Throws std::invalid_argument if a number is out of its range, or the
/// kernel cannot be computed in it.
template <class Scalar>
ChosenOperator<Scalar> make_operator(const OperatorOptions& options) {
  options.validate();
  if (options.exponent) detail::require_in_range<Scalar>("exponent", *options.exponent);
  if (options.alpha) detail::require_in_range<Scalar>("1/(alpha - 1)", 1 / (*options.alpha - 1));
  if (options.mass) detail::require_in_range<Scalar>("mass", *options.mass);
  if (options.scale) detail::require_in_range<Scalar>("scale", *options.scale);
  const auto similarity = detail::similarity_of<Scalar>(options);
  return ChosenOperator<Scalar>(detail::rule_of(options, similarity), similarity, detail::mask_of<Scalar>(options));
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
