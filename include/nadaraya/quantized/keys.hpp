// Keys as small whole numbers, with certified bounds on the products of these.
#pragma once

#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/packed.hpp"
#include "nadaraya/loops/stored_rows.hpp"
#include "nadaraya/quantized/codes.hpp"
#include "nadaraya/quantized/table.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

// A panel of 64 keys has a centre c, and each key is k = c + step K + r with K whole numbers of a byte or
// two; a query is q = step' Q + r'. Then
//   q.k = q.c + step step' Q.K + q.r + r'.(step K),
// and by Cauchy and Schwarz the last two are at most |q||r| + |r'||step K|. The rounding of all that,
// and of the q.k that is computed in the end, is at most a few D eps |q| (|c| + |k - c|) (Higham 2002,
// section 3.1). Sums Q.K are exact. So a whole number decides, for each pair, whether its similarity can
// exceed a floor; and where q.c + (|q| + |r'|)|step K| cannot, the panel is skipped as a whole.

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Smaller numbers get the code zero, and are part of the residual; rows that are longer than the second are not quantized.
/// Between them no square or product over- or underflows in float.
inline constexpr double least_quantized = 1e-13;
inline constexpr double most_quantized = 1e15;

/// More columns could overflow the sum of products of bytes.
inline constexpr Index most_quantized_cols = Index(1) << 15;

/// A bound on the relative rounding of a sum of n products.
template <class T>
T rounding_of_sum(Index n) {
  return static_cast<T>(4 * n + 64) * std::numeric_limits<T>::epsilon();
}

/// Upper bound on a norm, given its square as summed in n terms. Squares that underflowed are hidden in the last term: 2^15
/// of them are less than 1e-33.
template <class T>
T length_bound(T squares, Index n) {
  return std::sqrt(squares) * (T(1) + rounding_of_sum<T>(n)) + static_cast<T>(1e-16);
}

template <class T>
Steps<T> steps_for(T largest, int most) {
  if (!(largest >= static_cast<T>(least_quantized))) return Steps<T>{};
  return Steps<T>{largest / T(most), T(most) / largest};
}

/// Upper bounds on the norms, given their squares as summed in n terms. x itself may have been rounded.
template <class T>
ResidualNorms<T> norm_bounds(const ResidualNorms<T>& squares, Index n) {
  const T quantized = length_bound(squares.quantized, n);
  const T residual = length_bound(squares.residual, n);
  return ResidualNorms<T>{residual + T(4) * std::numeric_limits<T>::epsilon() * (residual + quantized), quantized};
}

/// The codes of some keys, panel by panel, a byte or two a number, and the panels' centres. Keys may be appended. Cost: that
/// of reading the keys a few times.
template <class Scalar>
class QuantizedKeys {
 public:
  explicit QuantizedKeys(Index cols, Arena* memory = nullptr)
      : cols_(cols), codes_(memory), centres_(memory), errors_(memory), residuals_(memory), exact_(memory) {
    const Index columns = quantized_loops<Scalar>().group_columns;
    groups_ = (cols + columns - 1) / columns;
  }

  Index keys() const { return keys_; }
  Index cols() const { return cols_; }
  Index groups() const { return groups_; }
  int largest_code() const { return quantized_loops<Scalar>().largest_code(cols_); }
  Index panels() const { return static_cast<Index>(errors_.size()); }

  /// Quantizes rows [0, keys.rows), of which [0, kept) are as they were the last time.
  void update(const StoredRows<Scalar>& keys, Index kept) {
    const Index first = panel_begin((std::min)(kept, keys_)) / panel_keys;
    keys_ = keys.view().rows;
    const std::size_t count = panels_of(keys_);
    errors_.resize(count);
    exact_.resize(count);
    codes_.resize(count * static_cast<std::size_t>(panel_size()));
    centres_.resize(count * static_cast<std::size_t>(cols_));
    for (Index panel = first; panel < panels(); ++panel) quantize_panel(keys, panel);
    limit_errors();
  }

  /// Makes room for `keys` keys, stored in 16 bits or not: an update() to them then allocates nothing. If it throws,
  /// nothing has changed.
  void reserve(Index keys, bool narrow) {
    if (narrow) widened_.resize(static_cast<std::size_t>(panel_keys * cols_));
    const std::size_t count = panels_of(keys);
    reserve_more(errors_, count);
    reserve_more(residuals_, count);
    reserve_more(exact_, count);
    reserve_more(codes_, count * static_cast<std::size_t>(panel_size()));
    reserve_more(centres_, count * static_cast<std::size_t>(cols_));
  }

