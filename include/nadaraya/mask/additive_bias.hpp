// A bias on the similarity of each pair, with ALiBi as the common one.
#pragma once

#include "nadaraya/mask/elementwise.hpp"

#include <utility>

namespace nadaraya {

/// z_ij + bias(i, j). The argument is a function of (i, j), or of (i, j, Extent), or an Eigen
/// matrix; a matrix is copied once, unless passed by std::cref or std::move, and copies of the mask
/// share it. -infinity hides a pair; NaN makes its row NaN. The bias is a constant: no gradient is
/// taken of it.
template <class Bias>
class AdditiveBias {
 public:
  explicit AdditiveBias(Bias bias) : bias_(std::move(bias)) {}

  void validate(const Extent& n) const { detail::validate_pairs(bias_.get(), n, "AdditiveBias"); }

  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }

  auto bias(Index query, Index key, const Extent& n) const { return detail::at(bias_.get(), query, key, n); }

 private:
  detail::PairFunction<Bias> bias_;
};

/// Attention with linear biases (Press, Smith & Lewis 2022): -slope times the distance between the
/// query's own place and the key. Use as AdditiveBias{Alibi{slope}}, usually & Causal{}.
struct Alibi {
  double slope = 1.0;

  double operator()(Index query, Index key, const Extent& n) const {
    const Index distance = n.diagonal(query) - key;
    return -slope * static_cast<double>(distance < 0 ? -distance : distance);
  }
};

}  // namespace nadaraya
