// Two masks at once that are chosen at run time.
#pragma once

#include "nadaraya/chosen_operator.hpp"
#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/row_mask.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

/// As Intersection, of masks without their types and without parameters.
template <class Scalar>
class RowMaskIntersection final : public engine::RowMask<Scalar> {
 public:
  using Mask = std::shared_ptr<const engine::RowMask<Scalar>>;

  RowMaskIntersection(Mask a, Mask b)
      : engine::RowMask<Scalar>({a->traits().holed || b->traits().holed, a->traits().biased || b->traits().biased}),
        a_(std::move(a)),
        b_(std::move(b)) {}

  KeyRange range(Index query, const Extent& n) const override {
    const KeyRange a = a_->range(query, n), b = b_->range(query, n);
    return n.clip((std::max)(a.first, b.first), (std::min)(a.last, b.last));
  }
  std::uint64_t visible(Index query, Index first, Index count, const Extent& n) const override {
    return a_->visible(query, first, count, n) & b_->visible(query, first, count, n);
  }
  void add_bias(Index query, const engine::KeyList& keys, const Extent& n, Scalar* z) const override {
    a_->add_bias(query, keys, n, z);
    b_->add_bias(query, keys, n, z);
  }
  std::unique_ptr<engine::OwnGradient> no_gradient() const override { return nullptr; }
  void pull_parameters(Index, const engine::KeyList&, const Extent&, const Scalar*, engine::OwnGradient&) const override {}

 private:
  Mask a_, b_;
};

}  // namespace detail

/// A pair is visible iff it is visible to both; biases add. Throws std::invalid_argument for a bias that has parameters.
template <class Scalar>
AnyMask<Scalar> operator&(const AnyMask<Scalar>& a, const AnyMask<Scalar>& b) {
  detail::require(!a.rows->no_gradient() && !b.rows->no_gradient(),
                  "AnyMask: a bias with parameters does not go with another mask");
  AnyMask<Scalar> both = a;
  both.rows = std::make_shared<const detail::RowMaskIntersection<Scalar>>(a.rows, b.rows);
  both.validate = [first = a.validate, second = b.validate](const Extent& n) {
    if (first) first(n);
    if (second) second(n);
  };
  return both;
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
