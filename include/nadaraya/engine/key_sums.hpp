// Sums over queries for a range of keys, in runs.
#pragma once

#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/operands.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Memory for the sums of a range of keys, reused from range to range.
template <class Scalar>
struct KeySumScratch {
  std::vector<std::uint16_t> terms;
  LineVector<Scalar> key_totals;
  LineVector<Scalar> value_totals;
};

/// dL/dkey and dL/dvalue of the keys [first, first + count) while they are added up, in runs: where a key has had
/// pair_run_terms terms, its sums move to totals and begin anew at zero. So the rounding error grows with the number of
/// runs and not of terms. Totals take the memory of the sums, once any key has a full run.
template <class Scalar>
class KeySums {
 public:
  /// The sums begin as they are; `begun`: the number of terms taken to be in them.
  KeySums(const MatrixMap<Scalar>& keys, const MatrixMap<Scalar>& values, Index first, Index count, Index begun,
          KeySumScratch<Scalar>& scratch)
      : key(keys), value(values), first_(first), count_(count), scratch_(scratch) {
    scratch.terms.assign(static_cast<std::size_t>(count), static_cast<std::uint16_t>(begun));
  }

  MatrixMap<Scalar> key;
  MatrixMap<Scalar> value;

  KeyIndex first() const { return static_cast<KeyIndex>(first_); }
  /// The terms of each key since its last run, counted by Loops::scatter.
  std::uint16_t* terms() { return scratch_.terms.data(); }
  bool is_run(Index j) const { return scratch_.terms[static_cast<std::size_t>(j - first_)] == pair_run_terms; }

  /// Moves the sums of a key to the totals.
  void end_run(Index j) {
    begin_totals();
    key_totals().row(j - first_) += key.row(j);
    value_totals().row(j - first_) += value.row(j);
    key.row(j).setZero();
    value.row(j).setZero();
    scratch_.terms[static_cast<std::size_t>(j - first_)] = 0;
  }

  /// ... and of all keys.
  void end_runs() {
    begin_totals();
    const auto end = [&](Totals totals, MatrixMap<Scalar>& sums) {
      totals += sums.middleRows(first_, count_);
      sums.middleRows(first_, count_).setZero();
    };
    end(key_totals(), key);
    end(value_totals(), value);
    std::fill(scratch_.terms.begin(), scratch_.terms.end(), std::uint16_t(0));
  }

  /// Adds the totals to the sums.
  void close() {
    if (!has_totals_) return;
    key.middleRows(first_, count_) += key_totals();
    value.middleRows(first_, count_) += value_totals();
  }

 private:
  using Totals = Eigen::Map<RowMatrix<Scalar>>;

  Totals key_totals() { return Totals(scratch_.key_totals.data(), count_, key.cols()); }
  Totals value_totals() { return Totals(scratch_.value_totals.data(), count_, value.cols()); }
  void begin_totals() {
    if (has_totals_) return;
    has_totals_ = true;
    scratch_.key_totals.assign(static_cast<std::size_t>(count_ * key.cols()), Scalar(0));
    scratch_.value_totals.assign(static_cast<std::size_t>(count_ * value.cols()), Scalar(0));
  }

  Index first_;
  Index count_;
  bool has_totals_ = false;
  KeySumScratch<Scalar>& scratch_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
