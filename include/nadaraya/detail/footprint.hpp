// The elements of an array in memory, and whether two arrays share any.
#pragma once

#include "nadaraya/types.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Addresses of the elements of an array of up to four dimensions with any strides:
///   Footprint(data, sizeof(*data)).along(rows, row_stride).along(cols, col_stride)
/// Strides count elements and may be 0 or negative. A default-constructed footprint is empty.
class Footprint {
 public:
  Footprint() = default;
  Footprint(const void* data, std::size_t element)
      : begin_(static_cast<std::intptr_t>(reinterpret_cast<std::uintptr_t>(data))),
        element_(static_cast<std::intptr_t>(element)),
        extent_(element_) {}

  Footprint& along(Index size, Index stride) {
    if (size <= 0) empty_ = true;
    if (size <= 1 || empty_) return *this;
    const std::intptr_t step = stride * element_;
    const std::intptr_t length = (size - 1) * (step < 0 ? -step : step);
    if (step < 0) begin_ -= length;
    extent_ += length;
    if (step == 0) {
      repeats_ = true;
    } else {
      terms_[count_++] = Term{step < 0 ? -step : step, size - 1};
    }
    return *this;
  }

  /// True if an element of one is, in whole or in part, an element of the other. Arrays that interleave
  /// without sharing an element, such as heads or columns of one tensor, do not.
  /// Cost: one comparison if their address ranges are disjoint. Otherwise a search for a solution of
  ///   a + sum a_d i_d + s = b + sum b_d j_d + t,   s and t bytes of an element,
  /// within the bounds of the indices. Nested strides need a handful of steps; after 10,000 the answer is true.
  static bool share(const Footprint& a, const Footprint& b) {
    if (a.nothing() || b.nothing()) return false;
    if (a.begin_ + a.extent_ <= b.begin_ || b.begin_ + b.extent_ <= a.begin_) return false;
    Sum sum;
    for (std::size_t d = 0; d < a.count_; ++d) sum.add(a.terms_[d]);
    for (std::size_t d = 0; d < b.count_; ++d) sum.add(b.terms_[d]);
    sum.add(Term{1, a.element_ + b.element_ - 2});
    return sum.can_be(b.begin_ - a.begin_ + b.extent_ - 1);
  }

  /// True if two different elements of the array lie in one place.
  bool collides() const {
    if (nothing()) return false;
    if (repeats_) return true;
    // The first dimension d in which their indices differ, by 1 or more, and any difference in those after it.
    for (std::size_t d = 0; d < count_; ++d) {
      Sum sum;
      std::intptr_t target = element_ - 1 - terms_[d].step;
      sum.add(Term{terms_[d].step, terms_[d].most - 1});
      for (std::size_t e = d + 1; e < count_; ++e) {
        sum.add(Term{terms_[e].step, 2 * terms_[e].most});
        target += terms_[e].step * terms_[e].most;
      }
      sum.add(Term{1, 2 * (element_ - 1)});
      if (sum.can_be(target)) return true;
    }
    return false;
  }

 private:
  /// step * x with 0 <= x <= most.
  struct Term {
    std::intptr_t step = 0;
    std::intptr_t most = 0;
  };

  class Sum {
   public:
    /// Terms are kept by descending steps, one of each.
    void add(const Term& term) {
      if (term.most <= 0) return;
      std::size_t k = 0;
      while (k < count_ && terms_[k].step > term.step) ++k;
      if (k < count_ && terms_[k].step == term.step) {
        terms_[k].most += term.most;
        return;
      }
      for (std::size_t i = count_++; i > k; --i) terms_[i] = terms_[i - 1];
      terms_[k] = term;
    }

    /// True if the sum of the terms takes a value.
    bool can_be(std::intptr_t value) {
      for (std::size_t k = count_; k-- > 0;) {
        rest_[k] = rest_[k + 1] + terms_[k].step * terms_[k].most;
        divisor_[k] = std::gcd(divisor_[k + 1], terms_[k].step);
      }
      return search(0, value);
    }

   private:
    bool search(std::size_t k, std::intptr_t value) {
      if (value < 0 || value > rest_[k]) return false;
      if (value == 0) return true;
      if (value % divisor_[k] != 0) return false;
      if (--work_ < 0) return true;
      const std::intptr_t step = terms_[k].step;
      const std::intptr_t least = value > rest_[k + 1] ? (value - rest_[k + 1] + step - 1) / step : 0;
      for (std::intptr_t x = (std::min)(terms_[k].most, value / step); x >= least; --x) {
        if (search(k + 1, value - x * step)) return true;
      }
      return false;
    }

    std::array<Term, 9> terms_;
    std::size_t count_ = 0;
    std::array<std::intptr_t, 10> rest_{};     ///< the largest sum of the terms from one on
    std::array<std::intptr_t, 10> divisor_{};  ///< their greatest common divisor
    int work_ = 10000;
  };

  bool nothing() const { return empty_ || element_ == 0; }

  std::intptr_t begin_ = 0;
  std::intptr_t element_ = 0;
  std::intptr_t extent_ = 0;  ///< from the first byte to the end of the last element
  std::array<Term, 4> terms_;
  std::size_t count_ = 0;
  bool empty_ = false;
  bool repeats_ = false;
};

/// Returns the footprint of a matrix or view; of nothing for an expression, which has no address. See
/// written_footprint for expressions that can be assigned to, such as reversed or selected rows.
template <class X>
Footprint footprint(const X& x) {
  if constexpr ((int(X::Flags) & Eigen::DirectAccessBit) != 0) {
    Footprint print(x.data(), sizeof(typename X::Scalar));
    return print.along(x.rows(), x.IsRowMajor ? x.outerStride() : x.innerStride())
        .along(x.cols(), x.IsRowMajor ? x.innerStride() : x.outerStride());
  } else {
    return Footprint();
  }
}

/// Returns the footprint of the matrix or view that an assignment to an expression writes to.
template <class X>
Footprint written_footprint(const X& x) {
  if constexpr ((int(X::Flags) & Eigen::DirectAccessBit) != 0) {
    return footprint(x);
  } else if constexpr (requires { x.nestedExpression().derived(); }) {
    return written_footprint(x.nestedExpression());
  } else {
    return Footprint();
  }
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
