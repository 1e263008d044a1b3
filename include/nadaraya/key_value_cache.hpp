// Keys and values that are remembered from call to call, as a decoder does.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/footprint.hpp"
#include "nadaraya/engine/instances.hpp"
#include "nadaraya/row_memory.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/screening.hpp"
#include "nadaraya/similarity/dot_product.hpp"
#include "nadaraya/similarity/row_similarity_of.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// A key-value cache of one head: keys and values to which rows are appended, and what queries need to know of them, kept
/// prepared, so that a call costs what it reads. An operator of the same similarity takes it in the place of
/// key and value,
///   cache.append(k, v);
///   out = op(q, cache);
/// with the result that the rows together would give, up to the rounding of sums in another order (see NadarayaWatson):
/// masks are aligned to the last query, as in every operator. LayerCache holds one for each key head and sequence of a layer.
///
/// Stored is the scalar, or Eigen::bfloat16 or Eigen::half with queries and results in float: then keys and values take half
/// the memory. append rounds floats to the nearest such number; beyond its range they become infinite. A query is computed in
/// float with the rounded numbers, and gives the bits that a KeyValueCache<float> of them gives, up to the rounding of
/// similarities that are no dot product.
///
/// Where keys can be screened (screening.hpp), a copy of the keys in 8 or 16 bits and one row of numbers for every 64 keys
/// are kept too; then a query reads those, and only the keys that pass and the values that have weight in full.
/// Cost of append: amortized O(D + Dv) a row, and quantizing at most 64 keys once more.
/// Memory: room for at most twice the rows that there were at a time. Copies are independent of each other: a cache is forked
/// by copying it.
template <class Stored, class S = DotProduct>
class KeyValueCache {
  using Scalar = detail::ComputedIn<Stored>;
  static_assert(detail::check_scalar<Scalar>());
  static_assert(detail::check_similarity<S>(), "the second parameter is a similarity; see similarity/similarity.hpp");

 public:
  /// For keys [n x key_cols] and values [n x value_cols]. Throws std::invalid_argument if a size is negative.
  KeyValueCache(Index key_cols, Index value_cols, Screening screening = Screening::automatic)
      : screening_(screening), key_(key_cols), value_(value_cols), prepared_(new_keys()) {
    detail::require(key_cols >= 0 && value_cols >= 0, "KeyValueCache: columns must not be negative, got ", key_cols, " and ",
                    value_cols);
    read(0);
  }

  /// A fork: the same rows, independent from now on. Cost: O(rows (D + Dv)), quantizing included.
  KeyValueCache(const KeyValueCache& other)
      : screening_(other.screening_),
        stored_(other.rows()),
        forgotten_(other.forgotten_),
        key_(other.key_, other.hidden_, other.stored_, other.rows()),
        value_(other.value_, other.hidden_, other.stored_, other.rows()),
        prepared_(new_keys()) {
    read(0);
  }
  KeyValueCache& operator=(const KeyValueCache& other) { return *this = KeyValueCache(other); }  ///< As the copy constructor.

  /// A cache that has been moved from is empty and may be used again, with the same columns.
  KeyValueCache(KeyValueCache&& other) noexcept
      : screening_(other.screening_), key_(other.key_cols()), value_(other.value_cols()) {
    swap(other);
  }
  /// As the move constructor.
  KeyValueCache& operator=(KeyValueCache&& other) noexcept {
    KeyValueCache taken(std::move(other));
    swap(taken);
    return *this;
  }

  Index rows() const { return stored_ - hidden_; }  ///< Nk, the tokens that are cached.
  /// How many rows forget_oldest has removed since the cache was made: the position in its sequence of the oldest row.
  Index forgotten() const { return forgotten_; }
  Index key_cols() const { return key_.cols(); }  ///< D
  Index value_cols() const { return value_.cols(); }  ///< Dv

