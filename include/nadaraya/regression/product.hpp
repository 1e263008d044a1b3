// Product kernels: a factor for each column.
#pragma once

#include "nadaraya/kernel/kernel.hpp"

#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// prod_d kappa(u_d) in place of kappa(|u|), u_d = (x_d - q_d) / h_d: the support of a compact kernel is a box instead
/// of an ellipsoid. For a Gaussian they are the same.
template <Kernel K>
struct Product {
  K kernel = {};                               ///< of each column
  static constexpr bool compact = K::compact;  ///< as the kernel
};

template <class K>
Product(K) -> Product<K>;

namespace detail {

template <class K>
inline constexpr bool is_product = false;
template <class K>
inline constexpr bool is_product<Product<K>> = true;

}  // namespace detail

/// A kernel of the distance, or a product of kernels of the columns.
template <class K>
concept RegressionKernel = detail::is_product<K> || Kernel<K>;

namespace detail {

template <class K>
const auto& factor_of(const K& kernel) {
  if constexpr (is_product<K>) {
    return kernel.kernel;
  } else {
    return kernel;
  }
}

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
