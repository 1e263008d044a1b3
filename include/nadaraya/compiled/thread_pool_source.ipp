// The thread pool as nadaraya::compiled compiles it: included by a source of the library alone.
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/run_on_threads.hpp"

#include "nadaraya/detail/precise.hpp"

template void nadaraya::engine::run_on_threads<nadaraya::Index>(nadaraya::Index, int,
                                                                nadaraya::detail::FunctionRef<void(nadaraya::Index)>);
template void nadaraya::engine::run_on_processors<nadaraya::Index>(nadaraya::Index, int,
                                                                   nadaraya::detail::FunctionRef<void(nadaraya::Index)>);

#include "nadaraya/detail/end_precise.hpp"
