// Keys and values, prepared for queries.
#pragma once

#include "nadaraya/pass/head.hpp"
#include "nadaraya/rows.hpp"

#include "nadaraya/detail/precise.hpp"

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
  Memory() = default;
  /// The operands must outlive this object.
  Memory(const S& similarity, const Rows<Scalar>& key, const Rows<Scalar>& value, const engine::Search<Scalar>& search)
      : prepared_key_(prepared(similarity, key)) {
    read(prepared_key_.view(), value.view(), 0, search);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  /// Keys as the similarity compares them, of which [0, kept), and their values, are as they were the last
  /// time. They are referred to.
  void read(const View<Scalar>& prepared_key, const View<Scalar>& value, Index kept, const engine::Search<Scalar>& search) {
    key_ = prepared_key;
    finite_value_.read(value, kept);
    value_ = value;
    scored_.read(prepared_key, kept, search);
  }

  /// Makes room for more keys and values after the current ones: a read() of all of them that keeps the current ones
  /// then throws nothing. If it throws, nothing has changed.
  void reserve(const View<Scalar>& more_values, bool sketched) {
    finite_value_.reserve(more_values);
    scored_.reserve(key_.rows + more_values.rows, key_.cols, sketched);
  }

  /// The keys of an operand, prepared.
  const Rows<Scalar>& prepared_key() const { return prepared_key_; }

  const View<Scalar>& key() const { return key_; }
  const View<Scalar>& value() const { return value_; }
  bool sketched() const { return scored_.sketch() != nullptr; }

  Head<Scalar, S> head(const View<Scalar>& prepared_query, std::span<const KeyIndex> order) const {
    return Head<Scalar, S>{prepared_query, key_, value_, &finite_value_, &scored_, order};
  }

 private:
  Rows<Scalar> prepared_key_;
  View<Scalar> key_;
  View<Scalar> value_;
  engine::FiniteRows<Scalar> finite_value_;
  engine::ScoredKeys<Scalar, S> scored_;
};

}  // namespace nadaraya::pass

#include "nadaraya/detail/end_precise.hpp"
