// What the forward pass of many heads hands to backward.
#pragma once

#include "nadaraya/detail/footprint.hpp"
#include "nadaraya/engine/instances.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/head_view.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/tape.hpp"

#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

template <class Scalar>
class AnyAttention;

namespace detail {

/// What query head h has, of one for all heads or one for each.
template <class T>
const T& of_head(const std::vector<T>& each, Index h) {
  return each[each.size() == 1 ? 0 : static_cast<std::size_t>(h)];
}

/// One head in one sequence of one batch entry.
struct HeadPosition {
  Index batch, head, key_head;
  Index first_query, queries, first_key, keys;
  Index key_set;   ///< numbers the sets of keys
  bool new_keys;   ///< is this head the first to read them?

  template <class T>
  auto queries_of(const HeadView<T>& view) const {
    return view.rows(batch, head, first_query, queries);
  }
  template <class T>
  auto keys_of(const HeadView<T>& view) const {
    return view.rows(batch, key_head, first_key, keys);
  }
};

}  // namespace detail

/// The record of one forward pass over many heads. Like Tape, it refers to inputs whose rows are
/// contiguous: keep them alive and unchanged until backward. Moved from, it has no heads.
template <class Scalar>
class AttentionTape {
 public:
  AttentionTape() = default;
  AttentionTape(const AttentionTape&) = default;
  AttentionTape& operator=(const AttentionTape&) = default;
  AttentionTape(AttentionTape&& other) noexcept
      : shapes_(std::exchange(other.shapes_, {})),
        sequences_(std::move(other.sequences_)),
        tapes_(std::move(other.tapes_)),
        inputs_(std::exchange(other.inputs_, {})) {}
  AttentionTape& operator=(AttentionTape&& other) noexcept {
    shapes_ = std::exchange(other.shapes_, {});
    sequences_ = std::exchange(other.sequences_, Packed({}, {}));
    tapes_ = std::exchange(other.tapes_, {});
    inputs_ = std::exchange(other.inputs_, {});
    return *this;
  }

  Index batch() const { return shapes_.query.batch; }
  Index heads() const { return shapes_.query.heads; }
  Index sequences() const { return sequences_.sequences(); }

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

  /// A tape without records, of validated operands.
  AttentionTape(const HeadView<const Scalar>& query, const HeadView<const Scalar>& key, const HeadView<const Scalar>& value,
                const detail::HeadShape& out, const Packed& sequences, const char* function);

  /// visit(i, position) for tapes_[i], numbered by batch entry, sequence and head.
  void for_each(detail::FunctionRef<void(std::size_t i, const detail::HeadPosition& position)> visit) const;

  /// The heads, given the policies of one query head or of each.
  std::vector<engine::Problem<Scalar>> problems(const std::vector<engine::HeadPolicies<Scalar>>& heads) const;

  void make_records();
  void forward(const std::vector<engine::HeadPolicies<Scalar>>& heads, const HeadView<Scalar>& out,
               const engine::Execution<Scalar>& execution);

  /// Returns the gradients of the parameters for each tape.
  std::vector<engine::ParameterSums<Scalar>> backward(const std::vector<engine::HeadPolicies<Scalar>>& heads,
                                                      const HeadView<const Scalar>& grad_out, const HeadView<Scalar>& grad_query,
                                                      const HeadView<Scalar>& grad_key, const HeadView<Scalar>& grad_value,
                                                      const engine::Execution<Scalar>& execution) const;

  detail::AttentionShapes shapes_;
  Packed sequences_{{}, {}};
  std::vector<Tape<Scalar>> tapes_;
  std::array<detail::Footprint, 3> inputs_;  ///< memory of query, key and value that is referred to
};

template <class Scalar>
AttentionTape<Scalar>::AttentionTape(const HeadView<const Scalar>& query, const HeadView<const Scalar>& key, const HeadView<const Scalar>& value,
              const detail::HeadShape& out, const Packed& sequences, const char* function)
    : shapes_{detail::HeadShape(query), detail::HeadShape(key), detail::HeadShape(value)}, sequences_(sequences) {
  shapes_.validate(sequences, out, function);
  bool refers[3] = {};
  tapes_.resize(static_cast<std::size_t>(query.batch() * sequences.sequences() * query.heads()));
  for_each([&](std::size_t i, const detail::HeadPosition& at) {
    tapes_[i].query_ = Rows<Scalar>(at.queries_of(query));
    tapes_[i].key_ = Rows<Scalar>(at.keys_of(key));
    tapes_[i].value_ = Rows<Scalar>(at.keys_of(value));
    refers[0] = refers[0] || !tapes_[i].query_.copied();
    refers[1] = refers[1] || !tapes_[i].key_.copied();
    refers[2] = refers[2] || !tapes_[i].value_.copied();
  });
  if (refers[0]) inputs_[0] = detail::head_footprint(query);
  if (refers[1]) inputs_[1] = detail::head_footprint(key);
  if (refers[2]) inputs_[2] = detail::head_footprint(value);
}

