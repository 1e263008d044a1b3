// The same names from Catch2 3 and from Catch2 2.13, which Debian 12 ships.
#pragma once

#include <string>

#if __has_include(<catch2/catch_test_macros.hpp>)

#include <catch2/catch_message.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/catch_tostring.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace catch_shim {

/// The base of a matcher: override `bool match(const T&) const` and `std::string describe() const`.
template <class T>
using Matcher = Catch::Matchers::MatcherBase<T>;

/// Matches a string that contains `text`.
inline auto contains(const std::string& text) { return Catch::Matchers::ContainsSubstring(text); }

}  // namespace catch_shim

#else

#include <catch2/catch.hpp>

namespace catch_shim {

/// The base of a matcher: override `bool match(const T&) const` and `std::string describe() const`.
template <class T>
using Matcher = Catch::MatcherBase<T>;

/// Matches a string that contains `text`.
inline auto contains(const std::string& text) { return Catch::Matchers::Contains(text); }

}  // namespace catch_shim

#endif
