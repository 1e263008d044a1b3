// How a similarity is bounded by a product.
#pragma once

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// An upper bound of a similarity: z(q, k) <= product q.k + key_norm |k|^2 + constant.
template <class Scalar>
struct ProductBound {
  Scalar product{1};  ///< of q.k
  Scalar key_norm{0};  ///< of |k|^2
  Scalar constant{0};  ///< for all keys of a query
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
