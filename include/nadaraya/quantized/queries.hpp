// The queries of a block as small whole numbers, and the keys that may be their candidates.
#pragma once

#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/packed.hpp"
#include "nadaraya/loops/portable.hpp"
#include "nadaraya/quantized/codes.hpp"
#include "nadaraya/quantized/keys.hpp"
#include "nadaraya/quantized/table.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Keys of the panels whose centres are multiplied with queries at once.
inline constexpr Index screened_chunk_keys = 64 * panel_keys;

/// The queries of one block, quantized while its panels are screened. Reused from block to block.
template <class Scalar>
class QuantizedQueries {
 public:
  /// Quantizes `count` queries, cols apart; a similarity is their product with a key times a factor. Returns whether all of
  /// them can be screened by: they are finite and of a usable size, with the factor and without.
  ///
  /// The codes are of the queries times the factor, whose rounding is a part of that of a product. Of the product without
  /// it, no number overflows, and what underflows, D factor 2^-150 at most, is less than the bound has to spare.
  bool prepare(const Scalar* unscaled, Index count, const QuantizedKeys<Scalar>& keys, Scalar factor = Scalar(1)) {
    keys_ = &keys;
    const Index cols = keys.cols();
    const Scalar size = std::abs(factor);
    if (!(size > Scalar(0) && size * static_cast<Scalar>(cols) <= static_cast<Scalar>(most_scale))) return false;
    most_scaled_ = static_cast<Scalar>(most_quantized) * (std::min)(Scalar(1), size);
    scaled_.resize(static_cast<std::size_t>(count * cols));
    loops<Scalar>().scale(unscaled, count * cols, factor, scaled_.data());
    padded_ = padded(count);
    stride_ = padded(keys.groups() * group_bytes);
    const auto entries = static_cast<std::size_t>(padded_);
    // A vector's assign() compiles to three times as much.
    const auto zero = [](auto& list, std::size_t length) {
      list.resize(length);
      std::memset(list.data(), 0, length * sizeof(list[0]));
    };
    zero(codes_, static_cast<std::size_t>(padded_ * stride_));
    for (auto* each : {&norm_, &residual_, &step_, &floor_, &base_, &unit_, &slack_}) zero(*each, entries);
    zero(threshold_, entries);
    zero(zero_, entries);
    zero(reached_, entries / screened_queries);
    for (Index r = 0; r < count; ++r) {
      if (!prepare_query(scaled_.data() + r * cols, r)) return false;
    }
    count_ = count;
    transposed_.resize(count > most_one_by_one ? static_cast<std::size_t>(cols * padded_) : 0);
    if (!transposed_.empty()) pack_columns(scaled_.data(), cols, count, cols, padded_, transposed_.data());
    chunk_ = -1;
    return true;
  }

  /// How far below its similarity a listed bound of query r may be.
  const Scalar& bound_slack(Index r) const { return slack_[static_cast<std::size_t>(r)]; }

  /// What products of query r with keys up to QuantizedKeys::longest_listed may be off by, whatever the order of sums: less
  /// than half of the slack.
  Scalar listed_error(Index r) const {
    return norm_[static_cast<std::size_t>(r)] * (keys_->most().residual + keys_->most().rounding);
  }

  /// The floor of query r, lowered by its rounding.
  const Scalar& floor(Index r) const { return floor_[static_cast<std::size_t>(r)]; }

  /// A similarity that does not exceed it makes no candidate.
  void set_floor(Index r, const Scalar& floor) {
    floor_[static_cast<std::size_t>(r)] = floor - Scalar(8) * std::numeric_limits<Scalar>::epsilon() * std::abs(floor);
  }

  /// Sets the thresholds of the first `count` queries for a panel. Returns whether it can hold a candidate of one of them.
  bool begin_panel(Index panel, Index count) {
    const Index chunk = panel / chunk_panels;
    if (chunk != chunk_) {
      chunk_ = chunk;
      multiply_centres(chunk * chunk_panels);
    }
    const QueryBounds<Scalar> from{centre_.data() + (panel - chunk * chunk_panels) * padded_, floor_.data(), norm_.data(),
                                   residual_.data(), step_.data()};
    return quantized_loops<Scalar>().set_thresholds(keys_->errors(panel), from, count, thresholds(), reached_.data());
  }

