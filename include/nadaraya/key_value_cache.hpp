// Keys and values that are remembered from call to call, as a decoder does.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/footprint.hpp"
#include "nadaraya/engine/instances.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/screening.hpp"
#include "nadaraya/similarity/dot_product.hpp"
#include "nadaraya/similarity/row_similarity_of.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// The keys and values of one head, to which rows are appended, and what queries need to know of them: kept
/// ready, so that a call costs what it reads. An operator of the same similarity takes it in the place of
/// key and value,
///   cache.append(k, v);
///   out = op(q, cache);
/// with the result that the rows together would give, up to the rounding of sums in another order (see NadarayaWatson):
/// masks are aligned to the last query, as in every operator.
///
/// Where keys can be screened (screening.hpp), a quantized copy of 8 or 16 bits for each component and one row of numbers for every
/// 64 keys are kept as well; then a query reads those, and in full only the candidates and the values that have weight.
/// Cost of append: amortized O(D + Dv) a row, and quantizing at most 64 keys once more.
/// Memory: twice the rows at most. Copies are independent of each other: a cache is forked by copying it.
template <class Scalar, class S = DotProduct>
class KeyValueCache {
  static_assert(detail::check_scalar<Scalar>());
  static_assert(detail::check_similarity<S>(), "the second parameter is a similarity; see similarity/similarity.hpp");

 public:
  /// For keys [n x key_cols] and values [n x value_cols]. Throws std::invalid_argument if a size is negative.
  KeyValueCache(Index key_cols, Index value_cols, Screening screening = Screening::automatic)
      : key_cols_(key_cols), value_cols_(value_cols), screening_(screening), prepared_(new_keys()) {
    detail::require(key_cols >= 0 && value_cols >= 0, "KeyValueCache: columns must not be negative, got ", key_cols, " and ",
                    value_cols);
    read(0);
  }

  /// A fork: the same rows, independent from now on. O(rows (D + Dv)).
  KeyValueCache(const KeyValueCache& other)
      : key_cols_(other.key_cols_),
        value_cols_(other.value_cols_),
        screening_(other.screening_),
        rows_(other.rows_),
        key_(other.key_),
        value_(other.value_),
        prepared_(new_keys()) {
    read(0);
  }
  KeyValueCache& operator=(const KeyValueCache& other) { return *this = KeyValueCache(other); }  ///< As the copy constructor.

  /// A cache that has been moved from is empty and may be used again, with the same columns.
  KeyValueCache(KeyValueCache&& other) noexcept
      : key_cols_(other.key_cols_), value_cols_(other.value_cols_), screening_(other.screening_) {
    swap(other);
  }
  /// As the move constructor.
  KeyValueCache& operator=(KeyValueCache&& other) noexcept {
    KeyValueCache taken(std::move(other));
    swap(taken);
    return *this;
  }

  Index rows() const { return rows_; }  ///< Nk, the tokens that are cached.
  Index key_cols() const { return key_cols_; }  ///< D
  Index value_cols() const { return value_cols_; }  ///< Dv

  /// Makes room for `rows` rows: append copies no earlier row until there are more. Throws std::invalid_argument if
  /// rows exceeds 2^31 - 1. After any exception the cache is unchanged.
  void reserve(Index rows) {
    detail::require(rows <= most_rows, "KeyValueCache::reserve: ", rows, " rows are more than 2^31 - 1");
    std::vector<Scalar> keys = larger(key_, rows_ * key_cols_, rows * key_cols_);
    std::vector<Scalar> values = larger(value_, rows_ * value_cols_, rows * value_cols_);
    if (!keys.empty()) key_.swap(keys);
    if (!values.empty()) value_.swap(values);
    if (prepared_) read(rows_);
  }

  /// Appends copies of rows, which may be rows of this cache. Throws std::invalid_argument if their shapes do not
  /// fit. After any exception the cache is unchanged.
  template <RealExpression Ke, RealExpression V>
  void append(const Ke& key, const V& value) {
    static_assert(std::is_same_v<ScalarOf<Ke>, Scalar> && std::is_same_v<ScalarOf<V>, Scalar>,
                  "key and value must have the scalar of the cache");
    detail::require(key.rows() == value.rows() && key.cols() == key_cols_ && value.cols() == value_cols_,
                    "KeyValueCache::append: key and value must be [n x ", key_cols_, "] and [n x ", value_cols_, "], got ",
                    detail::shape(key), " and ", detail::shape(value));
    detail::require(key.rows() <= most_rows - rows_, "KeyValueCache::append: ", rows_, " and ", key.rows(),
                    " rows are more than 2^31 - 1");
    // First everything that may throw, where it does not show.
    const Rows<Scalar> keys = apart(key);
    const Rows<Scalar> values = apart(value);
    const S similarity{};
    const Rows<Scalar> prepared = engine::RowSimilarityOf<Scalar, S>(similarity).prepare(keys);
    const Index total = rows_ + key.rows();
    std::vector<Scalar> more_keys = grown(key_, rows_ * key_cols_, total * key_cols_);
    std::vector<Scalar> more_values = grown(value_, rows_ * value_cols_, total * value_cols_);
    copy_rows(prepared, (more_keys.empty() ? key_ : more_keys).data() + rows_ * key_cols_);
    copy_rows(values, (more_values.empty() ? value_ : more_values).data() + rows_ * value_cols_);
    if (!prepared_) make_prepared();
    engine::reserve_keys(*prepared_, values.view());
    // From here on nothing throws.
    if (!more_keys.empty()) key_.swap(more_keys);
    if (!more_values.empty()) value_.swap(more_values);
    const Index before = std::exchange(rows_, total);
    read(before);
  }

