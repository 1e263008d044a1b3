// The weights of all heads, as a file and as a picture.
#pragma once

#include "problem.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace program {

/// The bytes of a .npz file that scipy.sparse.load_npz reads as a csr_matrix.
std::string npz(const Weights& weights);

/// The bytes of an .svg file: the weights of one head, the first of `queries` rows from `first` on, dark where they are large.
/// Throws UsageError, which begins with `what`, where gnuplot is missing or fails.
std::string picture(const Weights& weights, Index first, Index queries, const std::string& title, const std::string& what);

}  // namespace program
