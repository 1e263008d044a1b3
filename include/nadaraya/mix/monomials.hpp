// The monomials of a few variables, by degree.
#pragma once

#include "nadaraya/types.hpp"

#include <array>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// The monomials of degree 1 to `degree` in D variables, the D variables first. Each other monomial is an earlier one
/// times a variable: x_axis times the monomial `factor`. There are (D + degree)! / (D! degree!) - 1.
class Monomials {
 public:
  struct Term {
    Index factor;  ///< -1 for a variable
    Index axis;    ///< not below the axes of `factor`
  };

  Monomials() = default;
  Monomials(Index dimension, int degree) {
    if (degree < 1) return;
    for (Index d = 0; d < dimension; ++d) terms_.push_back({-1, d});
    std::size_t begin = 0;
    for (int n = 2; n <= degree; ++n) {
      const std::size_t end = terms_.size();
      for (std::size_t m = begin; m < end; ++m) {
        for (Index d = terms_[m].axis; d < dimension; ++d) terms_.push_back({static_cast<Index>(m), d});
      }
      begin = end;
    }
  }

  Index size() const { return static_cast<Index>(terms_.size()); }
  const Term& operator[](Index m) const { return terms_[static_cast<std::size_t>(m)]; }

  /// The exponent of a variable in monomial m.
  Index exponent(Index m, Index axis) const {
    Index count = 0;
    for (; m >= 0; m = (*this)[m].factor) count += (*this)[m].axis == axis ? 1 : 0;
    return count;
  }

  /// Columns D and up of phi [s x M], whose first D are the variables.
  template <class Columns>
  void fill(Columns&& phi) const {
    for (Index m = 0; m < size(); ++m) {
      const Term term = (*this)[m];
      if (term.factor >= 0) phi.col(m) = phi.col(term.factor).array() * phi.col(term.axis).array();
    }
  }

  /// Adds to the first D columns of g = dL/dphi what reaches the variables through the others. Overwrites the others.
  template <class Columns, class Gradient>
  void pull(const Columns& phi, Gradient&& g) const {
    for (Index m = size() - 1; m >= 0; --m) {
      const Term term = (*this)[m];
      if (term.factor < 0) continue;
      g.col(term.factor).array() += g.col(m).array() * phi.col(term.axis).array();
      g.col(term.axis).array() += g.col(m).array() * phi.col(term.factor).array();
    }
  }

 private:
  std::vector<Term> terms_;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
