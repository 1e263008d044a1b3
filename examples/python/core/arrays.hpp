// Arrays of Python as the library reads and writes them.
#pragma once

#include "../../support/usage.hpp"

#include <nadaraya/head_view.hpp>
#include <nadaraya/types.hpp>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace binding {

namespace nb = nanobind;
using nadaraya::HeadView;
using nadaraya::Index;

using Input = nb::ndarray<nb::ro>;
using Output = nb::ndarray<>;
using Shape = std::vector<std::size_t>;

inline std::string text(const Shape& shape) {
  std::string result = "[";
  for (std::size_t d = 0; d < shape.size(); ++d) result += (d == 0 ? "" : ", ") + std::to_string(shape[d]);
  return result + "]";
}

template <class Array>
Shape shape_of(const Array& array) {
  Shape shape;
  for (std::size_t d = 0; d < array.ndim(); ++d) shape.push_back(array.shape(d));
  return shape;
}

template <class Array>
std::string dtype_name(const Array& array) {
  static const char* const kinds[] = {"int", "uint", "float", "opaque", "bfloat", "complex", "bool"};
  const auto code = array.dtype().code;
  const std::string kind = code < std::size(kinds) ? kinds[code] : "float";
  return kind == "bool" ? kind : kind + std::to_string(array.dtype().bits);
}

template <class T>
nb::dlpack::dtype dtype_of() {
  if constexpr (std::is_same_v<T, Eigen::half>)
    return {static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float), 16, 1};
  if constexpr (std::is_same_v<T, Eigen::bfloat16>)
    return {static_cast<std::uint8_t>(nb::dlpack::dtype_code::Bfloat), 16, 1};
  if constexpr (!std::is_same_v<T, Eigen::half> && !std::is_same_v<T, Eigen::bfloat16>) return nb::dtype<T>();
}

template <class T, class Array>
bool holds(const Array& array) {
  return array.dtype() == dtype_of<T>();
}

template <class Array>
bool holds_16_bits(const Array& array) {
  return holds<Eigen::half>(array) || holds<Eigen::bfloat16>(array);
}

[[noreturn]] inline void refuse_type(const std::string& message) { throw nb::type_error(message.c_str()); }

namespace detail {

/// An array of NumPy with the bfloat16 of the package ml_dtypes, which NumPy hands out neither as a buffer nor by
/// DLPack.
template <class Array>
std::optional<Array> bfloat16_of_numpy(nb::handle object) {
  if (nb::cast<std::string>(nb::str(nb::getattr(object, "dtype", nb::none()))) != "bfloat16") return std::nullopt;
  Array bits;
  if (!nb::hasattr(object, "view") || !nb::try_cast<Array>(object.attr("view")("uint16"), bits, false))
    return std::nullopt;
  return Array(bits.data(), bits.ndim(), shape_of(bits).data(), object, bits.stride_ptr(), dtype_of<Eigen::bfloat16>());
}

template <class Array>
bool converts(nb::handle object, Array& array) {
  if (object.is_none()) return false;
  if (nb::try_cast<Array>(object, array, false) && array.is_valid()) return true;
  const auto numbers = bfloat16_of_numpy<Array>(object);
  if (numbers) array = *numbers;
  return numbers.has_value();
}

template <class Array>
Array array_of(const char* name, nb::handle object, const char* kind) {
  Array array;
  if (!converts(object, array)) {
    refuse_type(std::string(name) + " must be " + kind +
                " on the CPU, of NumPy or with __dlpack__ (detach a tensor that requires a gradient), got " +
                nb::cast<std::string>(nb::str(object.type().attr("__name__"))));
  }
  if (array.device_type() != nb::device::cpu::value) {
    refuse_type(std::string(name) + " must be on the CPU, got an array on DLPack device type " +
                std::to_string(array.device_type()) + "; copy it to the CPU first");
  }
  const std::size_t size = array.itemsize();
  if (size > 0 && reinterpret_cast<std::uintptr_t>(array.data()) % (std::min)(size, alignof(std::max_align_t)) != 0) {
    program::refuse(std::string(name) + " must be aligned to its " + std::to_string(size) + " byte elements");
  }
  return array;
}

}  // namespace detail

/// An argument that is read, on the CPU. Refers to its memory and keeps it alive.
inline Input input(const char* name, nb::handle object) { return detail::array_of<Input>(name, object, "an array"); }

