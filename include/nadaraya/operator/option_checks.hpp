// How options are read and checked. Templates of the options, so that nadaraya::compiled can hold them.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/math.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstddef>
#include <locale>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

template <class Options>
std::string* find_choice(Options& o, std::string_view name) {
  if (name == "kernel") return &o.kernel;
  if (name == "normalization") return &o.normalization;
  if (name == "similarity") return &o.similarity;
  if (name == "mask") return &o.mask;
  if (name == "mix") return &o.mix;
  return nullptr;
}

template <class Options>
auto* find_fraction(Options& o, std::string_view name) {
  return name == "exponent"    ? &o.exponent
         : name == "alpha"     ? &o.alpha
         : name == "bandwidth" ? &o.bandwidth
         : name == "mass"      ? &o.mass
         : name == "scale"     ? &o.scale
         : name == "ridge"     ? &o.ridge
                               : nullptr;
}

template <class Options>
std::optional<Index>* find_count(Options& o, std::string_view name) {
  if (name == "neighbors") return &o.neighbors;
  if (name == "window") return &o.window;
  return nullptr;
}

inline Index whole_number(const std::string& name, double value) {
  constexpr double most = sizeof(Index) < 8 ? 2147483647.0 : 9007199254740992.0;  // 2^53: all below are exact in double
  require(is_finite(value) && std::abs(value) <= most && value == std::floor(value), "OperatorOptions: ", name,
          " must be a whole number of at most ", most, ", got ", value);
  return static_cast<Index>(value);
}

template <class Options>
void put_option(Options& o, const std::string& name, const std::string& value) {
  if (std::string* const choice = find_choice(o, name)) {
    *choice = value;
    return;
  }
  std::optional<double>* const fraction = find_fraction(o, name);
  std::optional<Index>* const count = find_count(o, name);
  require(fraction || count, "OperatorOptions::parse: there is no option '", name, "'");
  std::istringstream stream(value);
  stream.imbue(std::locale::classic());
  double number = 0;
  stream >> number;
  require(!stream.fail() && stream.peek() == std::istringstream::traits_type::eof(), "OperatorOptions::parse: ", name,
          " must be a number, got '", value, "'");
  if (fraction) {
    *fraction = number;
  } else {
    *count = whole_number(name, number);
  }
}

template <class Options>
Options parse_options(std::string_view text) {
  constexpr std::string_view spaces = " \t\r\n";
  Options options;
  std::string seen = " ";
  while (true) {
    const std::size_t begin = text.find_first_not_of(spaces);
    if (begin == std::string_view::npos) break;
    const std::string_view option = text.substr(begin, text.find_first_of(spaces, begin) - begin);
    text.remove_prefix(begin + option.size());
    const std::size_t equals = option.find('=');
    const std::string name(option.substr(0, equals));
    require(equals != std::string_view::npos, "OperatorOptions::parse: options are name=value, got '", name, "'");
    require(seen.find(' ' + name + ' ') == std::string::npos, "OperatorOptions::parse: ", name, " is given twice");
    seen += name + ' ';
    put_option(options, name, std::string(option.substr(equals + 1)));
  }
  options.validate();
  return options;
}

template <class Options>
void set_option(Options& o, std::string_view name, double value) {
  Options changed = o;
  std::optional<double>* const fraction = find_fraction(changed, name);
  std::optional<Index>* const count = find_count(changed, name);
  require((fraction && (*fraction || fraction == &changed.scale)) || (count && *count),
          "OperatorOptions::set: the operator has no number '", std::string(name), "'");
  if (fraction) {
    *fraction = value;
  } else {
    *count = whole_number(std::string(name), value);
  }
  changed.validate();
  o = changed;
}

template <class Options>
std::string fractions(const Options& o) {
  std::string all;
  for (const char* const name : {"exponent", "alpha", "bandwidth", "mass", "scale", "ridge"}) {
    const std::optional<double>& value = *find_fraction(o, name);
    if (!value) continue;
    if (!all.empty()) all += ' ';
    std::string digits;
    MessagePart(*value).append_to(digits);
    all += o.named(name, digits);
  }
  return all;
}

template <class Options, class Names>
void require_known(const Options& o, const char* option, const std::string& name, const Names& names) {
  for (const char* const one : names) {
    if (name == one) return;
  }
  std::string all;
  for (const char* const one : names) all += (all.empty() ? "" : ", ") + std::string(one);
  fail({"OperatorOptions: ", std::string(o.named(option)), " must be one of ", all, "; got '", name, "'"});
}

template <class Spelled>
void require_belongs(bool wanted, bool given, const Spelled& option, const Spelled& to) {
  require(!wanted || given, "OperatorOptions: ", to, " needs ", option);
  require(wanted || !given, "OperatorOptions: ", option, " goes with ", to, " only");
}

