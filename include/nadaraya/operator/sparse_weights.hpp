// The weights of a head as a sparse matrix.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/instances.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <limits>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace Eigen {

template <class Scalar, int Options, class StorageIndex>
class SparseMatrix;

}  // namespace Eigen

namespace nadaraya::detail {

/// Fills a matrix of the right size, row by row. Throws std::invalid_argument if there are more than 2^31 - 1 weights.
template <class Scalar, class Weights>
void fill_with_weights(const engine::Problem<Scalar>& problem, const engine::Execution<Scalar>& execution, Weights& weights) {
  constexpr std::size_t most = (std::numeric_limits<KeyIndex>::max)();
  std::size_t total = 0;
  Index row = 0;
  engine::weigh<Scalar>(problem, execution, [&](std::span<const KeyIndex> support, std::span<const Scalar> p) {
    total += support.size();
    require(total <= most, "NadarayaWatson::weights: query ", shape(problem.query->matrix()), " and key ",
            shape(problem.key->matrix()), " have more than 2^31 - 1 weights");
    weights.startVec(row);
    for (std::size_t j = 0; j < support.size(); ++j) weights.insertBack(row, support[j]) = p[j];
    ++row;
  });
  weights.finalize();
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
