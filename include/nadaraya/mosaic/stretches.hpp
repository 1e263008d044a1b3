// Sums over many rows, cut into pieces that do not depend on the executor.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/types.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// fn(first, count) for consecutive stretches of n things, `stretch` at a time but for the last. The
/// stretches do not depend on the executor: partial sums over them may be part of a result.
template <class Fn>
void for_stretches(Index n, Index stretch, const AnyExecutor& executor, const Fn& fn) {
  executor.parallel_for((n + stretch - 1) / stretch, [&](Index i) {
    const Index first = i * stretch;
    fn(first, n - first < stretch ? n - first : stretch);
  });
}

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
