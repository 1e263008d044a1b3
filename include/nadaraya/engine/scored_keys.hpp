// Keys prepared for being scored.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/grid_functions.hpp"
#include "nadaraya/engine/once.hpp"
#include "nadaraya/engine/row_similarity.hpp"
#include "nadaraya/loops/arena.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/packed.hpp"
#include "nadaraya/quantized/keys.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <memory>
#include <optional>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// NaN instead of infinity: a bound that has overflown must rule nothing out.
template <class Scalar>
Scalar not_infinite(const Scalar& x) {
  return x + Scalar(0) * x;
}

/// |x|^2 of a row, for a bound.
template <class Scalar>
Scalar bounding_norm(const Scalar* x, Index n) {
  Scalar sum(0);
  for (Index d = 0; d < n; ++d) sum += x[d] * x[d];
  return not_infinite(sum);
}

/// When keys are quantized, to be screened.
enum class Quantized { never, when_asked, when_read };

/// How keys are going to be looked for.
template <class Scalar>
struct Search {
  Index queries = 0;                                              ///< their number
  Scalar radius = Scalar(Eigen::NumTraits<Scalar>::infinity());   ///< if finite, they look no farther: through a grid
  Quantized quantized = Quantized::never;                          ///< with the keys screened
  const GridFunctions<Scalar>* grid = nullptr;                      ///< of the similarity
};

/// Keys prepared for scoring: packed, with their squared norms where the similarity is bounded by a
/// product. A handful of queries is scored from the keys as they lie: packing would cost more. Keys that may be screened are
/// packed when that is first asked for, which may never be, and quantized likewise or as they are read. Neither copied nor
/// moved.
template <class Scalar>
class ScoredKeys {
 public:
  /// The least number of queries for which keys are packed: packing a key costs about as much as scoring it four times.
  static constexpr Index worth_packing = 4;

  explicit ScoredKeys(const SimilarityTraits& similarity, Arena* memory = nullptr)
      : similarity_(similarity), memory_(memory), rows_(memory), norms_(memory) {}

  /// Says what a read() of keys with that number of columns is going to make, if it makes no grid.
  void expect([[maybe_unused]] Index cols, [[maybe_unused]] const Search<Scalar>& search) {
    if constexpr (vectorized<Scalar>) {
      if (!similarity_.bounded_by_product) return;
      in_panels_ = search.queries >= worth_packing;
      if (search.quantized != Quantized::never && !quantized_) quantized_.emplace(cols, memory_);
    }
  }

  /// Has the same keys quantized by `other`, if it does.
  void share_quantized(const ScoredKeys& other) {
    if (other.screened()) shared_ = &other;
  }

  /// Gets rows [0, keys.rows) ready, of which [0, kept) are as they were the last time.
  void read(const StoredRows<Scalar>& stored, [[maybe_unused]] Index kept, [[maybe_unused]] const Search<Scalar>& search) {
    keys_ = stored;
    [[maybe_unused]] const View<Scalar>& keys = stored.view();
    if constexpr (vectorized<Scalar>) {
      if (search.grid != nullptr && detail::is_finite(search.radius)) grid_ = search.grid->make_grid(keys, search.radius);
      if (!similarity_.bounded_by_product) return;
      expect(keys.cols, search);
      in_panels_ = in_panels_ && grid_ == nullptr;
      packing_.reset();
      if (in_panels_ && !screened()) pack();
      quantizing_.reset();
      quantized_early_ = search.quantized == Quantized::when_read;
      if (quantized_early_) quantizing_([&] { quantized_->update(stored, kept); });
      if (similarity_.is_product) return;
      norms_.resize(PackedRows<Scalar>::padded(keys.rows));
      for (Index j = kept; j < static_cast<Index>(norms_.size()); ++j) {
        const bool padding = j >= keys.rows;
        norms_[static_cast<std::size_t>(j)] = padding ? Scalar(0) : bounding_norm(stored.read(j, 1, widened_).row(0), keys.cols);
      }
    }
  }

  /// Makes room for `keys` keys, stored like some rows: a read() of them without a grid and without packing then allocates
  /// nothing. If it throws, nothing visible has changed.
  void reserve([[maybe_unused]] Index keys, [[maybe_unused]] const StoredRows<Scalar>& like, [[maybe_unused]] bool quantized) {
    if constexpr (vectorized<Scalar>) {
      if (!similarity_.bounded_by_product) return;
      if (like.narrow()) widened_.resize(static_cast<std::size_t>(like.view().cols));
      if (quantized) {
        if (!quantized_) quantized_.emplace(like.view().cols, memory_);
        quantized_->reserve(keys, like.narrow());
      }
      if (!similarity_.is_product) reserve_more(norms_, PackedRows<Scalar>::padded(keys));
    }
  }

  /// Null if keys are not found by one.
  const Grid<Scalar>* grid() const { return grid_.get(); }
  /// Are they to be read in panels?
  bool in_panels() const { return in_panels_; }
  /// ... and ready for it?
  bool packed() const { return packing_.done(); }
  /// May they be screened?
  bool screened() const { return shared_ != nullptr || quantized_.has_value(); }
  /// Are they quantized before it is known whether that pays?
  bool quantized_early() const { return shared_ != nullptr ? shared_->quantized_early() : quantized_early_; }
  /// For that; by whichever thread comes first.
  const QuantizedKeys<Scalar>& quantized() const {
    if (shared_ != nullptr) return shared_->quantized();
    quantizing_([&] { quantized_->update(keys_, 0); });
    return *quantized_;
  }
  const Scalar* panel(Index first_key) const {
    pack();
    return rows_.panel(first_key);
  }
  /// By whichever thread comes first.
  void pack() const {
    packing_([&] { rows_.pack(keys_); });
  }
  const Scalar* norms(Index first_key) const { return norms_.data() + first_key; }

 private:
  SimilarityTraits similarity_;
  Arena* memory_;  ///< of the call; null for keys that outlive it
  StoredRows<Scalar> keys_;
  bool in_panels_ = false;
  mutable Once packing_;
  mutable PackedRows<Scalar> rows_;
  LineVector<Scalar> norms_;
  LineVector<Scalar> widened_;  ///< a key that is stored in 16 bits
  mutable Once quantizing_;
  mutable std::optional<QuantizedKeys<Scalar>> quantized_;
  bool quantized_early_ = false;
  const ScoredKeys* shared_ = nullptr;  ///< which quantizes these keys
  std::shared_ptr<const Grid<Scalar>> grid_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
