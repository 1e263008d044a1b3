// The engine as nadaraya::compiled compiles it: included by the library's sources alone, each with NADARAYA_SOURCE_SCALAR
// defined as the scalar it is for.
#include "nadaraya/engine/definitions.hpp"

#include "nadaraya/detail/precise.hpp"

#define NADARAYA_INSTANTIATE template
#define NADARAYA_SCALAR NADARAYA_SOURCE_SCALAR
#include "nadaraya/engine/instances.ipp"
#undef NADARAYA_SCALAR
#undef NADARAYA_INSTANTIATE

#include "nadaraya/detail/end_precise.hpp"
