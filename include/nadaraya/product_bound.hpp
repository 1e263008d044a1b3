// How a similarity is bounded by a product.
#pragma once

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// z(q, k) <= product q.k + key_norm |k|^2 + constant.
template <class Scalar>
struct ProductBound {
  Scalar product{1};
  Scalar key_norm{0};
  Scalar constant{0};
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
