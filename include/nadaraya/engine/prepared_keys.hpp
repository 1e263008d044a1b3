// Keys and values, prepared for queries.
#pragma once

#include "nadaraya/engine/once.hpp"
#include "nadaraya/engine/row_similarity.hpp"
#include "nadaraya/engine/scored_keys.hpp"
#include "nadaraya/loops/arena.hpp"
#include "nadaraya/loops/packed.hpp"
#include "nadaraya/quantized/screening_needs.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/screening.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Neither copied nor moved: heads refer to it.
template <class Scalar>
class PreparedKeys {
 public:
  /// For keys [n x cols], which are read() later, and quantized if they may be screened.
  PreparedKeys(const SimilarityTraits& similarity, Index cols, Screening screening, Quantized quantized)
      : scored_(similarity),
        search_{0, Search<Scalar>{}.radius, may_screen(similarity, cols, screening) ? quantized : Quantized::never} {
    reading_([] {});
  }
  /// For a call, in its memory. Of keys and values, only their shape and how they will be read is known before get_ready().
  /// The operands must outlive this object.
  PreparedKeys(const RowSimilarity<Scalar>& similarity, const Rows<Scalar>& key, const Rows<Scalar>& value,
               const Search<Scalar>& search, Arena& memory)
      : prepared_key_(similarity.prepare(key)),
        key_(prepared_key_.view()),
        value_(value.view()),
        finite_value_(&memory),
        scored_(similarity.traits(), &memory),
        search_(search) {
    scored_.expect(key.cols(), search);
  }
  /// Keys that others have prepared, without those that are hidden, to be read in panels by a call. What does not depend on
  /// the first key is shared with them.
  PreparedKeys(const PreparedKeys& other, const SimilarityTraits& similarity, Index queries, Arena& memory)
      : key_(other.stored_key().from(other.hidden())),
        value_(other.stored_value().from(other.hidden())),
        finite_value_(&memory),
        scored_(similarity, &memory),
        search_{queries} {
    scored_.expect(key_.view().cols, search_);
    if (other.hidden() > 0) return;
    shared_finite_value_ = &other.finite_value();
    scored_.share_quantized(other.scored());
  }
  PreparedKeys(const PreparedKeys&) = delete;
  PreparedKeys& operator=(const PreparedKeys&) = delete;

  /// Reads the keys and values of a call, on the thread that comes first.
  void get_ready() const {
    reading_([&] {
      if (shared_finite_value_ == nullptr) finite_value_.read(value_, 0);
      scored_.read(key_, 0, search_);
    });
  }

  /// Keys as the similarity compares them, of which [0, kept), and their values, are as they were the last
  /// time. They are referred to.
  void read(const StoredRows<Scalar>& prepared_key, const StoredRows<Scalar>& value, Index kept) {
    key_ = prepared_key;
    finite_value_.read(value, kept);
    value_ = value;
    scored_.read(prepared_key, kept, search_);
  }

  /// Makes room for more values after the current ones, and for `total` keys in all: a read() of all of them that keeps
  /// the current ones then throws nothing. If it throws, nothing has changed.
  void reserve(const StoredRows<Scalar>& more_values, Index total) {
    finite_value_.reserve(more_values);
    scored_.reserve(total, key_, search_.quantized != Quantized::never);
  }

  /// Hides the first `count` keys and their values from every query.
  void hide(Index count) { hidden_ = count; }
  Index hidden() const { return hidden_; }

  /// The keys of an operand, prepared.
  const Rows<Scalar>& prepared_key() const { return prepared_key_; }

  const StoredRows<Scalar>& stored_key() const { return key_; }
  const StoredRows<Scalar>& stored_value() const { return value_; }
  /// The rows, if they are stored as scalars; otherwise their number and length alone.
  const View<Scalar>& key() const { return key_.view(); }
  const View<Scalar>& value() const { return value_.view(); }
  const FiniteRows<Scalar>& finite_value() const { return shared_finite_value_ != nullptr ? *shared_finite_value_ : finite_value_; }
  const ScoredKeys<Scalar>& scored() const { return scored_; }
  bool screened() const { return scored_.screened(); }

 private:
  static bool may_screen(const SimilarityTraits& similarity, Index cols, Screening screening) {
    if (!similarity.is_product || cols < 1 || cols > most_quantized_cols) return false;
    return screening == Screening::always || (screening == Screening::automatic && worth_screening(cols));
  }

  Rows<Scalar> prepared_key_;
  StoredRows<Scalar> key_;
  StoredRows<Scalar> value_;
  mutable FiniteRows<Scalar> finite_value_;
  const FiniteRows<Scalar>* shared_finite_value_ = nullptr;
  mutable ScoredKeys<Scalar> scored_;
  Search<Scalar> search_;
  mutable Once reading_;
  Index hidden_ = 0;  ///< the first keys, which queries do not see
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