  /// Makes room for `rows` rows: append allocates nothing until there are more. Where the oldest are forgotten, that holds
  /// for room for half as many rows again as are kept. Throws std::invalid_argument if rows exceeds 2^31 - 1. After any
  /// exception the cache is unchanged.
  void reserve(Index rows) {
    detail::require(rows <= most_rows, "KeyValueCache::reserve: ", rows, " rows are more than 2^31 - 1");
    Appended none{.key = Rows<Stored>(RowMatrix<Stored>(0, key_cols())),
                  .value = Rows<Stored>(RowMatrix<Stored>(0, value_cols()))};
    if (!prepared_) make_prepared();
    if (rows > room()) allocate(none, rows);
    engine::reserve_keys<Scalar>(*prepared_, none.value.view(), (std::max)(rows, stored_));
    commit(none);
  }

  /// Appends copies of rows of the scalar or of Stored, which may be rows of this cache. Throws std::invalid_argument if their
  /// shapes do not fit. After any exception the cache is unchanged.
  template <RealExpression Ke, RealExpression V>
  void append(const Ke& key, const V& value) {
    check_scalars<ScalarOf<Ke>, ScalarOf<V>>();
    detail::require(key.rows() == value.rows() && key.cols() == key_cols() && value.cols() == value_cols(),
                    "KeyValueCache::append: key and value must be [n x ", key_cols(), "] and [n x ", value_cols(), "], got ",
                    detail::shape(key), " and ", detail::shape(value));
    detail::require(key.rows() <= most_rows - rows(), "KeyValueCache::append: ", rows(), " and ", key.rows(),
                    " rows are more than 2^31 - 1");
    Appended appended = prepare(apart(key), apart(value));
    commit(appended);
  }

  /// Removes all rows but the first `rows`. Throws std::invalid_argument if there are fewer.
  void truncate(Index rows) {
    detail::require(0 <= rows && rows <= this->rows(), "KeyValueCache::truncate: rows must lie between 0 and ", this->rows(),
                    ", got ", rows);
    if (rows < this->rows()) keep(hidden_, hidden_ + rows);
  }

  /// Removes the first `count` rows, those appended first; throws std::invalid_argument if there are fewer. Then keys are
  /// counted from the oldest one that is kept. Masks that count from the last key, such as Causal and SlidingWindow, see no
  /// difference if they hide the removed keys; others, such as KeyLengths and an AdditiveBias, count from the kept one.
  /// Cost: O(1). append uses the memory again, and moves the rows there are at most once for every half of their number that
  /// is forgotten.
  void forget_oldest(Index count) {
    detail::require(0 <= count && count <= rows(), "KeyValueCache::forget_oldest: count must lie between 0 and the ", rows(),
                    " rows, got ", count);
    forgotten_ += count;
    if (count > 0) keep(hidden_ + count, stored_);
  }

  /// The keys as the similarity compares them, [rows x key_cols]; until the next call that changes the cache.
  auto keys() const { return Eigen::Map<const RowMatrix<Stored>>(key_.row(hidden_), rows(), key_cols()); }

  /// The values, [rows x value_cols]; until the next call that changes the cache.
  auto values() const { return Eigen::Map<const RowMatrix<Stored>>(value_.row(hidden_), rows(), value_cols()); }

  /// What the engine reads; null if the cache has been moved from, and is empty.
  const engine::PreparedKeys<Scalar>* prepared() const { return prepared_.get(); }

 private:
  template <class, class>
  friend class LayerCache;

  using Memory = detail::RowMemory<Stored>;
  static constexpr Index most_rows = (std::numeric_limits<KeyIndex>::max)();

  template <class Ke, class V>
  static constexpr void check_scalars() {
    static_assert((std::is_same_v<Ke, Scalar> || std::is_same_v<Ke, Stored>) &&
                      (std::is_same_v<V, Scalar> || std::is_same_v<V, Stored>),
                  "key and value must have the scalar of the cache or the type that it stores");
  }

  /// What an append needs, made before anything changes: the rows as they will be stored, and larger memory with copies of
  /// those there are, where they need it.
  struct Appended {
    Rows<Scalar> given{};  ///< keys that `key` may refer to
    Rows<Stored> key{}, value{};
    Memory more_keys{}, more_values{};
    enum { in_place, to_front, larger } moved = in_place;  ///< where the rows that are kept go
  };

