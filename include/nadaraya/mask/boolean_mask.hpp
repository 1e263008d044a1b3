// Any set of visible pairs.
#pragma once

#include "nadaraya/mask/elementwise.hpp"

#include <type_traits>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Key j is visible to query i iff visible(i, j). The argument is a function of (i, j), or of
/// (i, j, Extent), or an Eigen matrix of bool; a matrix is copied once, unless passed by std::cref or
/// std::move, and copies of the mask share it.
///   BooleanMask{[&](Index i, Index j) { return document[i] == document[j]; }}
template <class Visible>
class BooleanMask {
 public:
  /// A function, or a matrix [Nq x Nk] that is copied unless moved from.
  explicit BooleanMask(Visible visible) : visible_(std::move(visible)) {}

  /// Throws std::invalid_argument if a matrix is not [Nq x Nk].
  void validate(const Extent& n) const { detail::validate_pairs(visible_.get(), n, "BooleanMask"); }

  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }  ///< Every key may be visible.

  /// True if key `key` is visible to query `query`.
  bool visible(Index query, Index key, const Extent& n) const {
    using Result = std::remove_cvref_t<decltype(detail::at(visible_.get(), query, key, n))>;
    static_assert(!std::is_floating_point_v<Result>,
                  "BooleanMask: an entry must be true or false; numbers that are added to similarities, -infinity for hidden keys, "
                  "are an AdditiveBias");
    return static_cast<bool>(detail::at(visible_.get(), query, key, n));
  }

 private:
  detail::PairFunction<Visible> visible_;
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
