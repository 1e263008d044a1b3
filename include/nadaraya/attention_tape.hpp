// What the forward pass of many heads hands to backward.
#pragma once

#include "nadaraya/detail/footprint.hpp"
#include "nadaraya/engine/instances.hpp"
#include "nadaraya/head_positions.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/head_view.hpp"
#include "nadaraya/loops/arena.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/tape.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

template <class Scalar>
class AnyAttention;

namespace detail {

/// What query head h has, of one for all heads or one for each.
template <class Each>
const auto& of_head(const Each& each, Index h) {
  return each[each.size() == 1 ? 0 : static_cast<std::size_t>(h)];
}

/// Regresses the heads at some positions into `out`.
template <class Scalar>
void forward_heads(const HeadPositions& positions, std::span<const engine::Problem<Scalar>> heads,
                   std::span<const std::span<engine::Record<Scalar>>> records, const HeadView<Scalar>& out,
                   const engine::Execution<Scalar>& execution) {
  engine::LineVector<WritableRows<Scalar>> places(&execution.memory());
  engine::LineVector<MatrixMap<Scalar>> outs(&execution.memory());
  places.reserve(positions.size());
  outs.reserve(positions.size());
  positions.for_each([&](std::size_t, const HeadPosition& at) {
    outs.push_back(places.emplace_back(at.queries_of(out), execution.memory()).matrix());
  });
  engine::forward<Scalar>(heads, outs, records, execution);
  clear_padding(out, positions.sequences.query_lengths);
  positions.for_each([&](std::size_t i, const HeadPosition& at) { places[i].commit(at.queries_of(out)); });
}

}  // namespace detail

/// The record of one forward pass over many heads. Like Tape, it refers to inputs whose rows are
/// contiguous: keep them alive and unchanged until backward. Inputs that are stored in 16 bits need not live on: the tape, and
/// its copies, share a float copy of each, 4 bytes an element. Moved from, it has no heads.
template <class Scalar>
class AttentionTape {
 public:
  AttentionTape() = default;
  AttentionTape(const AttentionTape&) = default;  ///< Refers to the same operands.
  AttentionTape& operator=(const AttentionTape&) = default;  ///< As the copy constructor.
  /// Leaves a tape of nothing behind.
  AttentionTape(AttentionTape&& other) noexcept
      : shapes_(std::exchange(other.shapes_, {})),
        sequences_(std::move(other.sequences_)),
        tapes_(std::move(other.tapes_)),
        inputs_(std::exchange(other.inputs_, {})),
        copies_(std::move(other.copies_)) {}
  /// As the move constructor.
  AttentionTape& operator=(AttentionTape&& other) noexcept {
    shapes_ = std::exchange(other.shapes_, {});
    sequences_ = std::exchange(other.sequences_, Packed({}, {}));
    tapes_ = std::exchange(other.tapes_, {});
    inputs_ = std::exchange(other.inputs_, {});
    copies_ = std::move(other.copies_);
    return *this;
  }

  Index batch() const { return shapes_.query.batch; }  ///< B
  Index heads() const { return shapes_.query.heads; }  ///< H, the heads of query.
  Index sequences() const { return sequences_.sequences(); }  ///< How many packed sequences.

  /// What a query head did in one sequence of a batch entry.
  const Tape<Scalar>& head(Index batch, Index head, Index sequence = 0) const {
    return tapes_[static_cast<std::size_t>((batch * sequences() + sequence) * heads() + head)];
  }

  /// Mean over all queries of how many keys have weight, 0 without queries.
  double mean_support() const {
    double total = 0, queries = 0;
    for (const auto& tape : tapes_) {
      total += tape.mean_support() * static_cast<double>(tape.queries());
      queries += static_cast<double>(tape.queries());
    }
    return queries == 0 ? 0.0 : total / queries;
  }

  /// Queries to which no key has weight; their output is zero.
  Index empty_rows() const {
    Index total = 0;
    for (const auto& tape : tapes_) total += tape.empty_rows();
    return total;
  }

 private:
  friend class AnyAttention<Scalar>;

  using Policies = engine::LineVector<engine::HeadPolicies<Scalar>>;

