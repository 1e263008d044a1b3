// An operator whose kernel, normalization, similarity, mask and mix are chosen at run time, each on its own.
#pragma once

#include "nadaraya/any_operator.hpp"
#include "nadaraya/detail/check.hpp"
#include "nadaraya/mix/local_constant.hpp"
#include "nadaraya/mix/row_mix_of.hpp"
#include "nadaraya/operator/built_in_policies.hpp"
#include "nadaraya/screening.hpp"

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

/// A policy, and the object that refers to it and is called for rows.
template <class Policy, class OnRows>
struct PolicyOnRows {
  Policy policy;
  OnRows rows;

  explicit PolicyOnRows(const Policy& from) : policy(from), rows(policy) {}
};

}  // namespace detail

/// A similarity chosen at run time.
template <class Scalar>
struct AnySimilarity {
  std::shared_ptr<const engine::RowSimilarity<Scalar>> rows;  ///< The similarity as the engine calls it.
  double distance_factor;  ///< squared distance = -factor z; 0 for a similarity that is no distance

  /// Throws std::invalid_argument if a parameter has no meaning.
  template <class S>
    requires(!std::is_same_v<S, AnySimilarity>) && Similarity<S>
  explicit AnySimilarity(const S& similarity) : distance_factor(nadaraya::distance_factor<S>()) {
    static_assert(detail::check_similarity<S>());
    if constexpr (requires { similarity.validate(); }) similarity.validate();
    const auto owned = std::make_shared<const detail::PolicyOnRows<S, engine::RowSimilarityOf<Scalar, S>>>(similarity);
    rows = {owned, &owned->rows};
  }
};

/// A mask chosen at run time.
template <class Scalar>
struct AnyMask {
  std::shared_ptr<const engine::RowMask<Scalar>> rows;  ///< The mask as the engine calls it.
  std::function<void(const Extent&)> validate;  ///< throws if the mask is for other sizes; empty if it fits all

  /// Copies the mask.
  template <class M>
    requires(!std::is_same_v<M, AnyMask>) && Mask<M>
  explicit AnyMask(const M& mask) {
    static_assert(detail::check_mask<M>());
    const auto owned = std::make_shared<const detail::PolicyOnRows<M, engine::RowMaskOf<Scalar, M>>>(mask);
    rows = {owned, &owned->rows};
    if constexpr (requires(const Extent& n) { mask.validate(n); }) {
      validate = [owned](const Extent& n) { owned->policy.validate(n); };
    }
  }
};

/// A mix chosen at run time.
template <class Scalar>
struct AnyMix {
  std::shared_ptr<const engine::RowMix<Scalar>> rows;  ///< The mix as the engine calls it; null for the weighted mean.

  /// The weighted mean.
  AnyMix() = default;
  /// Copies the mix. Its parameters are checked by each call.
  template <class X>
    requires(!std::is_same_v<X, AnyMix>) && Mix<X>
  explicit AnyMix(const X& mix) {
    if constexpr (!std::is_same_v<X, LocalConstant>) {
      const auto owned = std::make_shared<const detail::PolicyOnRows<X, engine::RowMixOf<Scalar, X>>>(mix);
      rows = {owned, &owned->rows};
    }
  }
};

/// A kernel and a normalization chosen at run time, for the distances of a similarity.
template <class Scalar>
struct AnyRule {
  std::shared_ptr<const RowRule<Scalar>> rows;  ///< The rule as the engine calls it.
  bool compares_distances;  ///< True if it is defined for distances alone: a metric similarity, no bias.

  /// Of the combinations that do not compile elsewhere, those of a kernel and a normalization do not compile here. A
  /// built-in normalization that compares distances with a similarity that is none, and a parameter without meaning, are
  /// refused by std::invalid_argument.
  template <Kernel K, class N>
  AnyRule(const K& kernel, const N& normalization, const AnySimilarity<Scalar>& similarity)
      : compares_distances(std::is_same_v<N, FixedBandwidth> || std::is_same_v<N, Unnormalized> ||
                           (std::is_same_v<N, NearestNeighbors> && NearestNeighbors::borrows_bandwidth<K>)) {
    static_assert(detail::check_normalization<N, K, Scalar>());
    static_assert(detail::check_combination<N, K, SquaredDistance, NoMask>());
    const double factor = similarity.distance_factor;
    detail::require(!compares_distances || factor > 0.0,
                    "AnyRule: the normalization compares distances, and the similarity is none");
    detail::validate_kernel<Scalar>(kernel);
    if constexpr (requires { normalization.template validate<Scalar>(0.0); }) normalization.template validate<Scalar>(factor);
    const auto owned = std::make_shared<const OwnedRowRule<Scalar, K, N>>(kernel, normalization, factor);
    rows = {owned, &**owned};
  }
};

/// An operator of a rule, a similarity, a mask and a mix chosen at run time. A program that lets its user choose compiles each
/// kernel, similarity and mask once, and not every combination: examples/attend. Gradients of parameters come as sums, see
/// AnyAttention::backward.
template <class Scalar>
class ChosenOperator final : public AnyOperator<Scalar> {
 public:
  /// Throws std::invalid_argument for a rule that compares distances under a mask that shifts similarities.
  ChosenOperator(AnyRule<Scalar> rule, AnySimilarity<Scalar> similarity, AnyMask<Scalar> mask,
                 Screening screening = Screening::automatic, AnyMix<Scalar> mix = {})
      : rule_(std::move(rule)),
        similarity_(std::move(similarity)),
        mask_(std::move(mask)),
        mix_(std::move(mix)),
        screening_(screening) {
    detail::require(!rule_.compares_distances || !mask_.rows->traits().biased,
                    "ChosenOperator: the normalization compares distances, and an additive bias is none");
  }

  engine::HeadPolicies<Scalar> policies() const override {
    return {rule_.rows.get(), similarity_.rows.get(), mask_.rows.get(), screening_, mix_.rows.get()};
  }
  void validate() const override {}
  void validate(const Extent& n) const override {
    if (mask_.validate) mask_.validate(n);
  }

 private:
  AnyRule<Scalar> rule_;
  AnySimilarity<Scalar> similarity_;
  AnyMask<Scalar> mask_;
  AnyMix<Scalar> mix_;
  Screening screening_;
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
