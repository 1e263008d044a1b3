// The data of a local regression, checked.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/math.hpp"
#include "nadaraya/mix/mix.hpp"
#include "nadaraya/regression/columns.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <limits>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// The data of a regression, and the degree of its fits.
struct LocalData {
  RowMatrix<double> x, y;
  Eigen::VectorXd weights;  ///< empty: 1 each
  int degree = 1;
  double ridge = 0;
  std::vector<ColumnKind> kinds = {};  ///< of the columns of x; empty: all continuous
  Eigen::VectorXd factors = {};        ///< of the bandwidth of each point; empty: 1 each
  std::vector<Index> rows = {};        ///< at which a criterion is formed, ascending; empty: at all
};

inline void require_finite_rows(const RowMatrix<double>& m, const char* function, const char* name) {
  for (Index i = 0; i < m.rows(); ++i) {
    for (Index d = 0; d < m.cols(); ++d) {
      require(is_finite(m(i, d)), function, ": row ", i, " of ", name, " ", shape(m), " is not finite");
    }
  }
}

inline void require_positive(const Eigen::VectorXd& values, Index rows, const char* function, const char* name) {
  require(values.size() == 0 || values.size() == rows, function, ": ", name, "s must be one for each of ", rows,
          " rows of x, got ", values.size());
  for (Index i = 0; i < values.size(); ++i) {
    require(is_finite(values(i)) && values(i) > 0, function, ": ", name, " ", i, " must be positive and finite, got ",
            values(i));
  }
}

/// Throws std::invalid_argument unless local polynomials can be fitted to the data.
inline void require_local_data(const LocalData& data, const char* function) {
  const Shape x = shape(data.x);
  require(data.x.rows() == data.y.rows() && data.x.rows() >= 1 && data.x.cols() >= 1, function,
          ": x and y must have the same number of rows, at least 1, and x a column, got ", x, " and ", shape(data.y));
  require(data.x.rows() <= (std::numeric_limits<KeyIndex>::max)(), function, ": x ", x, " has more than 2^31 - 1 rows");
  require(data.kinds.empty() || data.kinds.size() == static_cast<std::size_t>(data.x.cols()), function,
          ": columns must have one kind for each column of x ", x, ", got ", data.kinds.size());
  const Index continuous = ColumnOrder(data.kinds, data.x.cols()).continuous();
  require(data.degree >= 0 && data.degree <= 3 && (data.degree <= 1 || continuous <= 3), function,
          ": the degree must be 0 to 3, above 1 only for up to 3 continuous columns of x ", x, ", got ", data.degree);
  require_ridge<double>(data.ridge, function);
  require_positive(data.weights, data.x.rows(), function, "weight");
  require_positive(data.factors, data.x.rows(), function, "factor");
  require_finite_rows(data.x, function, "x");
  require_finite_rows(data.y, function, "y");
}

/// Throws std::invalid_argument unless h > 0 for continuous columns and 0 <= lambda <= 1 for the others.
inline void require_bandwidths(const LocalData& data, const Eigen::VectorXd& bandwidths, const char* function) {
  require(bandwidths.size() == data.x.cols(), function, ": bandwidths must have one element for each column of x ",
          shape(data.x), ", got ", bandwidths.size());
  const ColumnOrder order(data.kinds, data.x.cols());
  for (Index d = 0; d < order.size(); ++d) {
    const double h = bandwidths(order.column(d));
    require(d >= order.continuous() || (h > 0 && is_finite(h)), function, ": bandwidth ", order.column(d),
            " must be positive and finite, got ", h);
    require(d < order.continuous() || (h >= 0 && h <= 1), function, ": bandwidth ", order.column(d),
            " is that of a categorical column and must be from 0 to 1, got ", h);
  }
}

/// Throws std::invalid_argument unless k nearest points are a bandwidth: 1 <= k <= N - 2, continuous columns, no
/// factors.
inline void require_neighbors(const LocalData& data, Index neighbors, const char* function) {
  require(neighbors >= 1 && neighbors + 2 <= data.x.rows(), function, ": neighbors must be from 1 to N - 2 for x ",
          shape(data.x), ", got ", neighbors);
  require(data.factors.size() == 0 && ColumnOrder(data.kinds, data.x.cols()).categorical() == 0, function,
          ": a bandwidth by neighbors takes continuous columns and no factors");
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
