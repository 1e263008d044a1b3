// The weights of all heads, as a file and as a picture.
#pragma once

#include "../support/npy.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace program {

/// The weights of all heads in compressed sparse rows, one for each query: of heads, of batch entries.
struct Weights {
  std::ptrdiff_t rows = 0, cols = 0;
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> columns;
  npy::Array values;
};

/// The bytes of a .npz file that scipy.sparse.load_npz reads as a csr_matrix.
std::string npz(const Weights& weights);

/// The bytes of an .svg file: the weights of one head, the first of `queries` rows from `first` on, dark where they are large.
/// Throws UsageError, which begins with `what`, where gnuplot is missing or fails.
std::string picture(const Weights& weights, std::ptrdiff_t first, std::ptrdiff_t queries, const std::string& title,
                    const std::string& what);

}  // namespace program
