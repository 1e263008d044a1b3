// Masks of Python: those that have a name, those that are arrays, and several at once.
#pragma once

#include "arrays.hpp"
#include "numbers.hpp"

#include <nadaraya/any_mask_intersection.hpp>
#include <nadaraya/make_operator.hpp>
#include <nadaraya/mask/additive_bias.hpp>
#include <nadaraya/mask/boolean_mask.hpp>
#include <nadaraya/mask/key_lengths.hpp>
#include <nadaraya/operator_options.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace binding {

using nadaraya::AnyMask;

/// The entries of an array for the pairs of one head.
template <class T>
struct Pairs {
  const T* data;
  Index queries, keys, query_stride, key_stride;

  Index rows() const { return queries; }
  Index cols() const { return keys; }
  auto operator()(Index i, Index j) const {
    const T& entry = data[i * query_stride + j * key_stride];
    if constexpr (std::is_same_v<T, std::uint8_t>) {
      return entry != 0;
    } else {
      return entry;
    }
  }
};

/// The sizes that an array of a mask is for.
struct MaskSizes {
  Index batch, heads, queries, keys;
};

/// One mask of an operator.
struct MaskPart {
  std::string name;
  nadaraya::OperatorOptions options{.spelling = nadaraya::OptionSpelling::keyword};  ///< for one of its masks
  Input array;                       ///< boolean and bias: broadcast to [batch, heads, queries, keys]; key_lengths
  PerHead slopes;                    ///< alibi

  bool of_batch() const { return name == "key_lengths" ? array.ndim() > 0 : size(0) > 1; }
  bool of_heads() const { return name == "alibi" ? slopes.for_each_head() : name != "key_lengths" && size(1) > 1; }

  /// The size of a dimension of [batch, heads, queries, keys] in the array of pairs, 1 where there is none.
  std::size_t size(std::size_t d) const {
    return array.is_valid() && d + array.ndim() >= 4 ? array.shape(d + array.ndim() - 4) : 1;
  }

  /// Throws if an array is not for these sizes.
  void check(const MaskSizes& n) const {
    if (name == "alibi") return slopes.check("alibi", n.heads);
    if (!array.is_valid()) return;
    const Shape shape = shape_of(array);
    if (name == "key_lengths") {
      const bool fits = shape.empty() || (shape.size() <= 2 && static_cast<Index>(shape[0]) == n.batch &&
                                          (shape.size() == 1 || static_cast<Index>(shape[1]) == n.queries));
      if (fits) return;
      program::refuse("key_lengths must be one number, [batch] or [batch, queries] with batch " +
                      std::to_string(n.batch) + " and queries " + std::to_string(n.queries) + ", got " + text(shape));
    }
    const Index sizes[4] = {n.batch, n.heads, n.queries, n.keys};
    for (std::size_t d = 0; d < 4; ++d) {
      if (size(d) == 1 || static_cast<Index>(size(d)) == sizes[d]) continue;
      program::refuse((name == "bias" ? "bias" : "mask") +
                      std::string(" must broadcast to [batch, heads, queries, keys] = ") +
                      text({static_cast<std::size_t>(n.batch), static_cast<std::size_t>(n.heads),
                            static_cast<std::size_t>(n.queries), static_cast<std::size_t>(n.keys)}) +
                      ", got " + text(shape));
    }
  }

  /// The mask of a head of a batch entry.
  template <class Scalar>
  AnyMask<Scalar> mask(Index batch, Index head, const MaskSizes& n) const {
    using namespace nadaraya;
    if (name == "alibi") return AnyMask<Scalar>(AdditiveBias{Alibi{slopes.at(head)}});
    if (name == "boolean") return AnyMask<Scalar>(BooleanMask{pairs<std::uint8_t>(batch, head, n)});
    if (name == "bias") {
      if (!holds<Scalar>(array)) refuse_type("bias must have the dtype of query, got " + dtype_name(array));
      return AnyMask<Scalar>(AdditiveBias{pairs<Scalar>(batch, head, n)});
    }
    if (name == "key_lengths") {
      const auto* lengths = static_cast<const std::int64_t*>(array.data());
      if (array.ndim() == 0) return AnyMask<Scalar>(KeyLengths{Index(*lengths)});
      if (array.ndim() == 1) return AnyMask<Scalar>(KeyLengths{Index(lengths[batch * array.stride(0)])});
      std::vector<Index> each;
      for (Index i = 0; i < n.queries; ++i)
        each.push_back(Index(lengths[batch * array.stride(0) + i * array.stride(1)]));
      return AnyMask<Scalar>(KeyLengths{std::move(each)});
    }
    return make_mask<Scalar>(options);
  }

 private:
  template <class T>
  Pairs<T> pairs(Index batch, Index head, const MaskSizes& n) const {
    const auto stride = [&](std::size_t d) {
      return size(d) == 1 ? Index(0) : Index(array.stride(d + array.ndim() - 4));
    };
    return {static_cast<const T*>(array.data()) + batch * stride(0) + head * stride(1), n.queries, n.keys, stride(2),
            stride(3)};
  }
};

}  // namespace binding
