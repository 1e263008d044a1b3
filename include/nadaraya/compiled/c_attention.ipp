// Attention of the C interface: forward, backward and weights.
#pragma once

#include "nadaraya/compiled/c_arrays.ipp"
#include "nadaraya/compiled/c_calls.ipp"
#include "nadaraya/compiled/c_handles.ipp"

#include "nadaraya/detail/check.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/head_weights.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::c {

/// Which tokens belong together, for arrays of some numbers of tokens: NULL stands for all.
inline Packed packed(const nadaraya_sequences* pointer, Index queries, Index keys) {
  if (pointer == nullptr) return Packed::one(queries, keys);
  const nadaraya_sequences& of = *pointer;
  const bool offsets = of.query_offsets != nullptr;
  detail::require(of.count >= 0, "c: the count of sequences must not be negative, got ", of.count);
  detail::require(offsets || of.query_lengths != nullptr || of.key_lengths != nullptr,
                  "c: sequences must have query_offsets or lengths");
  detail::require(offsets || of.key_offsets == nullptr, "c: sequences with key_offsets must have query_offsets");
  const auto list = [](const std::int64_t* first, std::int64_t count) {
    return first == nullptr ? std::vector<Index>() : std::vector<Index>(first, first + count);
  };
  Packed result(list(of.query_offsets, of.count + 1),
                list(of.key_offsets == nullptr ? of.query_offsets : of.key_offsets, of.count + 1));
  result.query_lengths = list(of.query_lengths, of.count);
  result.key_lengths = list(of.key_lengths, of.count);
  return result;
}

inline nadaraya_status attend(const char* function, const nadaraya_operator* op, const nadaraya_input* query,
                              const nadaraya_input* key, const nadaraya_input* value, const nadaraya_sequences* sequences,
                              const nadaraya_output* out, const nadaraya_workspace* workspace) {
  return call(function, [&] {
    with_scalar(deref(query, "query").type, [&]<class Scalar>(Scalar) {
      const auto q = view<Scalar>(query, "query"), k = view<Scalar>(key, "key"), v = view<Scalar>(value, "value");
      const auto o = view<Scalar>(out, "out");
      const auto of_heads = attention<Scalar>(deref(op, "op").heads);
      const Packed tokens = packed(sequences, q.tokens(), k.tokens());
      with_executor<Scalar>(workspace, [&](const auto& executor) { of_heads(q, k, v, o, tokens, executor); });
    });
  });
}

inline nadaraya_status forward(const char* function, const nadaraya_operator* op, const nadaraya_input* query,
                               const nadaraya_input* key, const nadaraya_input* value, const nadaraya_sequences* sequences,
                               const nadaraya_output* out, const nadaraya_workspace* workspace, nadaraya_tape** created) {
  return create(function, created, [&] {
    return with_scalar(deref(query, "query").type, [&]<class Scalar>(Scalar) {
      const auto q = view<Scalar>(query, "query"), k = view<Scalar>(key, "key"), v = view<Scalar>(value, "value");
      const auto o = view<Scalar>(out, "out");
      HeadOperators heads = deref(op, "op").heads;
      const auto of_heads = attention<Scalar>(heads);
      const Packed tokens = packed(sequences, q.tokens(), k.tokens());
      auto tape = with_executor<Scalar>(
          workspace, [&](const auto& executor) { return of_heads.forward(q, k, v, o, tokens, executor); });
      return new nadaraya_tape{std::move(heads), ScalarTape<Scalar>{std::move(tape), of_heads}};
    });
  });
}

/// The weights that nadaraya_sparse refers to.
template <class Scalar>
struct SparseWeights : nadaraya_sparse {
  HeadWeights<Scalar> weights;

  explicit SparseWeights(HeadWeights<Scalar> of) : weights(std::move(of)) {
    rows = weights.rows;
    cols = weights.cols;
    count = static_cast<std::int64_t>(weights.values.size());
    offsets = weights.offsets.data();
    columns = weights.columns.data();
    values = weights.values.data();
    type = type_of<Scalar>;
  }
};

/// What query heads have as parameters, and others do not.
inline nadaraya_parameters parameters_of(const OperatorOptions& options, double scale, double bandwidth, double alpha,
                                          double ridge) {
  return {scale, options.bandwidth ? bandwidth : 0.0, options.kernel == "polynomial" ? alpha : 0.0, ridge};
}

}  // namespace nadaraya::c

using namespace nadaraya;
namespace c = nadaraya::c;

