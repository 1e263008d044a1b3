// What a forward call of Python hands to backward.
#pragma once

#include "operator.hpp"

#include <nadaraya/attention_tape.hpp>
#include <nadaraya/stored_attention.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace binding {

/// The record of one scalar: a tape for each group of batch entries.
template <class Scalar>
struct Record {
  std::vector<Group<Scalar>> groups;
  std::vector<nadaraya::AttentionTape<Scalar>> tapes;
};

/// Keeps the inputs alive, to which the tapes refer, and the choice, to whose masks the operators do.
class Tape {
 public:
  Tape(std::shared_ptr<const Choice> choice, Operands operands)
      : choice_(std::move(choice)), operands_(std::move(operands)) {}

  /// Writes to `out`, or to a new array. Returns it.
  nb::object forward(nb::object out, nb::handle threads, nb::handle sequences) {
    with_stored(operands_.query, [&]<class T>(T) {
      using Scalar = nadaraya::detail::ComputedIn<T>;
      const auto query = head_view<const T>(operands_.query), key = head_view<const T>(operands_.key),
                 value = head_view<const T>(operands_.value);
      Record<Scalar> record{choice_->groups<Scalar>(mask_sizes(query, key)), {}};
      const auto result = head_view<Scalar>(out_array<Scalar>(out, operands_.out_shape()));
      const nadaraya::Packed tokens = packed(sequences, *choice_, query.tokens(), key.tokens());
      const auto by = executor(threads);
      without_gil([&] { return operands_.shapes(); },
                  [&] {
                    for (const auto& group : record.groups) {
                      const auto of = [&](const auto& view) { return entries(view, group.first, group.count); };
                      execute<Scalar>(by, key.tokens(), [&](const auto& executor) {
                        if constexpr (std::is_same_v<T, Scalar>) {
                          record.tapes.push_back(
                              group.attention().forward(of(query), of(key), of(value), of(result), tokens, executor));
                        } else {
                          record.tapes.push_back(nadaraya::forward_stored(group.attention(), of(query), of(key),
                                                                          of(value), of(result), tokens, executor));
                        }
                      });
                    }
                  });
      record_ = std::move(record);
    });
    return out;
  }

  /// (query, key, value, scale, bandwidth, alpha, ridge): the gradients of the inputs, in float32 where these store 16 bits,
  /// and those of the parameters for each query head.
  nb::tuple backward(nb::handle grad_output, nb::handle threads) const {
    const Input gradient = input("grad_output", grad_output);
    if (holds_16_bits(operands_.query) && !holds<float>(gradient)) {
      refuse_type("grad_output must be float32 as the output is, got " + dtype_name(gradient));
    }
    if (!holds_16_bits(operands_.query)) check_same_dtype({{"query", &operands_.query}, {"grad_output", &gradient}});
    if (shape_of(gradient) != operands_.out_shape()) {
      program::refuse("grad_output must have the shape of the output, " + text(operands_.out_shape()) + ", got " +
                      text(shape_of(gradient)));
    }
    return with_stored(operands_.query, [&]<class T>(T) {
      using Scalar = nadaraya::detail::ComputedIn<T>;
      const auto& record = std::get<Record<Scalar>>(record_);
      const NewArray<Scalar> query(shape_of(operands_.query)), key(shape_of(operands_.key)),
          value(shape_of(operands_.value));
      const auto grad_out = head_view<const Scalar>(gradient);
      const auto grad_query = head_view<Scalar>(query.array), grad_key = head_view<Scalar>(key.array),
                 grad_value = head_view<Scalar>(value.array);
      const auto by = executor(threads);
      std::vector<double> scale(static_cast<std::size_t>(grad_query.heads())), bandwidth(scale), alpha(scale),
          ridge(scale);
      without_gil([&] { return operands_.shapes(); },
                  [&] {
                    for (std::size_t i = 0; i < record.groups.size(); ++i) {
                      const auto& group = record.groups[i];
                      const auto of = [&](const auto& view) { return entries(view, group.first, group.count); };
                      execute<Scalar>(by, grad_key.tokens(), [&](const auto& executor) {
                        const auto sums = group.attention().backward(record.tapes[i], of(grad_out), of(grad_query),
                                                                     of(grad_key), of(grad_value), executor);
                        for (std::size_t h = 0; h < sums.size(); ++h) {
                          scale[h] += static_cast<double>(sums[h].scale);
                          bandwidth[h] += static_cast<double>(sums[h].bandwidth);
                          alpha[h] += static_cast<double>(sums[h].alpha);
                          ridge[h] += static_cast<double>(sums[h].ridge);
                        }
                      });
                    }
                  });
      return nb::make_tuple(query.object, key.object, value.object, copied(scale), copied(bandwidth), copied(alpha),
                            copied(ridge));
    });
  }

  double mean_support() const {
    double total = 0, queries = 0;
    for_each_head([&](const auto& head, Index) {
      total += head.mean_support() * static_cast<double>(head.queries());
      queries += static_cast<double>(head.queries());
    });
    return queries == 0 ? 0.0 : total / queries;
  }

  Index empty_rows() const {
    Index total = 0;
    for_each_head([&](const auto& head, Index) { total += head.empty_rows(); });
    return total;
  }

  /// For each query how many keys have weight, of the shape of query without its last dimension; 0 for padding.
  nb::object support_sizes() const {
    Shape shape = shape_of(operands_.query);
    const auto queries = static_cast<Index>(shape[shape.size() - 2]);
    shape.pop_back();
    const NewArray<std::int64_t> sizes(shape);
    std::fill(sizes.data(), sizes.data() + sizes.array.size(), 0);
    Index heads = 0;
    std::int64_t* next = sizes.data();
    for_each_head([&](const auto& head, Index sequence) {
      if (sequence == 0) next = sizes.data() + heads++ * queries;
      for (Index i = 0; i < head.queries(); ++i) *next++ = head.support_size(i);
    });
    return sizes.object;
  }

 private:
  /// visit(tape, sequence), batch entry by batch entry, head by head.
  template <class Visit>
  void for_each_head(const Visit& visit) const {
    std::visit(
        [&](const auto& record) {
          for (const auto& tape : record.tapes) {
            for (Index b = 0; b < tape.batch(); ++b) {
              for (Index h = 0; h < tape.heads(); ++h) {
                for (Index s = 0; s < tape.sequences(); ++s) visit(tape.head(b, h, s), s);
              }
            }
          }
        },
        record_);
  }

  std::shared_ptr<const Choice> choice_;
  Operands operands_;
  std::variant<Record<float>, Record<double>> record_;
};

}  // namespace binding
