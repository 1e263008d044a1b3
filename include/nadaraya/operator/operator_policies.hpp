// The policies of an operator as the engine takes them.
#pragma once

#include "nadaraya/engine/problem.hpp"
#include "nadaraya/mix/local_constant.hpp"
#include "nadaraya/mix/row_mix_of.hpp"
#include "nadaraya/operator/built_in_policies.hpp"
#include "nadaraya/screening.hpp"

#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// The weighted mean as the engine takes it: without a mix.
struct NoRowMix {
  explicit NoRowMix(const LocalConstant&) {}
};

/// Refers to the similarity, the mask and the mix. Neither copied nor moved.
template <class Scalar, class K, class N, class S, class M, class X>
class OperatorPolicies {
 public:
  OperatorPolicies(const K& kernel, const N& normalization, const S& similarity, const M& mask, const X& mix,
                   Screening screening)
      : rule_(kernel, normalization, distance_factor<S>()),
        similarity_(similarity),
        mask_(mask),
        mix_(mix),
        screening_(screening) {
    static_assert(check_compiled<Scalar, K, N>());
  }
  OperatorPolicies(const OperatorPolicies&) = delete;
  OperatorPolicies& operator=(const OperatorPolicies&) = delete;

  engine::HeadPolicies<Scalar> get() const {
    engine::HeadPolicies<Scalar> policies{&*rule_, &similarity_, &mask_, screening_};
    if constexpr (!is_mean) policies.mix = &mix_;
    return policies;
  }

 private:
  static constexpr bool is_mean = std::is_same_v<X, LocalConstant>;

  OwnedRowRule<Scalar, K, N> rule_;
  engine::RowSimilarityOf<Scalar, S> similarity_;
  engine::RowMaskOf<Scalar, M> mask_;
  [[no_unique_address]] std::conditional_t<is_mean, NoRowMix, engine::RowMixOf<Scalar, X>> mix_;
  Screening screening_;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
