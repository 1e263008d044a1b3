// A bias on the similarity of each pair, with ALiBi as the common one.
#pragma once

#include "nadaraya/mask/elementwise.hpp"

#include <type_traits>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

template <class F, class Scalar>
concept ParametricFunction = requires(const F f, Index i, const Extent n, const Scalar dz,
                                      decltype(f.template zero_gradient<Scalar>()) sum) { f.bias_pullback(i, i, n, dz, sum); };

}  // namespace detail

/// A bias on similarities: z_ij + bias(i, j). The argument is a function of (i, j), or of (i, j, Extent), or an Eigen
/// matrix; a matrix is copied once, unless passed by std::cref or std::move, and copies of the mask share it. -infinity
/// hides a pair; NaN makes its row NaN. The bias is a constant, of which no gradient is taken, unless the function has
/// zero_gradient and bias_pullback as a ParametricBias has.
template <class Bias>
class AdditiveBias {
  static_assert(!(detail::Names_zero_gradient<Bias> || detail::Names_bias_pullback<Bias>) || detail::ParametricFunction<Bias, double> ||
                    detail::ParametricFunction<Bias, float>,
                "AdditiveBias: template <class S> G zero_gradient() const and void bias_pullback(Index query, Index key, const "
                "Extent& n, const S& dz, G& sum) const go together; one is missing, or has another signature");

 public:
  /// A function, or a matrix [Nq x Nk] that is copied unless moved from.
  explicit AdditiveBias(Bias bias) : bias_(std::move(bias)) {}

  /// Throws std::invalid_argument if a matrix is not [Nq x Nk].
  void validate(const Extent& n) const { detail::validate_pairs(bias_.get(), n, "AdditiveBias"); }

  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }  ///< Every key, unless its bias is -infinity.

  /// The number added to z_ij.
  auto bias(Index query, Index key, const Extent& n) const {
    using Result = decltype(detail::at(bias_.get(), query, key, n));
    static_assert(!std::is_void_v<Result>, "AdditiveBias: the function must return the number that is added");
    return detail::at(bias_.get(), query, key, n);
  }

  /// A gradient of zero by the parameters of the bias, where it has some.
  template <class S>
    requires detail::ParametricFunction<Bias, S>
  auto zero_gradient() const {
    return bias_.get().template zero_gradient<S>();
  }
  /// Adds dz times dbias/dparameters to `sum`, where the bias has parameters.
  template <class S, class G>
    requires detail::ParametricFunction<Bias, S>
  void bias_pullback(Index query, Index key, const Extent& n, const S& dz, G& sum) const {
    bias_.get().bias_pullback(query, key, n, dz, sum);
  }

 private:
  detail::PairFunction<Bias> bias_;
};

template <class Bias>
inline constexpr bool has_constrained_members<AdditiveBias<Bias>> = true;  ///< Some members exist for some biases only.

/// Attention with linear biases (Press, Smith & Lewis 2022): -slope times the distance between the
/// query's own place and the key. Use as AdditiveBias{Alibi{slope}}, usually & Causal{}.
struct Alibi {
  double slope = 1.0;  ///< what a key loses for each step it lies away

  /// -slope |i + Nk - Nq - j|.
  double operator()(Index query, Index key, const Extent& n) const {
    const Index distance = n.diagonal(query) - key;
    return -slope * static_cast<double>(distance < 0 ? -distance : distance);
  }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