  /// Becomes a tape with empty records, of validated operands. Where these are copies, the tape owns them with others.
  void bind(const detail::HeadPositions& positions, const HeadView<const Scalar>& query, const HeadView<const Scalar>& key,
            const HeadView<const Scalar>& value, std::shared_ptr<const void> copies);

  detail::HeadPositions positions() const { return {shapes_, sequences_}; }

  /// The heads, given the policies of one query head or of each.
  engine::LineVector<engine::Problem<Scalar>> problems(const Policies& heads, engine::Arena& memory) const;

  /// Throw if gradients have not the shapes of the operands, or lie where others are read.
  void validate_shapes(const HeadView<const Scalar>& grad_out, const HeadView<Scalar>& grad_query,
                       const HeadView<Scalar>& grad_key, const HeadView<Scalar>& grad_value, const char* function) const;
  void validate_memory(const HeadView<const Scalar>& grad_out, const HeadView<Scalar>& grad_query,
                       const HeadView<Scalar>& grad_key, const HeadView<Scalar>& grad_value, const char* function) const;

  void forward(const Policies& heads, const HeadView<Scalar>& out, const engine::Execution<Scalar>& execution);

  /// Writes the gradients of the parameters for each tape.
  void backward(const Policies& heads, const HeadView<const Scalar>& grad_out, const HeadView<Scalar>& grad_query,
                const HeadView<Scalar>& grad_key, const HeadView<Scalar>& grad_value,
                std::span<engine::ParameterSums<Scalar>> parameters, const engine::Execution<Scalar>& execution) const;

  detail::AttentionShapes shapes_;
  Packed sequences_{{}, {}};
  std::vector<Tape<Scalar>> tapes_;
  std::array<detail::Footprint, 3> inputs_;  ///< memory of query, key and value that is referred to
  std::shared_ptr<const void> copies_;       ///< ... of which this tape is an owner
};

template <class Scalar>
void AttentionTape<Scalar>::bind(const detail::HeadPositions& positions, const HeadView<const Scalar>& query,
                                 const HeadView<const Scalar>& key, const HeadView<const Scalar>& value,
                                 std::shared_ptr<const void> copies) {
  shapes_ = positions.shapes;
  const auto copy = [](std::span<const Index> from, std::vector<Index>& to) { to.assign(from.begin(), from.end()); };
  copy(positions.sequences.query, sequences_.query);
  copy(positions.sequences.key, sequences_.key);
  copy(positions.sequences.query_lengths, sequences_.query_lengths);
  copy(positions.sequences.key_lengths, sequences_.key_lengths);
  bool refers[3] = {};
  tapes_.resize(positions.size());
  positions.for_each([&](std::size_t i, const detail::HeadPosition& at) {
    Tape<Scalar>& tape = tapes_[i];
    tape.query_.keep(at.queries_of(query));
    tape.key_.keep(at.keys_of(key));
    tape.value_.keep(at.keys_of(value));
    tape.make_records();
    refers[0] = refers[0] || !tape.query_.copied();
    refers[1] = refers[1] || !tape.key_.copied();
    refers[2] = refers[2] || !tape.value_.copied();
  });
  copies_ = std::move(copies);
  inputs_ = {};
  if (refers[0]) inputs_[0] = detail::head_footprint(query);
  if (refers[1]) inputs_[1] = detail::head_footprint(key);
  if (refers[2]) inputs_[2] = detail::head_footprint(value);
}

template <class Scalar>
void AttentionTape<Scalar>::validate_shapes(const HeadView<const Scalar>& grad_out, const HeadView<Scalar>& grad_query,
                                            const HeadView<Scalar>& grad_key, const HeadView<Scalar>& grad_value,
                                            const char* function) const {
  const auto require_shape = [&](const char* name, const detail::HeadShape& shape, const detail::HeadShape& expected) {
    detail::require(shape == expected, function, ": ", name, " must be ", expected, ", got ", shape);
  };
  require_shape("grad_out", detail::HeadShape(grad_out), shapes_.out());
  require_shape("grad_query", detail::HeadShape(grad_query), shapes_.query);
  require_shape("grad_key", detail::HeadShape(grad_key), shapes_.key);
  require_shape("grad_value", detail::HeadShape(grad_value), shapes_.value);
}

