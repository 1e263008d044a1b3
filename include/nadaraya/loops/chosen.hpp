// The loops of this machine.
#pragma once

#include "nadaraya/loops/operands.hpp"
#include "nadaraya/loops/portable.hpp"
#include "nadaraya/loops/table.hpp"

#if !defined(NADARAYA_COMPILED)
#include "nadaraya/loops/tiers.hpp"
#endif

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

#if defined(NADARAYA_COMPILED)
extern template const LoopTable<float>& chosen_loops<float>();
extern template const LoopTable<double>& chosen_loops<double>();
extern template const BackwardLoops<float>& chosen_loops<float, BackwardLoops>();
extern template const BackwardLoops<double>& chosen_loops<double, BackwardLoops>();
extern template const FitLoops<float>& chosen_loops<float, FitLoops>();
extern template const FitLoops<double>& chosen_loops<double, FitLoops>();
extern template const ColumnLoops<float>& chosen_loops<float, ColumnLoops>();
extern template const ColumnLoops<double>& chosen_loops<double, ColumnLoops>();
extern template const SplitLoops<float>& chosen_loops<float, SplitLoops>();
extern template const SplitLoops<double>& chosen_loops<double, SplitLoops>();
#endif

/// The loops without a kernel, by one of the tables: those of this machine's tier, chosen at the first call, or Portable for
/// a scalar without vector loops.
template <class Scalar, template <class> class Table = LoopTable>
const auto& loops() {
  if constexpr (vectorized<Scalar>) {
    static const Table<Scalar>* const chosen = &chosen_loops<Scalar, Table>();
    return *chosen;
  } else {
    static constexpr Portable portable{};
    return portable;
  }
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