template <class Options>
void require_positive(const Options& o, const char* option, const std::optional<double>& value) {
  require(!value || (*value > 0 && is_finite(*value)), "OperatorOptions: ", o.named(option),
          " must be positive and finite, got ", value.value_or(0));
}

template <class Options>
void require_count(const Options& o, const char* option, const std::optional<Index>& value) {
  require(!value || *value >= 1, "OperatorOptions: ", o.named(option), " must be at least 1, got ", value.value_or(0));
}

template <class Options>
void check_similarity_options(const Options& o) {
  require_known(o, "similarity", o.similarity, Options::similarities);
  if (!o.scale) return;
  require(is_finite(*o.scale), "OperatorOptions: ", o.named("scale"), " must be finite, got ", *o.scale);
  require(o.similarity == "dot" || *o.scale > 0, "OperatorOptions: ", o.named("scale"), " must be positive with ",
          o.named("similarity", o.similarity), ", got ", *o.scale);
}

template <class Options>
void check_mask_options(const Options& o) {
  require_known(o, "mask", o.mask, Options::masks);
  require_belongs(o.mask == "window", o.window.has_value(), o.named("window"), o.named("mask", "window"));
  require_count(o, "window", o.window);
}

template <class Options>
void check_mix_options(const Options& o) {
  require_known(o, "mix", o.mix, Options::mixes);
  const bool fits = o.mix != "constant";
  require_belongs(fits, fits || o.ridge, o.named("ridge"), o.named("mix", "linear, quadratic or cubic"));
  require_positive(o, "ridge", o.ridge);
}

template <class Options>
void check_pairs(const Options& o) {
  const bool compact = o.kernel != "gaussian" && o.kernel != "uniform";
  require(o.kernel != "uniform" || o.normalization != "adaptive", "OperatorOptions: ", o.named("kernel", o.kernel), " has no ",
          o.named("normalization", o.normalization), ": its profile jumps; use fixed, anchored or nearest");
  require(o.similarity != "dot" || (o.normalization != "fixed" && o.normalization != "unnormalized"), "OperatorOptions: ",
          o.named("normalization", o.normalization), " compares distances and ", o.named("similarity", o.similarity),
          " is none; use cosine or euclidean");
  require(o.similarity != "dot" || o.normalization != "nearest" || !compact, "OperatorOptions: ",
          o.named("normalization", o.normalization), " takes the bandwidth of ", o.named("kernel", o.kernel),
          " from distances and ", o.named("similarity", o.similarity), " is none; use cosine or euclidean, or ",
          o.named("kernel", "gaussian or uniform"));
}

template <class Options>
void check_options(const Options& o) {
  require_known(o, "kernel", o.kernel, Options::kernels);
  require_known(o, "normalization", o.normalization, Options::normalizations);
  const bool polynomial = o.kernel == "polynomial";
  require(!polynomial || o.exponent || o.alpha, "OperatorOptions: ", o.named("kernel", "polynomial"), " needs ",
          o.named("exponent"), " or ", o.named("alpha"));
  require(polynomial || (!o.exponent && !o.alpha), "OperatorOptions: ", o.named("exponent"), " or ", o.named("alpha"),
          " goes with ", o.named("kernel", "polynomial"), " only");
  require(!o.exponent || !o.alpha, "OperatorOptions: ", o.named("exponent"), " and ", o.named("alpha"),
          " are one parameter; give one of them");
  const bool unnormalized = o.normalization == "unnormalized";
  require_belongs(unnormalized || o.normalization == "fixed" || o.normalization == "anchored", o.bandwidth.has_value(),
                  o.named("bandwidth"), o.named("normalization", "fixed, anchored or unnormalized"));
  require_belongs(unnormalized, unnormalized || o.mass, o.named("mass"), o.named("normalization", "unnormalized"));
  require_belongs(o.normalization == "nearest", o.neighbors.has_value(), o.named("neighbors"),
                  o.named("normalization", "nearest"));
  require_positive(o, "exponent", o.exponent);
  require(!o.alpha || (*o.alpha > 1 && is_finite(*o.alpha)), "OperatorOptions: ", o.named("alpha"),
          " must be finite and exceed 1 (alpha 1 is ", o.named("kernel", "gaussian"), "), got ", o.alpha.value_or(0));
  require_positive(o, "bandwidth", o.bandwidth);
  require_positive(o, "mass", o.mass);
  require_count(o, "neighbors", o.neighbors);
  check_similarity_options(o);
  check_mask_options(o);
  check_mix_options(o);
  check_pairs(o);
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
