// Keys and queries as small whole numbers, with certified bounds on what that misses of their products.
#pragma once

#include "nadaraya/engine/buffer.hpp"
#include "nadaraya/engine/packed.hpp"
#include "nadaraya/engine/row.hpp"
#include "nadaraya/engine/sketch_loops.hpp"
#include "nadaraya/engine/sketch_tiers.hpp"
#include "nadaraya/engine/tiers.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

// A panel of 64 keys has a centre c, and each key is k = c + step K + r with K whole numbers of a byte or
// two; a query is q = step' Q + r'. Then
//   q.k = q.c + step step' Q.K + q.r + r'.(step K),
// and by Cauchy and Schwarz the last two are at most |q||r| + |r'||step K|. The rounding of all that,
// and of the q.k that is computed in the end, is at most a few D eps |q| (|c| + |k - c|) (Higham 2002,
// section 3.1). Sums Q.K are exact. So a whole number decides, for each pair, whether its similarity can
// exceed a floor; and where q.c + (|q| + |r'|)|step K| cannot, the panel is skipped as a whole.

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

static_assert(panel_keys == sketch_keys);

/// Numbers smaller than that become zeros of a sketch, and part of what it misses; longer rows than the
/// second stay out of it. Between them no square or product over- or underflows in float.
inline constexpr double least_sketched = 1e-13;
inline constexpr double most_sketched = 1e15;

/// More columns could overflow the sum of products of bytes.
inline constexpr Index most_sketch_cols = Index(1) << 15;

/// A bound on the relative rounding of a sum of n products.
template <class T>
T rounding_of_sum(Index n) {
  return static_cast<T>(4 * n + 64) * std::numeric_limits<T>::epsilon();
}

/// A length, from above, of which `squares` has been summed in n terms. Squares that underflowed are
/// hidden in the last term: 2^15 of them are less than 1e-33.
template <class T>
T length_bound(T squares, Index n) {
  return std::sqrt(squares) * (T(1) + rounding_of_sum<T>(n)) + static_cast<T>(1e-16);
}

template <class T>
Steps<T> steps_for(T largest, int most) {
  if (!(largest >= static_cast<T>(least_sketched))) return Steps<T>{};
  return Steps<T>{largest / T(most), T(most) / largest};
}

/// |x - step X| and |step X| from above, given their squares as summed. x itself may have been rounded.
template <class T>
Missed<T> lengths(const Missed<T>& squares, Index n) {
  const T taken = length_bound(squares.taken, n);
  const T rest = length_bound(squares.rest, n);
  return Missed<T>{rest + T(4) * std::numeric_limits<T>::epsilon() * (rest + taken), taken};
}

/// The sketch of some keys, panel by panel: a byte or two a number, and the panels' centres. Keys may be
/// appended. Cost: that of reading the keys a few times.
template <class Scalar>
class KeySketch {
 public:
  explicit KeySketch(Index cols) : cols_(cols) {
    with_sketch_loops([&]<class Loops>(Loops) {
      groups_ = sketch_groups<typename Loops::Whole>(cols);
      most_code_ = Loops::Whole::most(cols);
      zero_ = static_cast<std::uint8_t>(Loops::Whole::zero);
    });
  }

  Index keys() const { return keys_; }
  Index cols() const { return cols_; }
  Index groups() const { return groups_; }
  /// The largest code.
  int most_code() const { return most_code_; }
  Index panels() const { return static_cast<Index>(errors_.size()); }

  /// Makes the sketch that of rows [0, keys.rows), of which [0, kept) are as they were the last time.
  void update(const View<Scalar>& keys, Index kept) {
    const Index first = panel_begin((std::min)(kept, keys_)) / panel_keys;
    keys_ = keys.rows;
    const auto count = static_cast<std::size_t>((keys_ + panel_keys - 1) / panel_keys);
    errors_.resize(count);
    exact_.resize(count);
    codes_.resize(count * static_cast<std::size_t>(panel_size()));
    centres_.resize(count * static_cast<std::size_t>(cols_));
    for (Index panel = first; panel < panels(); ++panel) make_panel(keys, panel);
    limit_errors();
  }