/// An argument that is written.
inline Output output(const char* name, nb::handle object) {
  return detail::array_of<Output>(name, object, "a writable array");
}

/// An argument as messages name it.
struct Named {
  const char* name;
  const Input* array;
};

/// Refuses arrays whose dtype differs from the first one's.
inline void check_same_dtype(std::initializer_list<Named> arrays) {
  const Named& first = *arrays.begin();
  for (const Named& other : arrays) {
    if (other.array->dtype() != first.array->dtype()) {
      refuse_type(std::string(first.name) + " and " + other.name + " must have the same dtype, got " +
                  dtype_name(*first.array) + " and " + dtype_name(*other.array));
    }
  }
}

/// Refuses arrays whose dtype is neither float32 nor float64, or differs from the first one's.
inline void check_dtypes(std::initializer_list<Named> arrays) {
  const Named& first = *arrays.begin();
  if (!holds<float>(*first.array) && !holds<double>(*first.array)) {
    refuse_type(std::string(first.name) + " must be float32 or float64, got " + dtype_name(*first.array));
  }
  check_same_dtype(arrays);
}

/// The same where 16 bits may be stored, of which the results are float32.
inline void check_stored_dtypes(std::initializer_list<Named> arrays) {
  const Named& first = *arrays.begin();
  if (!holds<float>(*first.array) && !holds<double>(*first.array) && !holds_16_bits(*first.array)) {
    refuse_type(std::string(first.name) + " must be float32, float64, bfloat16 or float16, got " +
                dtype_name(*first.array));
  }
  check_same_dtype(arrays);
}

/// visit(Scalar()) for the scalar of an array that check_dtypes has let pass.
template <class Visit>
auto with_scalar(const Input& array, const Visit& visit) {
  return holds<float>(array) ? visit(float()) : visit(double());
}

/// visit(T()) for what an array stores that check_stored_dtypes has let pass.
template <class Visit>
auto with_stored(const Input& array, const Visit& visit) {
  if (holds<Eigen::bfloat16>(array)) return visit(Eigen::bfloat16());
  if (holds<Eigen::half>(array)) return visit(Eigen::half());
  return with_scalar(array, visit);
}

/// [N, D], [H, N, D] or [B, H, N, D] as batch, heads, tokens and dim; a missing one has size 1.
template <class T, class Array>
HeadView<T> head_view(const Array& array) {
  Index shape[4] = {1, 1, 1, 1}, strides[4] = {0, 0, 0, 0};
  const std::size_t missing = 4 - array.ndim();
  for (std::size_t d = 0; d < array.ndim(); ++d) {
    shape[missing + d] = static_cast<Index>(array.shape(d));
    strides[missing + d] = static_cast<Index>(array.stride(d));
  }
  return HeadView<T>(static_cast<T*>(array.data()), shape[0], shape[1], shape[2], shape[3],
                     {strides[0], strides[1], strides[2], strides[3]});
}

/// Some entries of the batch.
template <class T>
HeadView<T> entries(const HeadView<T>& view, Index first, Index count) {
  return HeadView<T>(view.data() + first * view.strides().batch, count, view.heads(), view.tokens(), view.dim(),
                     view.strides());
}

/// numpy.<name>, never released: for names looked up once.
inline nb::handle numpy(const char* name) { return nb::object(nb::module_::import_("numpy").attr(name)).release(); }

template <class T>
nb::handle numpy_dtype() {
  static const nb::handle dtype = numpy(std::is_same_v<T, float>          ? "float32"
                                        : std::is_same_v<T, double>       ? "float64"
                                        : std::is_same_v<T, std::int32_t> ? "int32"
                                                                          : "int64");
  return dtype;
}

/// A new array of NumPy. Its elements are not initialized.
template <class T>
struct NewArray {
  nb::object object;
  Output array;

  explicit NewArray(const Shape& shape) {
    static const nb::handle empty = numpy("empty");
    nb::list sizes;
    for (const std::size_t size : shape) sizes.append(size);
    object = empty(nb::tuple(sizes), numpy_dtype<T>());
    array = nb::cast<Output>(object);
  }

  T* data() const { return static_cast<T*>(array.data()); }
};

template <class T>
nb::object copied(const std::vector<T>& numbers) {
  const NewArray<T> array({numbers.size()});
  std::copy(numbers.begin(), numbers.end(), array.data());
  return array.object;
}

}  // namespace binding
