// The data of a local regression, checked.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/math.hpp"
#include "nadaraya/mix/mix.hpp"
#include "nadaraya/types.hpp"

#include <limits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// The data of a regression, and the degree of its fits.
struct LocalData {
  RowMatrix<double> x, y;
  Eigen::VectorXd weights;  ///< empty: 1 each
  int degree = 1;
  double ridge = 0;
};

inline void require_finite_rows(const RowMatrix<double>& m, const char* function, const char* name) {
  for (Index i = 0; i < m.rows(); ++i) {
    for (Index d = 0; d < m.cols(); ++d) {
      require(is_finite(m(i, d)), function, ": row ", i, " of ", name, " ", shape(m), " is not finite");
    }
  }
}

/// Throws std::invalid_argument unless local polynomials can be fitted to the data.
inline void require_local_data(const LocalData& data) {
  const Shape x = shape(data.x);
  require(data.x.rows() == data.y.rows() && data.x.rows() >= 1 && data.x.cols() >= 1,
          "LocalRegression: x and y must have the same number of rows, at least 1, and x a column, got ", x, " and ", shape(data.y));
  require(data.x.rows() <= (std::numeric_limits<KeyIndex>::max)(), "LocalRegression: x ", x, " has more than 2^31 - 1 rows");
  require(data.degree >= 0 && data.degree <= 3 && (data.degree <= 1 || data.x.cols() <= 3),
          "LocalRegression: the degree must be 0 to 3, above 1 only for up to 3 columns of x ", x, ", got ", data.degree);
  require_ridge<double>(data.ridge, "LocalRegression");
  require(data.weights.size() == 0 || data.weights.size() == data.x.rows(),
          "LocalRegression: weights must be one for each row of x ", x, ", got ", data.weights.size());
  require_finite_rows(data.x, "LocalRegression", "x");
  require_finite_rows(data.y, "LocalRegression", "y");
  for (Index i = 0; i < data.weights.size(); ++i) {
    require(is_finite(data.weights(i)) && data.weights(i) > 0, "LocalRegression: weight ", i, " must be positive and finite, got ",
            data.weights(i));
  }
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