  /// Makes room for `keys` keys: an update() to them then allocates nothing. If it throws, nothing has changed.
  void reserve(Index keys) {
    const auto count = static_cast<std::size_t>((keys + panel_keys - 1) / panel_keys);
    reserve_more(errors_, count);
    reserve_more(rests_, count);
    reserve_more(exact_, count);
    reserve_more(codes_, count * static_cast<std::size_t>(panel_size()));
    reserve_more(centres_, count * static_cast<std::size_t>(cols_));
  }

  const std::uint8_t* codes(Index panel) const { return codes_.data() + panel * panel_size(); }
  const Scalar* centres(Index panel) const { return centres_.data() + panel * cols_; }
  const PanelErrors<Scalar>& errors(Index panel) const { return errors_[static_cast<std::size_t>(panel)]; }

  /// Is a panel to be scored as it is? It holds NaN or infinity, or misses far more than others do.
  bool exact(Index panel) const {
    return exact_[static_cast<std::size_t>(panel)] || !(errors(panel).rest <= most_.rest);
  }

  bool all_exact() const { return all_exact_; }

  /// The longest key of an exact panel whose products differ, with the order of sums, by no more than those of the other
  /// panels are uncertain by.
  Scalar longest_listed() const { return (most_.rest + most_.rounding) / rounding_of_sum<Scalar>(cols_); }

  /// The largest errors of panels that are not exact.
  const PanelErrors<Scalar>& most() const { return most_; }

 private:
  Index panel_size() const { return groups_ * sketch_group * panel_keys; }

  void make_panel(const View<Scalar>& keys, Index panel) {
    const Index first = panel * panel_keys;
    const Index count = (std::min)(panel_keys, keys.rows - first);
    std::uint8_t* codes = codes_.data() + panel * panel_size();
    Scalar* centre = centres_.data() + panel * cols_;
    const auto p = static_cast<std::size_t>(panel);
    std::fill(codes, codes + panel_size(), zero_);
    const Scalar largest = with_loops<Scalar>([&](auto loops) {
      return loops.centre_rows(keys.row(first), keys.stride, count, cols_, centre);
    });
    exact_[p] = !(largest >= Scalar(0) && largest <= static_cast<Scalar>(most_sketched));
    errors_[p] = PanelErrors<Scalar>{};
    if (exact_[p]) {
      std::fill(centre, centre + cols_, Scalar(0));
      return;
    }
    const Steps<Scalar> by = steps_for(largest, most_code_);
    const Missed<Scalar> missed = lengths(with_sketch_loops([&](auto loops) {
      return loops.quantize_keys(keys.row(first), keys.stride, count, cols_, static_cast<const Scalar*>(centre), by, codes);
    }), cols_);
    Scalar squares(0);
    for (Index d = 0; d < cols_; ++d) squares += centre[d] * centre[d];
    const Scalar reach = length_bound(squares, cols_) + missed.rest + missed.taken;
    errors_[p] = PanelErrors<Scalar>{by.step, missed.rest, missed.taken, rounding_of_sum<Scalar>(cols_) * reach};
    exact_[p] = !(reach <= static_cast<Scalar>(most_sketched));
  }

  /// Lists hold bounds that may all be as wrong as the worst: a few panels must not spoil those of all.
  void limit_errors() {
    rests_.clear();
    for (std::size_t p = 0; p < errors_.size(); ++p) {
      if (!exact_[p]) rests_.push_back(errors_[p].rest);
    }
    most_ = PanelErrors<Scalar>{};
    all_exact_ = rests_.empty();
    if (all_exact_) return;
    const auto middle = rests_.begin() + static_cast<std::ptrdiff_t>(rests_.size() / 2);
    std::nth_element(rests_.begin(), middle, rests_.end());
    const Scalar limit = Scalar(2) * *middle;
    for (std::size_t p = 0; p < errors_.size(); ++p) {
      const PanelErrors<Scalar>& e = errors_[p];
      if (exact_[p] || e.rest > limit) continue;
      most_.rest = (std::max)(most_.rest, e.rest);
      most_.taken = (std::max)(most_.taken, e.taken);
      most_.rounding = (std::max)(most_.rounding, e.rounding);
    }
  }