template <class Scalar>
void AttentionTape<Scalar>::for_each(detail::FunctionRef<void(std::size_t i, const detail::HeadPosition& place)> visit) const {
  std::size_t i = 0;
  Index key_set = -1;
  for (Index b = 0; b < batch(); ++b) {
    for (std::size_t s = 0; s + 1 < sequences_.query.size(); ++s) {
      Index last_key_head = -1;
      for (Index h = 0; h < heads(); ++h) {
        const Index key_head = h * shapes_.key.heads / heads();
        const bool new_keys = key_head != last_key_head;
        last_key_head = key_head;
        key_set += new_keys ? 1 : 0;
        visit(i++, detail::HeadPosition{b, h, key_head, sequences_.query[s], sequences_.query[s + 1] - sequences_.query[s],
                                     sequences_.key[s], sequences_.key[s + 1] - sequences_.key[s], key_set, new_keys});
      }
    }
  }
}

template <class Scalar>
std::vector<engine::Problem<Scalar>> AttentionTape<Scalar>::problems(const std::vector<engine::HeadPolicies<Scalar>>& heads) const {
  std::vector<engine::Problem<Scalar>> all;
  for_each([&](std::size_t i, const detail::HeadPosition& at) {
    all.push_back({detail::of_head(heads, at.head), &tapes_[i].query_, &tapes_[i].key_, &tapes_[i].value_, at.key_set});
  });
  return all;
}

template <class Scalar>
void AttentionTape<Scalar>::make_records() {
  for (Tape<Scalar>& one : tapes_) one.make_records();
}

template <class Scalar>
void AttentionTape<Scalar>::forward(const std::vector<engine::HeadPolicies<Scalar>>& heads, const HeadView<Scalar>& out,
             const engine::Execution<Scalar>& execution) {
  std::vector<WritableRows<Scalar>> places;
  std::vector<MatrixMap<Scalar>> outs;
  std::vector<std::span<engine::Record<Scalar>>> records;
  for_each([&](std::size_t, const detail::HeadPosition& at) { places.emplace_back(at.queries_of(out)); });
  for (auto& place : places) outs.push_back(place.matrix());
  for (auto& one : tapes_) records.push_back(one.records_);
  engine::forward<Scalar>(problems(heads), outs, records, execution);
  for (auto& one : tapes_) one.find_rows();
  for_each([&](std::size_t i, const detail::HeadPosition& at) { places[i].commit(at.queries_of(out)); });
}

template <class Scalar>
std::vector<engine::ParameterSums<Scalar>> AttentionTape<Scalar>::backward(const std::vector<engine::HeadPolicies<Scalar>>& heads,
                                                    const HeadView<const Scalar>& grad_out, const HeadView<Scalar>& grad_query,
                                                    const HeadView<Scalar>& grad_key, const HeadView<Scalar>& grad_value,
                                                    const engine::Execution<Scalar>& execution) const {
  std::vector<Rows<Scalar>> grads_out(tapes_.size());
  std::vector<WritableRows<Scalar>> queries, keys, values;
  std::vector<engine::HeadGradients<Scalar>> places;
  for_each([&](std::size_t i, const detail::HeadPosition& at) {
    grads_out[i] = Rows<Scalar>(at.queries_of(grad_out));
    queries.emplace_back(at.queries_of(grad_query));
    if (!at.new_keys) return;
    keys.emplace_back(at.keys_of(grad_key));
    values.emplace_back(at.keys_of(grad_value));
  });
  for_each([&](std::size_t i, const detail::HeadPosition& at) {
    const auto id = static_cast<std::size_t>(at.key_set);
    places.push_back({tapes_[i].records_, grads_out[i].view(), queries[i].matrix(), keys[id].matrix(),
                      values[id].matrix()});
  });
  auto parameters = engine::backward<Scalar>(problems(heads), places, execution);
  for_each([&](std::size_t i, const detail::HeadPosition& at) {
    queries[i].commit(at.queries_of(grad_query));
    if (!at.new_keys) return;
    keys[static_cast<std::size_t>(at.key_set)].commit(at.keys_of(grad_key));
    values[static_cast<std::size_t>(at.key_set)].commit(at.keys_of(grad_value));
  });
  return parameters;
}

#if defined(NADARAYA_COMPILED)
extern template class AttentionTape<float>;
extern template class AttentionTape<double>;
#endif

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