  /// Appends to the queries' lists the keys of the begun panel that may be candidates, with a lower bound on the similarity.
  void screen(Index panel, Index count, Candidates<Scalar>* lists) {
    const auto& loops = quantized_loops<Scalar>();
    alignas(line_bytes) PanelSums sums;
    for (Index r = 0; r < count; r += screened_queries) {
      const unsigned reached = reached_[static_cast<std::size_t>(r / screened_queries)];
      if (reached == 0) continue;
      const Index n = (std::min)(screened_queries, count - r);
      const ScreeningThresholds<Scalar> at = thresholds().from(r);
      const unsigned found =
          loops.find(n, reached, keys_->groups(), codes_.data() + r * stride_, stride_, keys_->codes(panel), at.sum, sums);
      loops.list(sums, found, at, static_cast<KeyIndex>(panel * panel_keys), lists + r);
    }
  }

 private:
  /// The most that a factor may be times the number of columns.
  static constexpr double most_scale = 1 << 20;
  /// Panels whose centres are multiplied with the queries at once.
  static constexpr Index chunk_panels = screened_chunk_keys / panel_keys;

  /// As many are multiplied with the centres one by one: together they would fill up a pack.
  static constexpr Index most_one_by_one = 8;

  /// Rounded up to whole packs, of floats or of the codes' bytes.
  static Index padded(Index n) { return (n + screened_queries - 1) / screened_queries * screened_queries; }

  ScreeningThresholds<Scalar> thresholds() { return {threshold_.data(), zero_.data(), base_.data(), unit_.data()}; }

  bool prepare_query(const Scalar* query, Index r) {
    const Index cols = keys_->cols();
    const auto at = static_cast<std::size_t>(r);
    const Scalar largest = loops<Scalar>().largest_size(query, cols);
    if (!(largest >= Scalar(0) && largest <= most_scaled_)) return false;
    const Steps<Scalar> by = steps_for(largest, keys_->largest_code());
    const ResidualNorms<Scalar> norms =
        norm_bounds(quantized_loops<Scalar>().quantize_query(query, cols, by, codes_.data() + r * stride_, zero_[at]), cols);
    step_[at] = by.step;
    residual_[at] = norms.residual;
    norm_[at] = norms.residual + norms.quantized;
    const PanelErrors<Scalar>& most = keys_->most();
    slack_[at] = Scalar(2) * (norm_[at] * (most.residual + most.rounding) + residual_[at] * most.quantized) *
                 (Scalar(1) + Scalar(16) * std::numeric_limits<Scalar>::epsilon());
    return norm_[at] <= static_cast<Scalar>(most_quantized);
  }

  /// Products of the queries with the centres of a chunk's panels, panel after panel.
  void multiply_centres(Index first) {
    const Index panels = (std::min)(chunk_panels, keys_->panels() - first);
    const Index cols = keys_->cols();
    centre_.resize(static_cast<std::size_t>(chunk_panels * padded_));
    if (transposed_.empty()) {
      std::fill(centre_.begin(), centre_.end(), Scalar(0));
      Scalar products[chunk_panels];
      for (Index r = 0; r < count_; ++r) {
        loops<Scalar>().products(keys_->centres(first), cols, panels, cols, scaled_.data() + r * cols, products, Scalar(1));
        for (Index panel = 0; panel < panels; ++panel) centre_[static_cast<std::size_t>(panel * padded_ + r)] = products[panel];
      }
      return;
    }
    loops<Scalar>().multiply(panels, cols, padded_, keys_->centres(first), cols, Index(1), transposed_.data(), padded_,
                             centre_.data(), padded_);
  }

  const QuantizedKeys<Scalar>* keys_ = nullptr;
  Index count_ = 0;   ///< queries
  Index padded_ = 0;  ///< the number of queries, rounded up
  Index stride_ = 0;  ///< bytes between the codes of two queries
  Index chunk_ = -1;
  LineVector<Scalar> scaled_;  ///< the queries, times the factor
  Scalar most_scaled_{0};      ///< the largest number of them that can be quantized
  LineVector<std::uint8_t> codes_;
  LineVector<std::int32_t> threshold_, zero_;
  std::vector<std::uint16_t> reached_;  ///< a bit for each query
  LineVector<Scalar> norm_, residual_, step_, floor_, base_, unit_, slack_;
  LineVector<Scalar> transposed_;  ///< the scaled queries, column after column; of few, none
  LineVector<Scalar> centre_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
