// How values that lie on several ranks become outputs.
#pragma once

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// How the outputs of sparse rows are mixed. Bits do not depend on the sharding either way, but those of the two ways differ.
enum class Mixing {
  gather_values,  ///< values travel with the scores of candidates, and are summed in the order of the keys
  /// Scores alone travel, and ranks add up the weighted sums of their own values, in one round more: for wide values. Where the
  /// bandwidth is fixed, the kernel homogeneous and nothing recorded, no scores travel either, but sums alone. Under a mix such as
  /// LocalLinear, keys travel with the scores.
  sum_values,
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
