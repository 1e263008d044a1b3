// Sums over queries for a range of keys, in runs.
#pragma once

#include "nadaraya/loops/operands.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// dL/dkey and dL/dvalue of the keys [first, first + count) while they are added up, in runs: where a key has had
/// pair_run_terms terms, its sums move to totals and begin anew at zero. So the rounding error grows with the number of
/// runs and not of terms. Totals take the memory of the sums, once any key has a full run.
template <class Scalar>
class KeySums {
 public:
  /// The sums begin as they are; `begun`: the number of terms taken to be in them.
  KeySums(const MatrixMap<Scalar>& keys, const MatrixMap<Scalar>& values, Index first, Index count, Index begun)
      : key(keys), value(values), first_(first), terms_(static_cast<std::size_t>(count), static_cast<std::uint16_t>(begun)) {}

  MatrixMap<Scalar> key;
  MatrixMap<Scalar> value;

  KeyIndex first() const { return static_cast<KeyIndex>(first_); }
  /// The terms of each key since its last run, counted by Loops::scatter.
  std::uint16_t* terms() { return terms_.data(); }
  bool is_run(Index j) const { return terms_[static_cast<std::size_t>(j - first_)] == pair_run_terms; }

  /// Moves the sums of a key to the totals.
  void end_run(Index j) {
    begin_totals();
    key_totals_.row(j - first_) += key.row(j);
    value_totals_.row(j - first_) += value.row(j);
    key.row(j).setZero();
    value.row(j).setZero();
    terms_[static_cast<std::size_t>(j - first_)] = 0;
  }

  /// ... and of all keys.
  void end_runs() {
    begin_totals();
    const auto end = [&](RowMatrix<Scalar>& totals, MatrixMap<Scalar>& sums) {
      totals += sums.middleRows(first_, count());
      sums.middleRows(first_, count()).setZero();
    };
    end(key_totals_, key);
    end(value_totals_, value);
    terms_.assign(terms_.size(), 0);
  }

  /// Adds the totals to the sums.
  void close() {
    if (key_totals_.rows() > 0) {
      key.middleRows(first_, count()) += key_totals_;
      value.middleRows(first_, count()) += value_totals_;
    }
  }

 private:
  Index count() const { return static_cast<Index>(terms_.size()); }
  void begin_totals() {
    if (key_totals_.rows() > 0) return;
    key_totals_.setZero(count(), key.cols());
    value_totals_.setZero(count(), value.cols());
  }

  Index first_;
  std::vector<std::uint16_t> terms_;
  RowMatrix<Scalar> key_totals_;
  RowMatrix<Scalar> value_totals_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
