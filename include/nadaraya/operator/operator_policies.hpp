// The policies of an operator as the engine takes them.
#pragma once

#include "nadaraya/engine/problem.hpp"
#include "nadaraya/operator/built_in_policies.hpp"
#include "nadaraya/screening.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Refers to the similarity and the mask. Neither copied nor moved.
template <class Scalar, class K, class N, class S, class M>
class OperatorPolicies {
 public:
  OperatorPolicies(const K& kernel, const N& normalization, const S& similarity, const M& mask, Screening screening)
      : rule_(kernel, normalization, distance_factor<S>()),
        similarity_(similarity),
        mask_(mask),
        screening_(screening) {
    static_assert(check_compiled<Scalar, K, N>());
  }
  OperatorPolicies(const OperatorPolicies&) = delete;
  OperatorPolicies& operator=(const OperatorPolicies&) = delete;

  engine::HeadPolicies<Scalar> get() const { return {&*rule_, &similarity_, &mask_, screening_}; }

 private:
  OwnedRowRule<Scalar, K, N> rule_;
  engine::RowSimilarityOf<Scalar, S> similarity_;
  engine::RowMaskOf<Scalar, M> mask_;
  Screening screening_;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