extern "C" {

nadaraya_status nadaraya_attend(const nadaraya_operator* op, const nadaraya_input* query, const nadaraya_input* key,
                                const nadaraya_input* value, const nadaraya_output* out, const nadaraya_workspace* workspace) {
  return c::attend(__func__, op, query, key, value, nullptr, out, workspace);
}

nadaraya_status nadaraya_attend_sequences(const nadaraya_operator* op, const nadaraya_input* query, const nadaraya_input* key,
                                          const nadaraya_input* value, const nadaraya_sequences* sequences,
                                          const nadaraya_output* out, const nadaraya_workspace* workspace) {
  return c::attend(__func__, op, query, key, value, sequences, out, workspace);
}

nadaraya_status nadaraya_forward(const nadaraya_operator* op, const nadaraya_input* query, const nadaraya_input* key,
                                 const nadaraya_input* value, const nadaraya_output* out, const nadaraya_workspace* workspace,
                                 nadaraya_tape** created) {
  return c::forward(__func__, op, query, key, value, nullptr, out, workspace, created);
}

nadaraya_status nadaraya_forward_sequences(const nadaraya_operator* op, const nadaraya_input* query, const nadaraya_input* key,
                                           const nadaraya_input* value, const nadaraya_sequences* sequences,
                                           const nadaraya_output* out, const nadaraya_workspace* workspace,
                                           nadaraya_tape** created) {
  return c::forward(__func__, op, query, key, value, sequences, out, workspace, created);
}

void nadaraya_tape_destroy(nadaraya_tape* tape) { delete tape; }

double nadaraya_tape_mean_support(const nadaraya_tape* tape) {
  if (tape == nullptr) return std::nan("");
  return std::visit([](const auto& of) { return of.tape.mean_support(); }, tape->of);
}

int64_t nadaraya_tape_empty_rows(const nadaraya_tape* tape) {
  if (tape == nullptr) return -1;
  return std::visit([](const auto& of) { return static_cast<int64_t>(of.tape.empty_rows()); }, tape->of);
}

nadaraya_status nadaraya_backward(const nadaraya_tape* tape, const nadaraya_input* grad_out, const nadaraya_output* grad_query,
                                  const nadaraya_output* grad_key, const nadaraya_output* grad_value,
                                  nadaraya_parameters* parameters, const nadaraya_workspace* workspace) {
  return c::call(__func__, [&] {
    const nadaraya_tape& of_forward = c::deref(tape, "tape");
    std::visit(
        [&]<class Scalar>(const c::ScalarTape<Scalar>& of) {
          const auto o = c::view<Scalar>(grad_out, "grad_out");
          const auto q = c::view<Scalar>(grad_query, "grad_query"), k = c::view<Scalar>(grad_key, "grad_key"),
                     v = c::view<Scalar>(grad_value, "grad_value");
          const auto sums = c::with_executor<Scalar>(
              workspace, [&](const auto& executor) { return of.attention.backward(of.tape, o, q, k, v, executor); });
          if (parameters == nullptr) return;
          for (std::size_t h = 0; h < sums.size(); ++h) {
            const OperatorOptions& options = detail::of_head(of_forward.heads, static_cast<Index>(h))->options;
            parameters[h] = c::parameters_of(options, static_cast<double>(sums[h].scale),
                                             static_cast<double>(sums[h].bandwidth), static_cast<double>(sums[h].alpha),
                                             static_cast<double>(sums[h].ridge));
          }
        },
        of_forward.of);
  });
}

nadaraya_status nadaraya_weights(const nadaraya_operator* op, const nadaraya_input* query, const nadaraya_input* key,
                                 const nadaraya_workspace* workspace, nadaraya_sparse** created) {
  return c::create(__func__, created, [&]() -> nadaraya_sparse* {
    return c::with_scalar(c::deref(query, "query").type, [&]<class Scalar>(Scalar) -> nadaraya_sparse* {
      const auto q = c::view<Scalar>(query, "query"), k = c::view<Scalar>(key, "key");
      const auto operators = c::operators<Scalar>(c::deref(op, "op").heads);
      return c::with_executor<Scalar>(workspace, [&](const auto& executor) -> nadaraya_sparse* {
        return new c::SparseWeights<Scalar>(head_weights(operators, q, k, executor));
      });
    });
  });
}

void nadaraya_sparse_destroy(nadaraya_sparse* weights) {
  if (weights == nullptr) return;
  c::with_scalar(weights->type, [&]<class Scalar>(Scalar) { delete static_cast<c::SparseWeights<Scalar>*>(weights); });
}

}  // extern "C"

#include "nadaraya/detail/end_precise.hpp"
