// What a regression says about a set of queries.
#pragma once

#include "nadaraya/types.hpp"

#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// What a regression says about a set of queries.
template <class Scalar>
struct Prediction {
  RowMatrix<Scalar> values;       ///< [Nq x Dy]; a row of zeros where no point is within the bandwidth
  std::vector<Index> empty_rows;  ///< those rows, ascending: there the data say nothing
  double mean_support = 0;        ///< points with weight, mean over the queries
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
