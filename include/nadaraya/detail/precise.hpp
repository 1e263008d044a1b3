// Opens a region of IEEE arithmetic, whatever -ffast-math and its parts (-Ofast,
// -funsafe-math-optimizations, -fassociative-math, -ffinite-math-only, ...) allow elsewhere. Rounding by a large
// constant, compensated sums, bounds that rely on the order of operations, and tests for NaN need it. Every header
// with code opens one after its includes and closes it with detail/end_precise.hpp, so that the options of the
// includer hold for the includer's own code, and translation units with other options share the same functions.
//
// No include guard: one inclusion opens one region.

#if defined(__clang__)
#pragma float_control(push)
#pragma float_control(precise, on)
#elif defined(__GNUC__) && defined(__GCC_IEC_559) && __GCC_IEC_559 == 0
#pragma GCC push_options
#pragma GCC optimize("no-unsafe-math-optimizations,no-associative-math,no-reciprocal-math,no-finite-math-only,signed-zeros,trapping-math")
#endif
