// Keys and values of a call of which some are stored in 16 bits.
#pragma once

#include "nadaraya/cached_head.hpp"
#include "nadaraya/engine/execution.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/instances.hpp"
#include "nadaraya/engine/problem.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/head_view.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/quantized/screening_needs.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/screening.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// One head for each sequence and key head, read as those of caches are. Refers to keys and values whose rows are
/// contiguous. Scalar is float: a parameter, so that including this header instantiates nothing.
template <class Scalar, class Ke, class V>
class StoredInputs {
 public:
  /// policies_of(h) are those of query head h, whose similarity compares keys as they are.
  template <class PoliciesOf>
  StoredInputs(const HeadView<const Ke>& key, const HeadView<const V>& value, const HeadShape& query,
               const Offsets& sequences, const PoliciesOf& policies_of, const engine::Execution<Scalar>& execution)
      : stored_(static_cast<std::size_t>(key.batch() * sequences.sequences() * key.heads())),
        cached_(stored_.size(), &execution.memory()) {
    const Index each = sequences.sequences();
    execution.executor().parallel_for(
        static_cast<Index>(stored_.size()),
        [&](Index item) {
          const Index i = item / key.heads(), h = item % key.heads();
          const TokenRange keys = sequences.keys_of(key.tokens(), i / each, i % each);
          const Index queries =
              sequences.queries_of(query.tokens, i / each, i % each).count * query.heads / key.heads();
          const engine::HeadPolicies<Scalar> policies = policies_of(h * query.heads / key.heads());
          Stored& one = stored_[static_cast<std::size_t>(item)];
          one.key = Rows<Ke>(key.rows(i / each, h, keys.first, keys.count));
          one.value = Rows<V>(value.rows(i / each, h, keys.first, keys.count));
          one.prepared = engine::make_prepared_keys<Scalar>(policies.similarity->traits(), key.dim(),
                                                           screening(policies, queries, keys.count, key.dim()));
          engine::read_keys<Scalar>(*one.prepared, one.key.view(), one.value.view(), 0);
          cached_[static_cast<std::size_t>(item)] = {keys.count, key.dim(), value.dim(), one.prepared.get()};
        },
        Cost{4.0 * double(key.batch() * key.heads() * key.tokens()) * double(key.dim() + value.dim())});
  }

  std::span<const CachedHead<Scalar>> heads() const { return cached_; }

 private:
  struct Stored {
    Rows<Ke> key;
    Rows<V> value;
    engine::OwnedKeys<Scalar> prepared;
  };

  /// A rule without floors rules no key out.
  static Screening screening(const engine::HeadPolicies<Scalar>& policies, Index queries, Index keys, Index dim) {
    const bool worth = policies.screening == Screening::always || engine::worth_screening(queries, keys, dim);
    return policies.rule->traits().sparse && worth ? policies.screening : Screening::never;
  }

  std::vector<Stored> stored_;
  engine::LineVector<CachedHead<Scalar>> cached_;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
