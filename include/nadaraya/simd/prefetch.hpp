// Asking for memory ahead of its use.
#pragma once

#include "nadaraya/detail/inline.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::simd {

/// Prefetches the cache line of an address, which need not be readable.
NADARAYA_INLINE void prefetch([[maybe_unused]] const void* address) {
#if defined(__GNUC__) || defined(__clang__)
  __builtin_prefetch(address);
#endif
}

}  // namespace nadaraya::simd

#include "nadaraya/detail/end_precise.hpp"