template <class Scalar>
void AttentionTape<Scalar>::validate_memory(const HeadView<const Scalar>& grad_out, const HeadView<Scalar>& grad_query,
                                            const HeadView<Scalar>& grad_key, const HeadView<Scalar>& grad_value,
                                            const char* function) const {
  const detail::NamedFootprint by_query("grad_query", grad_query), by_key("grad_key", grad_key),
      by_value("grad_value", grad_value), by_out("grad_out", grad_out), query("query", inputs_[0], shapes_.query),
      key("key", inputs_[1], shapes_.key), value("value", inputs_[2], shapes_.value);
  detail::require_apart(by_query, {by_out, query, key, value}, function);
  detail::require_apart(by_key, {by_query, by_out, query, key, value}, function);
  detail::require_apart(by_value, {by_query, by_key, by_out, query, key, value}, function);
}

template <class Scalar>
engine::LineVector<engine::Problem<Scalar>> AttentionTape<Scalar>::problems(const Policies& heads, engine::Arena& memory) const {
  engine::LineVector<engine::Problem<Scalar>> all(&memory);
  all.reserve(tapes_.size());
  positions().for_each([&](std::size_t i, const detail::HeadPosition& at) {
    all.push_back({detail::of_head(heads, at.head), &tapes_[i].query_, &tapes_[i].key_, &tapes_[i].value_, at.key_set});
  });
  return all;
}

template <class Scalar>
void AttentionTape<Scalar>::forward(const Policies& heads, const HeadView<Scalar>& out,
                                    const engine::Execution<Scalar>& execution) {
  engine::LineVector<std::span<engine::Record<Scalar>>> records(&execution.memory());
  records.reserve(tapes_.size());
  for (auto& one : tapes_) records.push_back(one.records_);
  detail::forward_heads<Scalar>(positions(), problems(heads, execution.memory()), records, out, execution);
  for (auto& one : tapes_) one.find_rows();
}

template <class Scalar>
void AttentionTape<Scalar>::backward(const Policies& heads, const HeadView<const Scalar>& grad_out,
                                     const HeadView<Scalar>& grad_query, const HeadView<Scalar>& grad_key,
                                     const HeadView<Scalar>& grad_value, std::span<engine::ParameterSums<Scalar>> parameters,
                                     const engine::Execution<Scalar>& execution) const {
  engine::Arena& memory = execution.memory();
  const detail::HeadPositions positions = this->positions();
  engine::LineVector<Rows<Scalar>> grads_out(&memory);
  engine::LineVector<WritableRows<Scalar>> queries(&memory), keys(&memory), values(&memory);
  engine::LineVector<engine::HeadGradients<Scalar>> places(&memory);
  for (auto* rows : {&queries, &keys, &values}) rows->reserve(tapes_.size());
  grads_out.reserve(tapes_.size());
  places.reserve(tapes_.size());
  positions.for_each([&](std::size_t i, const detail::HeadPosition& at) {
    grads_out.emplace_back(at.queries_of(grad_out), memory);
    queries.emplace_back(at.queries_of(grad_query), memory);
    if (at.new_keys) {
      keys.emplace_back(at.keys_of(grad_key), memory);
      values.emplace_back(at.keys_of(grad_value), memory);
    }
    places.push_back({tapes_[i].records_, grads_out[i].view(), queries[i].matrix(), keys.back().matrix(),
                      values.back().matrix()});
  });
  engine::backward<Scalar>(problems(heads, memory), places, parameters, execution);
  detail::clear_padding(grad_query, sequences_.query_lengths);
  detail::clear_padding(grad_key, sequences_.key_lengths);
  detail::clear_padding(grad_value, sequences_.key_lengths);
  positions.for_each([&](std::size_t i, const detail::HeadPosition& at) {
    queries[i].commit(at.queries_of(grad_query));
    if (!at.new_keys) return;
    keys[static_cast<std::size_t>(at.key_set)].commit(at.keys_of(grad_key));
    values[static_cast<std::size_t>(at.key_set)].commit(at.keys_of(grad_value));
  });
}

#if defined(NADARAYA_COMPILED)
extern template class AttentionTape<float>;
extern template class AttentionTape<double>;
#endif

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
