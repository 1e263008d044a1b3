// Where screening makes a call faster.
#pragma once

#include "nadaraya/simd/int_dot_isa.hpp"
#include "nadaraya/types.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// With fewer columns the products cost less than the bookkeeping.
inline constexpr Index least_screened_cols = 16;

/// Queries of a head that are scored to find out whether it is worth screening.
inline constexpr Index sampled_queries = 12;

/// Thresholds from which screening is faster with this machine's products, as measured.
struct ScreeningNeeds {
  Index keys;            ///< at least, of a head
  double fixed;          ///< keys whose scores cost what quantizing queries and keys costs, for a query of a block
  double per_candidate;  ///< keys ruled out for one that has to be scored
};

/// Products of words save less of the time of floats than those of bytes.
inline ScreeningNeeds screening_needs() {
  return simd::int_dot_isa() == simd::IntDotIsa::avx2 ? ScreeningNeeds{1024, 0, 16} : ScreeningNeeds{320, 265, 9};
}

/// True if screening is faster for queries with `cols` columns on this machine.
inline bool worth_screening(Index cols) {
  return simd::int_dot_isa() != simd::IntDotIsa::plain && cols >= least_screened_cols;
}

/// True if it is for that number of queries and keys of a head. Quantizing keys costs what scoring some dozen queries does.
inline bool worth_screening(Index queries, Index keys, Index cols) {
  return worth_screening(cols) && queries >= 32 && keys >= screening_needs().keys;
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
