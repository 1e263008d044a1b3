// Exact attention over keys that are sharded over ranks.
#pragma once

#include "nadaraya/nadaraya_watson.hpp"
#include "nadaraya/sharded/communicator.hpp"
#include "nadaraya/sharded/key_positions.hpp"
#include "nadaraya/sharded/key_value_cache.hpp"
#include "nadaraya/sharded/tape.hpp"

#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// How values that lie on several ranks become outputs.
enum class Mixing {
  gather_values,  ///< the values of candidates travel, and every rank mixes them in the order of the keys
  sum_values,     ///< candidates travel without values, and every rank sends the weighted sum of its own
};

/// An operator over keys and values of which every rank of a group holds a part: all ranks call the same functions, each with
/// its own part, which may be empty. Masks count positions in the sequence of all keys: those of rank 0, of rank 1, ...
template <class K, class N, class S, class M>
class Operator {
 public:
  /// The same operator, sharded.
  explicit Operator(NadarayaWatson<K, N, S, M> on_one_machine) : one_(std::move(on_one_machine)) {}

  const NadarayaWatson<K, N, S, M>& on_one_machine() const { return one_; }  ///< The operator of one machine.
  Mixing mixing() const { return mixing_; }  ///< How outputs are mixed.

  /// A copy that mixes in the given way.
  Operator with(Mixing mixing) const {
    Operator other = *this;
    other.mixing_ = mixing;
    return other;
  }

  /// The regression of queries [Nq x D] that all ranks have, on keys [n x D] and values [n x Dv] of this rank. Returns
  /// [Nq x Dv], the same on all ranks.
  template <Communicator C, RealExpression Q, RealExpression Ke, RealExpression V>
  RowMatrix<ScalarOf<Q>> operator()(C& ranks, const Q& query, const Ke& key, const V& value) const;

  /// The same on the keys and values of a cache.
  template <Communicator C, RealExpression Q>
  RowMatrix<ScalarOf<Q>> operator()(C& ranks, const Q& query, const KeyValueCache<ScalarOf<Q>, S>& cache) const;

  /// The regression with a record for `backward`. Writes out [Nq x Dv], the same on all ranks.
  template <Communicator C, RealExpression Q, RealExpression Ke, RealExpression V>
  Tape<ScalarOf<Q>> forward(C& ranks, Q&& query, Ke&& key, V&& value, RowMatrix<ScalarOf<Q>>& out) const;

  /// The same of queries that are sharded too: each rank gives its own, which follow those of the rank before, and gets the
  /// outputs of these.
  template <Communicator C, RealExpression Q, RealExpression Ke, RealExpression V>
  Tape<ScalarOf<Q>> prefill(C& ranks, Q&& query, Ke&& key, V&& value, RowMatrix<ScalarOf<Q>>& out) const;

  /// The gradients of a loss, given grad_out = dL/dout of the rows that this rank got as `out`. Those of keys and values are
  /// of this rank's keys, that of the query of the queries that it gave, and those of parameters are the same on all ranks.
  template <Communicator C, class Scalar, RealExpression G>
  typename NadarayaWatson<K, N, S, M>::template GradientsOf<Scalar> backward(C& ranks, const Tape<Scalar>& tape,
                                                                            const G& grad_out) const;

 private:
  NadarayaWatson<K, N, S, M> one_;
  Mixing mixing_ = Mixing::gather_values;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
