// The operator that keyword arguments choose, for the heads and batch entries of a call.
#pragma once

#include "arrays.hpp"
#include "executor.hpp"
#include "masks.hpp"
#include "numbers.hpp"

#include <nadaraya/any_attention.hpp>
#include <nadaraya/chosen_operator.hpp>
#include <nadaraya/make_operator.hpp>
#include <nadaraya/operator_options.hpp>

#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace binding {

/// Runs a call of the library with the GIL released. Its error messages get the shapes of the caller: shapes().
template <class Shapes, class Call>
void without_gil(const Shapes& shapes, const Call& call) {
  try {
    const nb::gil_scoped_release released;
    call();
  } catch (const std::invalid_argument& error) {
    program::refuse(program::complaint(error) + " (" + shapes() + ")");
  }
}

/// "query [4, 8], key [5, 8]"
inline std::string shapes_of(std::initializer_list<Named> arrays) {
  std::string result;
  for (const Named& one : arrays) {
    result += (result.empty() ? "" : ", ") + (one.name + (" " + text(shape_of(*one.array))));
  }
  return result;
}

inline void check_ranks(std::initializer_list<Named> arrays) {
  const std::size_t rank = arrays.begin()->array->ndim();
  for (const Named& one : arrays) {
    if (one.array->ndim() == rank && rank >= 2 && rank <= 4) continue;
    program::refuse("all must be [N, D], [H, N, D] or [B, H, N, D] alike, got " + shapes_of(arrays));
  }
}

/// The operators of some entries of the batch: one for all query heads, or one for each.
template <class Scalar>
struct Group {
  Index first, count;
  std::vector<nadaraya::ChosenOperator<Scalar>> heads;

  /// Refers to the operators.
  std::vector<const nadaraya::AnyOperator<Scalar>*> pointers() const {
    std::vector<const nadaraya::AnyOperator<Scalar>*> all;
    for (const auto& one : heads) all.push_back(&one);
    return all;
  }
  nadaraya::AnyAttention<Scalar> attention() const { return nadaraya::AnyAttention<Scalar>(pointers()); }
};

/// The choice, before the scalar and the sizes are known.
struct Choice {
  nadaraya::OperatorOptions options{.spelling = nadaraya::OptionSpelling::keyword};
  PerHead exponent, alpha, bandwidth, mass, scale, ridge;
  std::vector<MaskPart> masks;

  bool of_heads() const {
    for (const PerHead* number : {&exponent, &alpha, &bandwidth, &mass, &scale, &ridge}) {
      if (number->for_each_head()) return true;
    }
    return std::any_of(masks.begin(), masks.end(), [](const MaskPart& one) { return one.of_heads(); });
  }

  nadaraya::OperatorOptions of_head(Index h) const {
    nadaraya::OperatorOptions o = options;
    o.exponent = exponent.value(h);
    o.alpha = alpha.value(h);
    o.bandwidth = bandwidth.value(h);
    o.mass = mass.value(h);
    o.scale = scale.value(h);
    o.ridge = ridge.value(h);
    return o;
  }

  bool has_array_mask() const {
    return std::any_of(masks.begin(), masks.end(), [](const MaskPart& one) { return one.array.is_valid(); });
  }

  /// Throws before anything is written if a parameter or mask is not for these sizes.
  template <class Scalar>
  std::vector<Group<Scalar>> groups(const MaskSizes& n) const {
    const std::pair<const char*, const PerHead*> numbers[] = {
        {"exponent", &exponent}, {"alpha", &alpha}, {"bandwidth", &bandwidth},
        {"mass", &mass},         {"scale", &scale}, {"ridge", &ridge}};
    for (const auto& [name, number] : numbers) number->check(name, n.heads);
    for (const MaskPart& one : masks) one.check(n);
    const bool of_batch =
        n.batch > 1 && std::any_of(masks.begin(), masks.end(), [](const MaskPart& one) { return one.of_batch(); });
    const Index operators = of_heads() ? n.heads : 1;
    std::vector<Group<Scalar>> result;
    for (Index b = 0; b < (of_batch ? n.batch : 1); ++b) {
      Group<Scalar>& group = result.emplace_back(Group<Scalar>{b, of_batch ? 1 : n.batch, {}});
      for (Index h = 0; h < operators; ++h) {
        group.heads.push_back(chosen<Scalar>(b, h, n));
        try {
          group.heads.back().validate(nadaraya::Extent{n.queries, n.keys});
        } catch (const std::invalid_argument& error) {
          program::refuse("mask: " + program::complaint(error));
        }
      }
    }
    return result;
  }

