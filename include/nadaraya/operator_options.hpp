// The names and numbers by which a program lets its user choose an operator.
#pragma once

#include "nadaraya/operator/option_checks.hpp"
#include "nadaraya/types.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// How messages spell an option and its value: as the user has written them.
struct OptionSpelling {
  const char* before_name;   ///< "--" on a command line
  const char* before_value;  ///< " ", or "="

  static const OptionSpelling assignment;    ///< kernel=biweight, as OperatorOptions::parse reads it
  static const OptionSpelling command_line;  ///< --kernel biweight
  static const OptionSpelling keyword;       ///< kernel biweight, for functions whose arguments have names
};

inline constexpr OptionSpelling OptionSpelling::assignment{"", "="};
inline constexpr OptionSpelling OptionSpelling::command_line{"--", " "};
inline constexpr OptionSpelling OptionSpelling::keyword{"", " "};

/// An option, with a value or without, as messages name it.
struct SpelledOption {
  OptionSpelling spelling;      ///< How it is written.
  const char* option;           ///< its name
  std::string_view value = {};  ///< empty: the name alone

  /// As text.
  operator std::string() const {
    std::string text = spelling.before_name;
    text += option;
    if (!value.empty()) text += spelling.before_value;
    return text += value;
  }
};

/// The policies of an operator by name, and their numbers. make_operator.hpp turns them into an operator.
struct OperatorOptions {
  /// What kernel may be.
  static constexpr std::array kernels{"epanechnikov", "biweight", "triweight", "polynomial", "gaussian", "uniform"};
  /// What normalization may be.
  static constexpr std::array normalizations{"adaptive", "fixed", "anchored", "nearest", "unnormalized"};
  static constexpr std::array similarities{"dot", "cosine", "euclidean"};           ///< what similarity may be
  static constexpr std::array masks{"none", "causal", "strictly-causal", "window"};  ///< what mask may be
  static constexpr std::array mixes{"constant", "linear", "quadratic", "cubic"};     ///< what mix may be

  OptionSpelling spelling = OptionSpelling::assignment;  ///< how messages write options
  std::string kernel = {};                               ///< one of kernels; there is no default
  std::string normalization = "adaptive";                ///< one of normalizations
  std::string similarity = "dot";                        ///< one of similarities
  std::string mask = "none";                             ///< one of masks
  std::string mix = "constant";                          ///< one of mixes: the degree of the fit to the values of a support
  std::optional<double> exponent = {};   ///< r > 0, of the polynomial kernel
  std::optional<double> alpha = {};      ///< 1 + 1/r, in place of the exponent
  std::optional<double> bandwidth = {};  ///< of fixed, anchored and unnormalized
  std::optional<double> mass = {};       ///< of unnormalized, default 1
  std::optional<double> scale = {};      ///< of the similarity, default 1/sqrt(D) for dot, 1 for others
  std::optional<double> ridge = {};      ///< of the mixes but constant, default that of LocalLinear
  std::optional<Index> neighbors = {};   ///< of nearest
  std::optional<Index> window = {};      ///< of the mask window

  /// From "name=value name=value ..." with numbers as in C, whatever the locale. Throws std::invalid_argument if a name or
  /// value is unknown, given twice, missing or does not belong to the others.
  static OperatorOptions parse(std::string_view text) { return detail::parse_options<OperatorOptions>(text); }

  /// Changes a number that is there already, or the scale. Throws std::invalid_argument for any other number and for a value
  /// that it cannot be; then nothing has changed.
  void set(std::string_view name, double value) { detail::set_option(*this, name, value); }

  /// Throws std::invalid_argument for options that are unknown, missing, out of range or do not belong together.
  void validate() const { detail::check_options(*this); }
  /// The same for the similarity alone.
  void validate_similarity() const { detail::check_similarity_options(*this); }
  /// The same for the mask alone.
  void validate_mask() const { detail::check_mask_options(*this); }

  /// An option as messages name it, and with its value.
  SpelledOption named(const char* option, std::string_view value = {}) const { return {spelling, option, value}; }
  /// The numbers that are fractions, as messages name them: "--bandwidth 0.5 --scale 2".
  std::string fractions() const { return detail::fractions(*this); }
};

#if defined(NADARAYA_COMPILED)
namespace detail {
extern template OperatorOptions parse_options(std::string_view);
extern template void set_option(OperatorOptions&, std::string_view, double);
extern template void check_similarity_options(const OperatorOptions&);
extern template void check_mask_options(const OperatorOptions&);
extern template void check_options(const OperatorOptions&);
extern template std::string fractions(const OperatorOptions&);
}  // namespace detail
#endif

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
