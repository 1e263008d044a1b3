// The engine for those who call it: with its definitions or, where NADARAYA_COMPILED is defined, from the library that
// holds it for float and double (CMake target nadaraya::compiled).
#pragma once

#include "nadaraya/engine/engine.hpp"

#if !defined(NADARAYA_COMPILED)
#include "nadaraya/engine/definitions.hpp"
#endif

#include "nadaraya/detail/precise.hpp"

#if defined(NADARAYA_COMPILED)
#define NADARAYA_INSTANTIATE extern template
#define NADARAYA_SCALAR float
#include "nadaraya/engine/instances.ipp"
#undef NADARAYA_SCALAR
#define NADARAYA_SCALAR double
#include "nadaraya/engine/instances.ipp"
#undef NADARAYA_SCALAR
#undef NADARAYA_INSTANTIATE
#endif

namespace nadaraya::engine {

/// Says what to include where the library does not hold the engine for the scalar and its definitions are missing.
template <class Scalar>
constexpr bool check_compiled() {
  static_assert(vectorized<Scalar> || requires { sizeof(BlockScratch<Scalar>); },
                "with the compiled library, include <nadaraya/definitions.hpp> for a scalar other than float and double");
  return true;
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