  /// Forgets all rows but the first `rows`. Throws std::invalid_argument if there are fewer.
  void truncate(Index rows) {
    detail::require(0 <= rows && rows <= rows_, "KeyValueCache::truncate: rows must lie between 0 and ", rows_, ", got ", rows);
    if (rows == rows_) return;
    rows_ = rows;
    read(rows);
  }

  /// The keys as the similarity compares them, [rows x key_cols]; until the next call that changes the cache.
  auto keys() const { return Eigen::Map<const RowMatrix<Scalar>>(key_.data(), rows_, key_cols_); }

  /// The values, [rows x value_cols]; until the next call that changes the cache.
  auto values() const { return Eigen::Map<const RowMatrix<Scalar>>(value_.data(), rows_, value_cols_); }

  /// What the engine reads; null if the cache has been moved from, and is empty.
  const engine::PreparedKeys<Scalar>* prepared() const { return prepared_.get(); }

 private:
  static constexpr Index most_rows = (std::numeric_limits<KeyIndex>::max)();

  void swap(KeyValueCache& other) noexcept {
    std::swap(key_cols_, other.key_cols_);
    std::swap(value_cols_, other.value_cols_);
    std::swap(screening_, other.screening_);
    std::swap(rows_, other.rows_);
    key_.swap(other.key_);
    value_.swap(other.value_);
    prepared_.swap(other.prepared_);
  }

  /// A copy of the first `kept` numbers with room for `size`; nothing if there is room.
  static std::vector<Scalar> larger(const std::vector<Scalar>& numbers, Index kept, Index size) {
    std::vector<Scalar> copy;
    if (size <= static_cast<Index>(numbers.size())) return copy;
    copy.resize(static_cast<std::size_t>(size));
    std::copy_n(numbers.begin(), kept, copy.begin());
    return copy;
  }
  static std::vector<Scalar> grown(const std::vector<Scalar>& numbers, Index kept, Index size) {
    const auto room = static_cast<Index>(numbers.size());
    return larger(numbers, kept, size <= room ? size : (std::max)(size, 2 * room));
  }

  /// An operand of append, copied if it lies in memory of the cache, which is written to.
  template <class X>
  Rows<Scalar> apart(const X& x) const {
    const auto in = [&](const std::vector<Scalar>& numbers) {
      const detail::Footprint room = detail::Footprint(numbers.data(), sizeof(Scalar)).along(static_cast<Index>(numbers.size()), 1);
      return detail::Footprint::share(detail::footprint(x), room);
    };
    return in(key_) || in(value_) ? Rows<Scalar>(RowMatrix<Scalar>(x)) : Rows<Scalar>(x);
  }

  static void copy_rows(const Rows<Scalar>& from, Scalar* to) {
    for (Index i = 0; i < from.rows(); ++i) std::copy_n(from.view().row(i), from.cols(), to + i * from.cols());
  }

  engine::OwnedKeys<Scalar> new_keys() const {
    static_assert(engine::check_compiled<Scalar>());
    return engine::make_prepared_keys<Scalar>(engine::traits_of_similarity<Scalar, S>(), key_cols_, screening_);
  }
  void make_prepared() {
    auto prepared = new_keys();
    prepared_.swap(prepared);
    read(0);
  }

  void read(Index kept) {
    engine::read_keys(*prepared_, engine::View<Scalar>{key_.data(), rows_, key_cols_, key_cols_},
                      engine::View<Scalar>{value_.data(), rows_, value_cols_, value_cols_}, kept);
  }

  Index key_cols_;
  Index value_cols_;
  Screening screening_;
  Index rows_ = 0;
  std::vector<Scalar> key_;    ///< as many as there is room for
  std::vector<Scalar> value_;
  engine::OwnedKeys<Scalar> prepared_;  ///< where heads may point into
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
