// What the user of the program wants.
#pragma once

#include "../support/attention_arrays.hpp"

#include <nadaraya/operator_options.hpp>
#include <nadaraya/sharded/mixing.hpp>
#include <nadaraya/sharded/mpi.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace program {

using Ranks = nadaraya::sharded::MpiRank;

struct Options : ArrayPaths {
  nadaraya::OperatorOptions op{.spelling = nadaraya::OptionSpelling::command_line};
  std::optional<Index> tokens;  ///< of generated keys; without it, arrays of files
  bool model = false, weak_scaling = false, sum_values = false;
  Index calls = 16, dim = 64, value_dim = 64, page = 64, check = 4, most_ranks = 1024, batch = 1;
  std::uint64_t seed = 1;
  int threads = 1;  ///< of each rank
};

inline nadaraya::sharded::Mixing mixing(const Options& o) {
  return o.sum_values ? nadaraya::sharded::Mixing::sum_values : nadaraya::sharded::Mixing::gather_values;
}

}  // namespace program