  Index cols_;
  Index groups_ = 0;
  int most_code_ = 0;
  std::uint8_t zero_ = 0;  ///< the byte that zeros are made of
  Index keys_ = 0;
  LineVector<std::uint8_t> codes_;
  LineVector<Scalar> centres_;
  std::vector<PanelErrors<Scalar>> errors_;
  std::vector<Scalar> rests_;  ///< of panels that are not exact, in any order
  std::vector<char> exact_;
  bool all_exact_ = true;
  PanelErrors<Scalar> most_;
};

/// The queries of one block as a sketch, while its panels are screened. Reused from block to block.
template <class Scalar>
class QuerySketch {
 public:
  /// `count` queries, cols apart; a similarity is their product with a key times a factor. Returns whether all of them can
  /// be screened by: they are finite and of a usable size, with the factor and without.
  ///
  /// The sketch is of the queries times the factor, whose rounding is a part of that of a product. Of the product without
  /// it, no number overflows, and what underflows, D factor 2^-150 at most, is less than the bound has to spare.
  bool prepare(const Scalar* unscaled, Index count, const KeySketch<Scalar>& keys, Scalar factor = Scalar(1)) {
    keys_ = &keys;
    const Scalar size = std::abs(factor);
    if (!(size > Scalar(0) && size * static_cast<Scalar>(keys.cols()) <= static_cast<Scalar>(most_scale))) return false;
    most_scaled_ = static_cast<Scalar>(most_sketched) * (std::min)(Scalar(1), size);
    scaled_.resize(static_cast<std::size_t>(count * keys.cols()));
    const Scalar* const queries = scaled_.data();
    with_loops<Scalar>([&](auto loops) { loops.scale(unscaled, count * keys.cols(), factor, scaled_.data()); });
    padded_ = (count + lane - 1) / lane * lane;
    const Index cols = keys.cols();
    stride_ = (keys.groups() * sketch_group + lane - 1) / lane * lane;
    const auto entries = static_cast<std::size_t>(padded_);
    codes_.assign(static_cast<std::size_t>(padded_ * stride_), 0);
    for (auto* each : {&norm_, &rest_, &step_, &level_, &base_, &unit_, &margin_}) each->assign(entries, Scalar(0));
    threshold_.assign(entries, (std::numeric_limits<std::int32_t>::max)());
    zero_.assign(entries, 0);
    in_reach_.assign(entries / lane, 0);
    for (Index r = 0; r < count; ++r) {
      if (!prepare_query(queries + r * cols, r)) return false;
    }
    transposed_.resize(static_cast<std::size_t>(cols * padded_));
    pack_columns(queries, cols, count, cols, padded_, transposed_.data());
    chunk_ = -1;
    passed_ = count;
    return true;
  }

  /// How far below its similarity a listed bound of query r may lie.
  const Scalar& margin(Index r) const { return margin_[static_cast<std::size_t>(r)]; }

  /// What products of query r with keys up to KeySketch::longest_listed may be off by, whatever the order of sums: less than
  /// half of the margin.
  Scalar listed_error(Index r) const {
    return norm_[static_cast<std::size_t>(r)] * (keys_->most().rest + keys_->most().rounding);
  }

  /// The floor of query r, less its rounding.
  const Scalar& level(Index r) const { return level_[static_cast<std::size_t>(r)]; }

  void set_level(Index r, const Scalar& floor) {
    const Scalar slack = Scalar(8) * std::numeric_limits<Scalar>::epsilon() * std::abs(floor);
    level_[static_cast<std::size_t>(r)] = floor - slack;
  }

