// The names and numbers of an operator that a user gives, on a command line or as keyword arguments.
#pragma once

#include "usage.hpp"

#include <nadaraya/types.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace program {

using nadaraya::Index;

inline const std::vector<std::string> kernel_names = {"epanechnikov", "biweight", "triweight", "polynomial", "gaussian", "uniform"};
inline const std::vector<std::string> normalization_names = {"adaptive", "fixed", "anchored", "nearest", "unnormalized"};
inline const std::vector<std::string> similarity_names = {"dot", "cosine", "euclidean"};
inline const std::vector<std::string> mask_names = {"none", "causal", "strictly-causal", "window"};

struct OperatorOptions {
  /// What messages put before the name of an option.
  std::string prefix = "--";
  std::string kernel, normalization = "adaptive", similarity = "dot", mask = "none";
  std::optional<double> exponent, alpha, bandwidth, mass, scale;
  std::optional<Index> neighbors, window;

  std::string named(const std::string& option) const { return prefix + option; }
};

/// For a front end that does not check names itself.
inline void check_names(const OperatorOptions& o) {
  const auto check = [&](const char* option, const std::string& name, const std::vector<std::string>& names) {
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    std::string known;
    for (const std::string& one : names) known += (known.empty() ? "" : ", ") + one;
    refuse(o.named(option) + " must be one of " + known + ", got " + name);
  };
  check("kernel", o.kernel, kernel_names);
  check("normalization", o.normalization, normalization_names);
  check("similarity", o.similarity, similarity_names);
  check("mask", o.mask, mask_names);
}

/// Refuses options that are missing, superfluous or out of range.
inline void check_options(const OperatorOptions& o) {
  const auto belongs = [](bool wanted, bool given, const std::string& option, const std::string& to) {
    if (wanted && !given) refuse(to + " needs " + option);
    if (!wanted && given) refuse(option + " goes with " + to + " only");
  };
  const bool unnormalized = o.normalization == "unnormalized";
  belongs(o.kernel == "polynomial", o.exponent || o.alpha, o.named("exponent") + " or " + o.named("alpha"),
          o.named("kernel") + " polynomial");
  if (o.exponent && o.alpha) refuse(o.named("exponent") + " and " + o.named("alpha") + " say the same thing; give one");
  belongs(o.normalization == "fixed" || o.normalization == "anchored" || unnormalized, o.bandwidth.has_value(),
          o.named("bandwidth"), o.named("normalization") + " fixed, anchored or unnormalized");
  if (!unnormalized && o.mass) refuse(o.named("mass") + " goes with " + o.named("normalization") + " unnormalized only");
  belongs(o.normalization == "nearest", o.neighbors.has_value(), o.named("neighbors"), o.named("normalization") + " nearest");
  belongs(o.mask == "window", o.window.has_value(), o.named("window"), o.named("mask") + " window");

  const auto positive = [](double x) { return x > 0 && std::isfinite(x); };
  const auto check_positive = [&](const char* option, const std::optional<double>& value) {
    if (value && !positive(*value)) refuse(o.named(option) + " must be positive and finite");
  };
  check_positive("exponent", o.exponent);
  if (o.alpha && !(*o.alpha > 1 && std::isfinite(*o.alpha))) {
    refuse(o.named("alpha") + " must be finite and exceed 1 (alpha = 1 is " + o.named("kernel") + " gaussian)");
  }
  check_positive("bandwidth", o.bandwidth);
  check_positive("mass", o.mass);
  if (o.scale && !std::isfinite(*o.scale)) refuse(o.named("scale") + " must be finite");
  if (o.scale && o.similarity != "dot" && !positive(*o.scale)) {
    refuse(o.named("scale") + " must be positive with " + o.named("similarity") + " " + o.similarity);
  }
  if (o.neighbors && *o.neighbors < 1) refuse(o.named("neighbors") + " must be at least 1");
  if (o.window && *o.window < 1) refuse(o.named("window") + " must be at least 1");
}

/// The options that are given as fractions, for a message about them.
inline std::string fractions(const OperatorOptions& o) {
  std::ostringstream text;
  const auto add = [&](const char* option, const std::optional<double>& value) {
    if (value) text << (text.tellp() == 0 ? "" : " ") << o.named(option) << ' ' << *value;
  };
  add("exponent", o.exponent);
  add("alpha", o.alpha);
  add("bandwidth", o.bandwidth);
  add("mass", o.mass);
  add("scale", o.scale);
  return text.str();
}

/// A number of double may be infinite, or 0, in float.
inline void check_float32(const OperatorOptions& o) {
  using Limits = std::numeric_limits<float>;
  const auto check = [&](const char* option, const std::optional<double>& value, double used) {
    const double size = std::abs(used);
    if (value && used != 0 && (size > static_cast<double>((Limits::max)()) || size < static_cast<double>((Limits::min)()))) {
      std::ostringstream text;
      text << o.named(option) << ' ' << *value << " is out of the range of float32";
      refuse(text.str());
    }
  };
  check("exponent", o.exponent, o.exponent.value_or(0));
  check("alpha", o.alpha, o.alpha ? 1 / (*o.alpha - 1) : 0.0);
  check("scale", o.scale, o.scale.value_or(0));
}

}  // namespace program
