// Regressions, densities and classifiers as nadaraya::compiled compiles them: included by a source of the library alone.
#include "nadaraya/regression/operations.hpp"
#include "nadaraya/regression/operations_definitions.hpp"

#include "nadaraya/detail/precise.hpp"

template struct nadaraya::detail::LocalOperations<double>;

#include "nadaraya/detail/end_precise.hpp"
