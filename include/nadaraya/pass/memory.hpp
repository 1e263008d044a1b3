// Keys and values, made ready for queries.
#pragma once

#include "nadaraya/pass/head.hpp"
#include "nadaraya/rows.hpp"

namespace nadaraya::pass {

/// Rows as the similarity compares them; the operand must outlive the result.
template <class S, class Scalar>
Rows<Scalar> prepared(const S& similarity, const Rows<Scalar>& rows) {
  if constexpr (PreparingSimilarity<S>) {
    return Rows<Scalar>(similarity.prepared(rows.matrix()));
  } else {
    return Rows<Scalar>(rows.matrix());
  }
}

/// Neither copied nor moved: heads point into it.
template <class Scalar, class S>
class Memory {
 public:
  /// For about that many queries; if the reach is finite, for queries that look no farther. The operands
  /// must outlive this object.
  Memory(const S& similarity, const Rows<Scalar>& key, const Rows<Scalar>& value, Index queries, const Scalar& reach)
      : key_(prepared(similarity, key)),
        value_(value.view()),
        finite_value_(value_),
        scored_(key_.view(), queries, reach) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  /// The keys, prepared.
  const Rows<Scalar>& key() const { return key_; }

  Head<Scalar, S> head(const View<Scalar>& prepared_query, std::span<const KeyIndex> order) const {
    return Head<Scalar, S>{prepared_query, key_.view(), value_, &finite_value_, &scored_, order};
  }

 private:
  Rows<Scalar> key_;
  View<Scalar> value_;
  engine::FiniteRows<Scalar> finite_value_;
  engine::ScoredKeys<Scalar, S> scored_;
};

}  // namespace nadaraya::pass
