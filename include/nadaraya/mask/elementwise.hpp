// How masks given pair by pair are called: a function of (i, j), or anything that indexes like one.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/mask/mask.hpp"

#include <concepts>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// A function of pairs whose copies are cheap: copies share a function that is not trivially copyable, such as a
/// matrix with an entry for each pair.
template <class F>
class PairFunction {
 public:
  explicit PairFunction(F f) : f_(store(std::move(f))) {}
  // Without moves, a shared function is never missing.
  PairFunction(const PairFunction&) = default;
  PairFunction& operator=(const PairFunction&) = default;

  const F& get() const {
    if constexpr (shared) {
      return *f_;
    } else {
      return f_;
    }
  }

 private:
  static constexpr bool shared = !std::is_trivially_copyable_v<F>;

  static auto store(F f) {
    if constexpr (shared) {
      return std::make_shared<const F>(std::move(f));
    } else {
      return f;
    }
  }

  std::conditional_t<shared, std::shared_ptr<const F>, F> f_;
};

/// f(i, j, n) if f wants the extent, f(i, j) otherwise. An Eigen matrix is such an f.
template <class F>
decltype(auto) at(const F& f, Index query, Index key, const Extent& n) {
  static_assert(std::invocable<const F&, Index, Index, const Extent&> || std::invocable<const F&, Index, Index>,
                "BooleanMask and AdditiveBias take a function of (query, key) or (query, key, Extent), or a matrix");
  if constexpr (std::invocable<const F&, Index, Index, const Extent&>) {
    return f(query, key, n);
  } else {
    return f(query, key);
  }
}

/// A matrix given for a mask must have one entry for each pair; a function is not checked.
template <class F>
void validate_pairs(const F& f, const Extent& n, const char* name) {
  if constexpr (requires { f.rows(); f.cols(); }) {
    require(f.rows() == n.queries && f.cols() == n.keys, name, ": need one entry for each query and key, [", n.queries,
            " x ", n.keys, "], got ", shape(f));
  } else if constexpr (requires { f.get().rows(); }) {
    validate_pairs(f.get(), n, name);
  }
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