  const std::uint8_t* codes(Index panel) const { return codes_.data() + panel * panel_size(); }
  const Scalar* centres(Index panel) const { return centres_.data() + panel * cols_; }
  const PanelErrors<Scalar>& errors(Index panel) const { return errors_[static_cast<std::size_t>(panel)]; }

  /// True if a panel must be scored as it is: it holds NaN or infinity, or has far larger residuals than others.
  bool exact(Index panel) const {
    return exact_[static_cast<std::size_t>(panel)] || !(errors(panel).residual <= most_.residual);
  }

  bool all_exact() const { return all_exact_; }

  /// The longest key of an exact panel whose products differ, with the order of sums, by no more than those of the other
  /// panels are uncertain by.
  Scalar longest_listed() const { return (most_.residual + most_.rounding) / rounding_of_sum<Scalar>(cols_); }

  /// The largest errors of panels that are not exact.
  const PanelErrors<Scalar>& most() const { return most_; }

 private:
  static std::size_t panels_of(Index keys) { return static_cast<std::size_t>((keys + panel_keys - 1) / panel_keys); }
  Index panel_size() const { return groups_ * group_bytes * panel_keys; }

  void quantize_panel(const StoredRows<Scalar>& all, Index panel) {
    const auto& loops = quantized_loops<Scalar>();
    const Index first = panel * panel_keys;
    const Index count = (std::min)(panel_keys, all.view().rows - first);
    const View<Scalar> keys = all.read(first, count, widened_);
    std::uint8_t* codes = codes_.data() + panel * panel_size();
    Scalar* centre = centres_.data() + panel * cols_;
    PanelErrors<Scalar>& errors = errors_[static_cast<std::size_t>(panel)];
    char& exact = exact_[static_cast<std::size_t>(panel)];
    std::fill(codes, codes + panel_size(), loops.zero);
    const Scalar largest = engine::loops<Scalar>().centre_rows(keys.data, keys.stride, count, cols_, centre);
    exact = !(largest >= Scalar(0) && largest <= static_cast<Scalar>(most_quantized));
    errors = PanelErrors<Scalar>{};
    if (exact) {
      std::fill(centre, centre + cols_, Scalar(0));
      return;
    }
    const Steps<Scalar> by = steps_for(largest, largest_code());
    const ResidualNorms<Scalar> norms =
        norm_bounds(loops.quantize_keys(keys.data, keys.stride, count, cols_, centre, by, codes), cols_);
    Scalar squares(0);
    for (Index d = 0; d < cols_; ++d) squares += centre[d] * centre[d];
    const Scalar longest = length_bound(squares, cols_) + norms.residual + norms.quantized;
    errors = PanelErrors<Scalar>{by.step, norms.residual, norms.quantized, rounding_of_sum<Scalar>(cols_) * longest};
    exact = !(longest <= static_cast<Scalar>(most_quantized));
  }

  /// Lists hold bounds that may all be as wrong as the worst: a few panels must not spoil those of all.
  void limit_errors() {
    residuals_.clear();
    reserve_more(residuals_, errors_.size());
    for (std::size_t p = 0; p < errors_.size(); ++p) {
      if (!exact_[p]) residuals_.push_back(errors_[p].residual);
    }
    most_ = PanelErrors<Scalar>{};
    all_exact_ = residuals_.empty();
    if (all_exact_) return;
    const auto middle = residuals_.begin() + static_cast<std::ptrdiff_t>(residuals_.size() / 2);
    std::nth_element(residuals_.begin(), middle, residuals_.end());
    const Scalar limit = Scalar(2) * *middle;
    for (std::size_t p = 0; p < errors_.size(); ++p) {
      const PanelErrors<Scalar>& e = errors_[p];
      if (exact_[p] || e.residual > limit) continue;
      most_.residual = (std::max)(most_.residual, e.residual);
      most_.quantized = (std::max)(most_.quantized, e.quantized);
      most_.rounding = (std::max)(most_.rounding, e.rounding);
    }
  }

  Index cols_;
  Index groups_ = 0;
  Index keys_ = 0;
  LineVector<std::uint8_t> codes_;
  LineVector<Scalar> centres_;
  LineVector<PanelErrors<Scalar>> errors_;
  LineVector<Scalar> residuals_;  ///< of panels that are not exact, in any order
  LineVector<char> exact_;
  bool all_exact_ = true;
  LineVector<Scalar> widened_;  ///< a panel's keys, if they are stored in 16 bits
  PanelErrors<Scalar> most_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
