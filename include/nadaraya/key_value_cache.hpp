// Keys and values that are remembered from call to call, as a decoder does.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/sketch_tiers.hpp"
#include "nadaraya/pass/memory.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/screening.hpp"
#include "nadaraya/similarity/dot_product.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <type_traits>
#include <vector>

namespace nadaraya {

/// The keys and values of one head, to which rows are appended, and what queries need to know of them: kept
/// ready, so that a call costs what it reads. An operator of the same similarity takes it in the place of
/// key and value,
///   cache.append(k, v);
///   out = op(q, cache);
/// with the result that the rows together would give, up to the rounding of sums in another order (see NadarayaWatson):
/// masks are aligned to the last query, as ever.
///
/// Where keys can be screened (screening.hpp), a byte or two a number and one row of numbers for every 64 keys are
/// kept besides; then a query reads those, and only the keys that pass and the values that have weight in
/// full.
/// Cost of append: amortized O(D + Dv) a row, and the sketch of at most 64 keys once more.
/// Memory: twice the rows at most. Copies are independent of each other: a cache is forked by copying it.
template <class Scalar, class S = DotProduct>
class KeyValueCache {
  static_assert(detail::check_scalar<Scalar>());
  static_assert(detail::check_similarity<S>(), "the second parameter is a similarity; see similarity/similarity.hpp");

 public:
  /// For keys [n x key_cols] and values [n x value_cols]. Throws std::invalid_argument if a size is negative.
  KeyValueCache(Index key_cols, Index value_cols, Screening screening = Screening::automatic)
      : key_cols_(key_cols), value_cols_(value_cols), screening_(screening), memory_(std::make_unique<pass::Memory<Scalar, S>>()) {
    detail::require(key_cols >= 0 && value_cols >= 0, "KeyValueCache: columns must not be negative, got ", key_cols, " and ",
                    value_cols);
    read(0);
  }

  KeyValueCache(const KeyValueCache& other)
      : key_cols_(other.key_cols_),
        value_cols_(other.value_cols_),
        screening_(other.screening_),
        rows_(other.rows_),
        key_(other.key_),
        value_(other.value_),
        memory_(std::make_unique<pass::Memory<Scalar, S>>()) {
    read(0);
  }
  KeyValueCache(KeyValueCache&&) noexcept = default;
  KeyValueCache& operator=(KeyValueCache&&) noexcept = default;
  KeyValueCache& operator=(const KeyValueCache& other) { return *this = KeyValueCache(other); }

  Index rows() const { return rows_; }
  Index key_cols() const { return key_cols_; }
  Index value_cols() const { return value_cols_; }

  /// Appends rows, which are copied. Throws std::invalid_argument, the cache unchanged, if their shapes do
  /// not fit.
  template <RealExpression Ke, RealExpression V>
  void append(const Ke& key, const V& value) {
    static_assert(std::is_same_v<ScalarOf<Ke>, Scalar> && std::is_same_v<ScalarOf<V>, Scalar>,
                  "key and value must have the scalar of the cache");
    detail::require(key.rows() == value.rows() && key.cols() == key_cols_ && value.cols() == value_cols_,
                    "KeyValueCache::append: key and value must be [n x ", key_cols_, "] and [n x ", value_cols_, "], got ",
                    detail::shape(key), " and ", detail::shape(value));
    detail::require(key.rows() <= Index((std::numeric_limits<KeyIndex>::max)()) - rows_, "KeyValueCache::append: ", rows_,
                    " and ", key.rows(), " rows are more than 2^31 - 1");
    const Index before = rows_;
    const Rows<Scalar> keys(key), values(value);
    const Rows<Scalar> prepared = pass::prepared(S{}, keys);
    grow(key_, (before + key.rows()) * key_cols_);
    grow(value_, (before + key.rows()) * value_cols_);
    copy_rows(prepared, key_.data() + before * key_cols_);
    copy_rows(values, value_.data() + before * value_cols_);
    rows_ = before + key.rows();
    read(before);
  }

  /// Forgets all rows but the first `rows`. Throws std::invalid_argument if there are fewer.
  void truncate(Index rows) {
    detail::require(0 <= rows && rows <= rows_, "KeyValueCache::truncate: rows must lie between 0 and ", rows_, ", got ", rows);
    rows_ = rows;
    read(rows);
  }

  /// The keys as the similarity compares them, [rows x key_cols].
  auto keys() const { return Eigen::Map<const RowMatrix<Scalar>>(key_.data(), rows_, key_cols_); }

  /// What the passes read.
  const pass::Memory<Scalar, S>& memory() const { return *memory_; }

 private:
  static void grow(std::vector<Scalar>& numbers, Index size) {
    const auto needed = static_cast<std::size_t>(size);
    if (needed > numbers.size()) numbers.resize((std::max)(needed, 2 * numbers.size()));
  }

  static void copy_rows(const Rows<Scalar>& from, Scalar* to) {
    for (Index i = 0; i < from.rows(); ++i) std::copy_n(from.view().row(i), from.cols(), to + i * from.cols());
  }

  void read(Index kept) {
    engine::Search<Scalar> search;
    if constexpr (pass::Product<Scalar, S>) {
      const bool fits = key_cols_ >= 1 && key_cols_ <= engine::most_sketch_cols;
      search.sketched =
          fits && (screening_ == Screening::always || (screening_ == Screening::automatic && engine::worth_screening(key_cols_)));
    }
    memory_->read(engine::View<Scalar>{key_.data(), rows_, key_cols_, key_cols_},
                  engine::View<Scalar>{value_.data(), rows_, value_cols_, value_cols_}, kept, search);
  }

  Index key_cols_;
  Index value_cols_;
  Screening screening_;
  Index rows_ = 0;
  std::vector<Scalar> key_;
  std::vector<Scalar> value_;
  std::unique_ptr<pass::Memory<Scalar, S>> memory_;  ///< where heads may point into
};

}  // namespace nadaraya
