// Rows without missing values.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/math.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Data without the rows in which a value is missing.
struct CompleteRows {
  RowMatrix<double> x;         ///< [n x Dx]
  RowMatrix<double> y;         ///< [n x Dy]
  std::vector<Index> kept;     ///< their rows in the data, ascending
  std::vector<Index> dropped;  ///< the others, ascending
};

/// Drops the rows of x [N x Dx] and y [N x Dy] in which a value is NaN. Infinite values stay, and are refused by a fit.
/// Select weights and factors by `kept`.
template <RealExpression X, RealExpression Y>
CompleteRows complete_rows(const X& x, const Y& y) {
  detail::require(x.rows() == y.rows(), "complete_rows: x and y must have the same number of rows, got ",
                  detail::shape(x), " and ", detail::shape(y));
  CompleteRows result;
  for (Index i = 0; i < x.rows(); ++i) {
    bool complete = true;
    for (Index d = 0; d < x.cols(); ++d) complete = complete && !detail::is_nan(x(i, d));
    for (Index d = 0; d < y.cols(); ++d) complete = complete && !detail::is_nan(y(i, d));
    (complete ? result.kept : result.dropped).push_back(i);
  }
  const auto rows = static_cast<Index>(result.kept.size());
  result.x.resize(rows, x.cols());
  result.y.resize(rows, y.cols());
  for (Index i = 0; i < rows; ++i) {
    const Index row = result.kept[static_cast<std::size_t>(i)];
    for (Index d = 0; d < x.cols(); ++d) result.x(i, d) = static_cast<double>(x(row, d));
    for (Index d = 0; d < y.cols(); ++d) result.y(i, d) = static_cast<double>(y(row, d));
  }
  return result;
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
