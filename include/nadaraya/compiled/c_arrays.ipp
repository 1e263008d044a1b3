// Arrays of the C interface as the library's views.
#pragma once

#include "nadaraya/compiled/c_calls.ipp"

#include "nadaraya/detail/check.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/head_view.hpp"
#include "nadaraya/types.hpp"

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::c {

template <class Scalar>
inline constexpr std::int32_t type_of = sizeof(Scalar) == sizeof(float) ? NADARAYA_FLOAT32 : NADARAYA_FLOAT64;

/// visit(zero of the scalar).
template <class Visit>
decltype(auto) with_scalar(std::int32_t type, const Visit& visit) {
  detail::require(type == NADARAYA_FLOAT32 || type == NADARAYA_FLOAT64,
                  "c: type must be NADARAYA_FLOAT32 or NADARAYA_FLOAT64, got ", type);
  return type == NADARAYA_FLOAT32 ? visit(float{}) : visit(double{});
}

/// For messages, which are put together only when they are needed.
template <class Array>
detail::HeadShape shape_of(const Array& array) {
  return {array.shape[0], array.shape[1], array.shape[2], array.shape[3]};
}

/// Throws unless an index of any element, in bytes, can be computed in signed arithmetic.
template <class Array>
void require_sizes(const Array& array, const char* name) {
  constexpr std::int64_t most = (std::numeric_limits<std::ptrdiff_t>::max)() / 8;
  std::int64_t elements = 1, reach = 1;
  bool empty = false;
  for (int d = 0; d < 4; ++d) {
    const std::int64_t size = array.shape[d], stride = array.strides[d];
    detail::require(size >= 0, "c: ", name, " must not have negative sizes, got ", shape_of(array));
    empty = empty || size == 0;
    if (size == 0) continue;
    detail::require(size <= most / elements, "c: ", name, ' ', shape_of(array), " has too many elements");
    elements *= size;
    if (size == 1) continue;
    detail::require(stride >= -most && stride <= most && std::llabs(stride) <= (most - reach) / (size - 1), "c: ", name, ' ',
                    shape_of(array), " has a stride that is too large, ", stride);
    reach += std::llabs(stride) * (size - 1);
  }
  detail::require(empty || array.data != nullptr, "c: ", name, ' ', shape_of(array), " has no data");
}

/// The view of an array, const of an input's, whose type must be that of the scalar.
template <class Scalar, class Array>
auto view(const Array* pointer, const char* name) {
  using Element = std::conditional_t<std::is_same_v<Array, nadaraya_input>, const Scalar, Scalar>;
  const Array& array = deref(pointer, name);
  detail::require(array.type == type_of<Scalar>, "c: all arrays must have one type; ", name, " has type ", array.type,
                  ", expected ", type_of<Scalar>);
  require_sizes(array, name);
  detail::require(reinterpret_cast<std::uintptr_t>(array.data) % alignof(Scalar) == 0, "c: the data of ", name,
                  " must be aligned to its elements");
  return HeadView<Element>(static_cast<Element*>(array.data), array.shape[0], array.shape[1], array.shape[2], array.shape[3],
                           {array.strides[0], array.strides[1], array.strides[2], array.strides[3]});
}

}  // namespace nadaraya::c

#include "nadaraya/detail/end_precise.hpp"
