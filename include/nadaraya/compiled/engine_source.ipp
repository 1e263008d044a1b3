// The engine and the tables of loops, as nadaraya::compiled compiles them: included by the library's sources alone, each with
// NADARAYA_SOURCE_SCALAR defined as the scalar it is for.
#include "nadaraya/engine/definitions.hpp"
#include "nadaraya/loops/tiers.hpp"

#include "nadaraya/detail/precise.hpp"

#define NADARAYA_INSTANTIATE template
#define NADARAYA_SCALAR NADARAYA_SOURCE_SCALAR
#include "nadaraya/engine/instances.ipp"
#undef NADARAYA_SCALAR
#undef NADARAYA_INSTANTIATE

template const nadaraya::engine::LoopTable<NADARAYA_SOURCE_SCALAR>& nadaraya::engine::chosen_loops<NADARAYA_SOURCE_SCALAR>();
template const nadaraya::engine::BackwardLoops<NADARAYA_SOURCE_SCALAR>&
nadaraya::engine::chosen_loops<NADARAYA_SOURCE_SCALAR, nadaraya::engine::BackwardLoops>();
template const nadaraya::engine::FitLoops<NADARAYA_SOURCE_SCALAR>&
nadaraya::engine::chosen_loops<NADARAYA_SOURCE_SCALAR, nadaraya::engine::FitLoops>();
template const nadaraya::engine::SplitLoops<NADARAYA_SOURCE_SCALAR>&
nadaraya::engine::chosen_loops<NADARAYA_SOURCE_SCALAR, nadaraya::engine::SplitLoops>();
template const nadaraya::engine::ColumnLoops<NADARAYA_SOURCE_SCALAR>&
nadaraya::engine::chosen_loops<NADARAYA_SOURCE_SCALAR, nadaraya::engine::ColumnLoops>();

#include "nadaraya/detail/end_precise.hpp"