  /// Gets ready for a panel. Returns whether it is in reach of any of the queries.
  bool aim(Index panel, Index count) {
    const Index chunk = panel / chunk_panels;
    if (chunk != chunk_) {
      chunk_ = chunk;
      multiply_centres(chunk * chunk_panels);
    }
    const Levels<Scalar> from{centre_.data() + (panel - chunk * chunk_panels) * padded_, level_.data(), norm_.data(),
                              rest_.data(), step_.data()};
    return with_sketch_loops([&](auto loops) {
      return loops.aim(keys_->errors(panel), from, count, aims(), in_reach_.data());
    });
  }

  /// Appends to the queries' lists what may be a candidate of theirs in the panel that was aimed at.
  void screen(Index panel, Index count, Candidates<Scalar>* lists) {
    with_sketch_loops([&](auto loops) {
      passed_ = loops.screen(count, keys_->groups(), codes_.data(), stride_, keys_->codes(panel), aims(), in_reach_.data(),
                             static_cast<KeyIndex>(panel * panel_keys), passed_, lists);
    });
  }

 private:
  static constexpr Index lane = 16;
  /// The most that a factor may be times the number of columns.
  static constexpr double most_scale = 1 << 20;
  /// Panels whose centres are multiplied with the queries at once.
  static constexpr Index chunk_panels = 64;

  Aims<Scalar> aims() { return Aims<Scalar>{threshold_.data(), zero_.data(), base_.data(), unit_.data()}; }

  bool prepare_query(const Scalar* query, Index r) {
    const Index cols = keys_->cols();
    const auto at = static_cast<std::size_t>(r);
    const Scalar largest = with_loops<Scalar>([&](auto loops) { return loops.largest_size(query, cols); });
    if (!(largest >= Scalar(0) && largest <= most_scaled_)) return false;
    const Steps<Scalar> by = steps_for(largest, keys_->most_code());
    const Missed<Scalar> missed = lengths(with_sketch_loops([&](auto loops) {
      return loops.quantize_query(query, cols, by, codes_.data() + r * stride_, zero_[at]);
    }), cols);
    step_[at] = by.step;
    rest_[at] = missed.rest;
    norm_[at] = missed.rest + missed.taken;
    const PanelErrors<Scalar>& most = keys_->most();
    margin_[at] = Scalar(2) * (norm_[at] * (most.rest + most.rounding) + rest_[at] * most.taken) *
                  (Scalar(1) + Scalar(16) * std::numeric_limits<Scalar>::epsilon());
    return norm_[at] <= static_cast<Scalar>(most_sketched);
  }

  /// Products of the queries with the centres of a chunk's panels, panel after panel.
  void multiply_centres(Index first) {
    const Index panels = (std::min)(chunk_panels, keys_->panels() - first);
    const Index cols = keys_->cols();
    centre_.resize(static_cast<std::size_t>(chunk_panels * padded_));
    with_loops<Scalar>([&](auto loops) {
      loops.template multiply<false>(panels, cols, padded_, keys_->centres(first), cols, Index(1), transposed_.data(),
                                     padded_, centre_.data(), padded_);
    });
  }

  const KeySketch<Scalar>* keys_ = nullptr;
  Index padded_ = 0;
  Index stride_ = 0;
  Index chunk_ = -1;
  Index passed_ = 0;  ///< queries that a key of the last panel passed for
  LineVector<Scalar> scaled_;  ///< the queries, times the factor
  Scalar most_scaled_{0};      ///< numbers of longer ones stay out
  LineVector<std::uint8_t> codes_;
  LineVector<std::int32_t> threshold_;
  LineVector<std::int32_t> zero_;
  std::vector<std::uint16_t> in_reach_;  ///< a bit for each query
  LineVector<Scalar> norm_;
  LineVector<Scalar> rest_;
  LineVector<Scalar> step_;
  LineVector<Scalar> level_;
  LineVector<Scalar> base_;
  LineVector<Scalar> unit_;
  LineVector<Scalar> margin_;
  LineVector<Scalar> transposed_;
  LineVector<Scalar> centre_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
