// What forward hands to backward: the operands, one RowMap per query, and the compact support.
#pragma once

#include "nadaraya/engine/scores.hpp"
#include "nadaraya/normalization/row_map.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace nadaraya {

/// Read-only rows, each contiguous. A row-major lvalue is referred to, not copied, and must outlive
/// this object unchanged. Anything else (column-major storage, an expression, a temporary) is
/// evaluated once into rows that this object owns.
template <class Scalar>
class Rows {
 public:
  using View = Eigen::Map<const RowMatrix<Scalar>, 0, Eigen::OuterStride<>>;

  Rows() = default;

  template <RealExpression X>
  explicit Rows(X&& x) {
    using Expression = std::remove_cvref_t<X>;
    constexpr bool direct = (int(Expression::Flags) & Eigen::DirectAccessBit) != 0;
    constexpr bool plain = std::is_base_of_v<Eigen::PlainObjectBase<Expression>, Expression>;
    if constexpr (direct && !(plain && std::is_rvalue_reference_v<X&&>)) {
      rows_ = x.rows();
      cols_ = x.cols();
      const bool one_row = rows_ <= 1;
      const Index inner = x.IsRowMajor ? x.innerStride() : x.outerStride();
      const Index outer = x.IsRowMajor ? x.outerStride() : x.innerStride();
      if (x.size() > 0 && (inner == 1 || cols_ == 1) && (one_row || outer >= cols_)) {
        data_ = x.data();
        stride_ = one_row ? cols_ : outer;
        return;
      }
    }
    owned_ = std::forward<X>(x);
    rows_ = owned_.rows();
    cols_ = owned_.cols();
    stride_ = cols_;
  }

  View view() const { return View(data(), rows_, cols_, Eigen::OuterStride<>(stride_)); }
  const Scalar* data() const { return data_ != nullptr ? data_ : owned_.data(); }
  Index stride() const { return stride_; }

  /// Did the operand have to be copied?
  bool copied() const { return data_ == nullptr && owned_.size() > 0; }
  Index rows() const { return rows_; }
  Index cols() const { return cols_; }

 private:
  RowMatrix<Scalar> owned_;
  const Scalar* data_ = nullptr;
  Index rows_ = 0;
  Index cols_ = 0;
  Index stride_ = 0;
};

/// The record of one forward pass. It refers to the query, key and value it was made from where
/// those are row-major lvalues: keep them alive and unchanged until backward. Size: O(queries) and,
/// for a sparse row rule, the support; a dense one (Gaussian) keeps nothing per pair, and backward
/// recomputes.
template <class Scalar>
class Tape {
 public:
  Index queries() const { return query_.rows(); }
  Index keys() const { return key_.rows(); }

  /// Queries to which no key has weight; their output is zero.
  Index empty_rows() const {
    Index total = 0;
    for (const Chunk& chunk : chunks_) total += chunk.empty_rows;
    return total;
  }

  /// How many keys have weight for a query; under a dense rule (Gaussian) all that are visible, though
  /// the smallest weights may underflow.
  Index support_size(Index query) const { return chunk(query).support_sizes[place(query)]; }

  /// Mean of support_size over the queries, 0 without queries.
  double mean_support() const {
    double total = 0;
    for (const Chunk& chunk : chunks_) {
      for (const KeyIndex size : chunk.support_sizes) total += size;
    }
    return queries() == 0 ? 0.0 : total / static_cast<double>(queries());
  }

  /// The stored keys of a query, under a sparse row rule; empty under a dense one. The key that
  /// lends NearestNeighbors its bandwidth is stored last, without being supported.
  std::span<const KeyIndex> support(Index query) const {
    return std::span(chunk(query).entries).subspan(begin(query), end(query) - begin(query));
  }

  /// The compact coordinates of the stored keys, in the same order.
  std::span<const Scalar> coordinates(Index query) const {
    return std::span(chunk(query).coordinates).subspan(begin(query), end(query) - begin(query));
  }

  /// What the normalization decided for a query: its threshold, width and divisor.
  const RowMap<Scalar>& row(Index query) const { return chunk(query).maps[place(query)]; }

  const Rows<Scalar>& query() const { return query_; }
  const Rows<Scalar>& key() const { return key_; }
  const Rows<Scalar>& value() const { return value_; }

 private:
  template <class, class, class, class>
  friend class NadarayaWatson;

  /// The rows of one block of queries, written by whichever thread has the block.
  struct Chunk {
    std::vector<RowMap<Scalar>> maps;
    std::vector<KeyIndex> support_sizes;
    std::vector<KeyIndex> entries;
    std::vector<Scalar> coordinates;
    std::vector<std::size_t> ends;
    Index empty_rows = 0;

    void record(const RowMap<Scalar>& map, Index support_size, std::span<const KeyIndex> support,
                std::span<const Scalar> row_coordinates) {
      maps.push_back(map);
      support_sizes.push_back(static_cast<KeyIndex>(support_size));
      empty_rows += support_size == 0 ? 1 : 0;
      entries.insert(entries.end(), support.begin(), support.end());
      coordinates.insert(coordinates.end(), row_coordinates.begin(), row_coordinates.end());
      ends.push_back(entries.size());
    }
  };

  const Chunk& chunk(Index query) const { return chunks_[static_cast<std::size_t>(query / engine::block_queries)]; }
  static std::size_t place(Index query) { return static_cast<std::size_t>(query % engine::block_queries); }
  std::size_t begin(Index query) const { return place(query) == 0 ? 0 : chunk(query).ends[place(query) - 1]; }
  std::size_t end(Index query) const { return chunk(query).ends[place(query)]; }

  Rows<Scalar> query_;
  Rows<Scalar> key_;
  Rows<Scalar> value_;
  std::vector<Chunk> chunks_;
};

}  // namespace nadaraya