  void swap(KeyValueCache& other) noexcept {
    std::swap(screening_, other.screening_);
    std::swap(stored_, other.stored_);
    std::swap(hidden_, other.hidden_);
    std::swap(forgotten_, other.forgotten_);
    std::swap(key_, other.key_);
    std::swap(value_, other.value_);
    prepared_.swap(other.prepared_);
  }

  Index room() const { return (std::min)(key_.room(), value_.room()); }

  void allocate(Appended& appended, Index room) const {
    appended.more_keys = Memory(key_, hidden_, stored_, room);
    appended.more_values = Memory(value_, hidden_, stored_, room);
    appended.moved = Appended::larger;
  }

  /// All of an append that may throw; nothing of it shows. The rows are referred to, and must not lie in memory of this cache.
  template <class Ke, class V>
  Appended prepare(Rows<Ke>&& key, Rows<V>&& value) {
    Appended appended{.value = detail::converted<Stored>(std::move(value))};
    if constexpr (std::is_same_v<Ke, Stored> && !PreparingSimilarity<S>) {
      appended.key = std::move(key);
    } else {
      const S similarity{};
      appended.given = detail::converted<Scalar>(std::move(key));
      appended.key = detail::converted<Stored>(engine::RowSimilarityOf<Scalar, S>(similarity).prepare(appended.given));
    }
    const Index count = appended.key.rows();
    const Index total = rows() + count;
    if (stored_ + count > room()) {
      if (total <= room() && 2 * hidden_ >= rows()) {
        appended.moved = Appended::to_front;
      } else {
        allocate(appended, (std::max)(total, 2 * rows()));
      }
    }
    if (!prepared_) make_prepared();
    const Index all = appended.moved == Appended::in_place ? stored_ + count : total;
    engine::reserve_keys<Scalar>(*prepared_, appended.value.view(), all);
    return appended;
  }

  /// The rest of it.
  void commit(Appended& appended) noexcept {
    Index unchanged = stored_;
    if (appended.moved != Appended::in_place) {
      if (appended.moved == Appended::larger) {
        std::swap(key_, appended.more_keys);
        std::swap(value_, appended.more_values);
      } else {
        key_.move_to_front(hidden_, stored_);
        value_.move_to_front(hidden_, stored_);
      }
      if (hidden_ > 0) unchanged = 0;
      stored_ -= hidden_;
      hidden_ = 0;
      engine::hide_keys(*prepared_, Index(0));
    }
    key_.write(stored_, appended.key);
    value_.write(stored_, appended.value);
    stored_ += appended.key.rows();
    read(unchanged);
  }

  /// Keeps the stored rows [first, last).
  void keep(Index first, Index last) {
    if (first == last) first = last = 0;
    hidden_ = first;
    if (last < stored_) {
      stored_ = last;
      read(last);
    }
    engine::hide_keys(*prepared_, first);
  }

  /// An operand of append, copied if it lies in memory of the cache, which is written to.
  template <class X>
  Rows<ScalarOf<X>> apart(const X& x) const {
    using Own = RowMatrix<ScalarOf<X>>;
    return shares_memory(detail::footprint(x)) ? Rows<ScalarOf<X>>(Own(x)) : Rows<ScalarOf<X>>(x);
  }
  bool shares_memory(const detail::Footprint& operand) const {
    return key_.shares_memory(operand) || value_.shares_memory(operand);
  }

  engine::OwnedKeys<Scalar> new_keys() const {
    static_assert(engine::check_compiled<Scalar>());
    return engine::make_growing_keys<Scalar>(engine::traits_of_similarity<Scalar, S>(), key_cols(), screening_);
  }
  void make_prepared() {
    auto prepared = new_keys();
    prepared_.swap(prepared);
    read(0);
  }

  void read(Index unchanged) { engine::read_keys<Scalar>(*prepared_, key_.view(stored_), value_.view(stored_), unchanged); }

  Screening screening_;
  Index stored_ = 0;     ///< rows in memory
  Index hidden_ = 0;     ///< the first of them, which have been forgotten
  Index forgotten_ = 0;
  Memory key_;
  Memory value_;
  engine::OwnedKeys<Scalar> prepared_;  ///< where heads may point into
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
