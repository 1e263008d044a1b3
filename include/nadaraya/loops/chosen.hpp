// The table of loops of this machine for those who call loops without compiling them.
#pragma once

#include "nadaraya/loops/table.hpp"

#if !defined(NADARAYA_COMPILED)
#include "nadaraya/loops/tiers.hpp"
#endif

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// loops<Scalar>(), of float and double; defined in loops/tiers.hpp. Not inline, so that `extern template` keeps the loops
/// from being compiled again: where NADARAYA_COMPILED is defined, they are the library's.
template <class Scalar>
const LoopTable<Scalar>& chosen_loops();

#if defined(NADARAYA_COMPILED)
extern template const LoopTable<float>& chosen_loops<float>();
extern template const LoopTable<double>& chosen_loops<double>();
#endif

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