 private:
  template <class Scalar>
  nadaraya::ChosenOperator<Scalar> chosen(Index batch, Index head, const MaskSizes& n) const {
    const nadaraya::OperatorOptions o = of_head(head);
    return program::as_usage([&] {
      if (masks.empty()) return nadaraya::make_operator<Scalar>(o);
      AnyMask<Scalar> mask = masks[0].mask<Scalar>(batch, head, n);
      for (std::size_t i = 1; i < masks.size(); ++i) mask = mask & masks[i].mask<Scalar>(batch, head, n);
      return nadaraya::make_operator<Scalar>(o, std::move(mask));
    });
  }
};

/// Which tokens belong together: None, for all, or the lists of nadaraya.Packed.
inline nadaraya::Packed packed(nb::handle sequences, Index queries, Index keys) {
  if (sequences.is_none()) return nadaraya::Packed::one(queries, keys);
  using List = std::vector<Index>;
  auto [query, key, query_lengths, key_lengths] = nb::cast<std::tuple<List, List, List, List>>(sequences);
  nadaraya::Packed result(std::move(query), std::move(key));
  result.query_lengths = std::move(query_lengths);
  result.key_lengths = std::move(key_lengths);
  return result;
}

/// The same for the masks of a choice: those of arrays are for whole batch entries.
inline nadaraya::Packed packed(nb::handle sequences, const Choice& choice, Index queries, Index keys) {
  if (!sequences.is_none() && choice.has_array_mask()) {
    program::refuse("key_lengths and masks with an array do not go with sequences");
  }
  return packed(sequences, queries, keys);
}

/// The inputs of a call, on the CPU, of one dtype and rank.
struct Operands {
  Input query, key, value;

  Operands(nb::handle q, nb::handle k, nb::handle v)
      : query(input("query", q)), key(input("key", k)), value(input("value", v)) {
    check_stored_dtypes({{"query", &query}, {"key", &key}, {"value", &value}});
    check_ranks({{"query", &query}, {"key", &key}, {"value", &value}});
    // The library sees some entries of the batch at a time.
    if (query.ndim() == 4 && (query.shape(0) != key.shape(0) || query.shape(0) != value.shape(0))) {
      program::refuse("query, key and value must have the same batch, got " + shapes());
    }
  }

  /// Throws where 16 bits are stored, of which no sparse weights are computed.
  void check_scalar() const { check_dtypes({{"query", &query}}); }

  std::string shapes() const { return shapes_of({{"query", &query}, {"key", &key}, {"value", &value}}); }

  Shape out_shape() const {
    Shape shape = shape_of(query);
    shape.back() = value.shape(value.ndim() - 1);
    return shape;
  }
};

template <class T, class U>
MaskSizes mask_sizes(const HeadView<T>& query, const HeadView<U>& key) {
  return {query.batch(), query.heads(), query.tokens(), key.tokens()};
}

/// An argument `out`, or a new array where there is none.
template <class Scalar>
Output out_array(nb::object& out, const Shape& shape) {
  if (out.is_none()) {
    NewArray<Scalar> made(shape);
    out = made.object;
    return made.array;
  }
  const Output array = output("out", out);
  if (!holds<Scalar>(array)) {
    refuse_type(std::string("out must be ") + (sizeof(Scalar) == sizeof(float) ? "float32" : "float64") +
                " as the result is, got " + dtype_name(array));
  }
  if (shape_of(array) != shape) program::refuse("out must be " + text(shape) + ", got " + text(shape_of(array)));
  return array;
}

void bind_operator(nb::module_& m);
void bind_cache(nb::module_& m);
void bind_rows(nb::module_& m);
void bind_regression(nb::module_& m);

}  // namespace binding
