// Checks of operands and outputs, before anything is written.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/footprint.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/types.hpp"

#include <functional>
#include <limits>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Positions of queries and keys are stored as KeyIndex.
inline void require_countable(Index rows, const char* name, const char* function) {
  require(rows <= (std::numeric_limits<KeyIndex>::max)(), function, ": ", name, " has ", rows, " rows, more than 2^31 - 1");
}

inline void require_query_and_key(Index query_rows, Index query_cols, Index key_rows, Index key_cols, const char* function) {
  require(query_cols == key_cols, function, ": query and key must have the same number of columns, got ",
          shape(query_rows, query_cols), " and ", shape(key_rows, key_cols));
  require_countable(query_rows, "query", function);
  require_countable(key_rows, "key", function);
}

inline void require_key_and_value(Index key_rows, Index key_cols, Index value_rows, Index value_cols, const char* function) {
  require(key_rows == value_rows, function, ": key and value must have the same number of rows, got ",
          shape(key_rows, key_cols), " and ", shape(value_rows, value_cols));
}

/// Can an expression be assigned to?
template <class Out>
inline constexpr bool writable = !std::is_const_v<Out> && (int(Out::Flags) & Eigen::LvalueBit) != 0;

/// Throws if an output cannot take [rows x cols], or two of its elements lie in one place.
template <class Scalar, class Out>
void require_output(const Out& out, Index rows, Index cols, const char* function) {
  static_assert(std::is_same_v<ScalarOf<Out>, Scalar>, "out must have the scalar of the inputs");
  if constexpr (OwningMatrix<Out>) {
    // Eigen checks only in debug builds whether a matrix can be resized.
    const auto takes = [](int size, int most, Index n) {
      return size == Eigen::Dynamic ? most == Eigen::Dynamic || n <= most : n == size;
    };
    require(takes(Out::RowsAtCompileTime, Out::MaxRowsAtCompileTime, rows) &&
                takes(Out::ColsAtCompileTime, Out::MaxColsAtCompileTime, cols),
            function, ": out must be [", rows, " x ", cols, "], to which its type cannot be resized; got ", shape(out));
  } else {
    require(out.rows() == rows && out.cols() == cols, function, ": out must be [", rows, " x ", cols, "], got ", shape(out));
    require(!footprint(out).collides(), function, ": out ", shape(out), " must not have two elements in one place");
  }
}

/// True if two arrays share no memory, as far as the addresses of their first and last elements tell.
template <class A, class B>
bool surely_apart(const A& a, const B& b) {
  if constexpr (InMemory<A> && InMemory<B>) {
    const auto end = [](const auto& x) {
      return x.data() + (x.rows() - 1) * x.rowStride() + (x.cols() - 1) * x.colStride() + 1;
    };
    const auto forward = [](const auto& x) { return x.size() > 0 && x.rowStride() >= 0 && x.colStride() >= 0; };
    using Before = std::less_equal<const void*>;
    return forward(a) && forward(b) && (Before{}(end(a), b.data()) || Before{}(end(b), a.data()));
  } else {
    return false;
  }
}

/// Throws if an output shares memory with an input.
template <class Out, class X>
void require_apart(const Out& out, const X& input, const char* name, const char* function) {
  if (surely_apart(out, input)) return;
  require(!Footprint::share(written_footprint(out), footprint(input)), function, ": out ", shape(out),
          " must not share memory with ", name, ' ', shape(input));
}

/// Throws if an output cannot take the regression of operands, or shares memory with one.
template <class Scalar, class Q, class Ke, class V, class Out>
void validate_output(const Q& query, const Ke& key, const V& value, const Out& out, const char* function) {
  static_assert(writable<Out>, "out must be writable");
  require_output<Scalar>(out, query.rows(), value.cols(), function);
  require_apart(out, query, "query", function);
  require_apart(out, key, "key", function);
  require_apart(out, value, "value", function);
}

/// Throws if one of the gradients that backward writes lies where it reads.
template <class Gradients, class Scalar, class G>
void require_gradients_apart(const Gradients& grads, const Rows<Scalar>& query, const Rows<Scalar>& key,
                             const Rows<Scalar>& value, const G& grad_out, const char* function) {
  const auto require_one = [&](const RowMatrix<Scalar>& grad, const char* name) {
    const auto require_from = [&](const auto& other, const char* other_name) {
      require(surely_apart(grad, other) || !Footprint::share(footprint(grad), footprint(other)), function, ": grads.", name, ' ',
              shape(grad), " must not share memory with ", other_name);
    };
    require_from(grad_out, "grad_out");
    require_from(query.matrix(), "query");
    require_from(key.matrix(), "key");
    require_from(value.matrix(), "value");
  };
  require_one(grads.query, "query");
  require_one(grads.key, "key");
  require_one(grads.value, "value");
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
