// Row rules as the passes call them: behind virtual functions, about a call for each row, so that the passes are
// compiled once for all kernels and normalizations.
#pragma once

#include "nadaraya/engine/buffer.hpp"
#include "nadaraya/engine/tiers.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/normalization/normalization.hpp"
#include "nadaraya/row_rule.hpp"

#include <span>
#include <type_traits>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::pass {

/// What the passes have to know of a rule to choose a way.
struct RuleTraits {
  bool sparse;         ///< does a row keep less than all its keys?
  bool selects;        ///< ... some of them by their rank?
  bool takes_vectors;  ///< is it applied to whole vectors of pairs, also if some are outside the support?
};

template <class K, class N>
constexpr RuleTraits traits_of() {
  return RuleTraits{RowRule<K, N>::sparse, SelectingNormalization<N>, ElementwiseKernel<K> && !SelectingNormalization<N>};
}

/// A rule whose weights may be summed key by key, before the nearest key is known: moving the coordinate
/// only rescales an exponential kernel.
template <class Scalar>
class OnlineRule {
 public:
  virtual ~OnlineRule() = default;

  /// The map of a row of which no key is known yet.
  virtual RowMap<Scalar> start() const = 0;
  /// By what weights are multiplied that were formed at a map when its pivot moves up to `top`.
  virtual Scalar rescale(const RowMap<Scalar>& map, const Scalar& top) const = 0;
  /// From similarities to weights, not yet divided; returns their sum.
  virtual Scalar profiles(const RowMap<Scalar>& map, Scalar* z, Index n) const = 0;
};

/// What both passes ask of a rule.
class Rule {
 public:
  explicit Rule(const RuleTraits& traits) : traits_(traits) {}
  virtual ~Rule() = default;

  const RuleTraits& traits() const { return traits_; }

 private:
  RuleTraits traits_;
};

/// What forward needs; see RowRule.
template <class Scalar>
class ForwardRule : public Rule {
 public:
  using Rule::Rule;

  virtual void refine(std::span<Row<Scalar>* const> rows) const = 0;
  virtual void solve(std::span<Row<Scalar>> rows, std::span<RowMap<Scalar>> maps) const = 0;
  virtual void weigh(Row<Scalar>& row, const RowMap<Scalar>& map, engine::LineVector<Scalar>& p) const = 0;
  /// Only where traits().takes_vectors.
  virtual RowMap<Scalar> profiles(RowOut<Scalar> z) const = 0;
  /// Null if it is none.
  virtual const OnlineRule<Scalar>* online() const = 0;
};

/// What backward needs.
template <class Scalar>
class BackwardRule : public Rule {
 public:
  using Rule::Rule;

  virtual void weights(const RowMap<Scalar>& map, RowView<Scalar> t, RowOut<Scalar> p) const = 0;
  virtual void unweigh(const RowMap<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> dz,
                       ParameterGradients<Scalar>& parameters) const = 0;
};

template <class Scalar, class K, class N>
concept Online = engine::vectorized<Scalar> && traits_of<K, N>().takes_vectors && ExponentialKernel<K> &&
                 NearestNormalization<N, K, Scalar>;

template <class Scalar, class K, class N>
class OnlineRuleOf final : public OnlineRule<Scalar> {
 public:
  explicit OnlineRuleOf(const RowRule<K, N>& rule) : rule_(rule) {}

  RowMap<Scalar> start() const override {
    const Scalar none = -Scalar(Eigen::NumTraits<Scalar>::infinity());
    const auto width = rule_.normalization().template nearest_width<Scalar>(rule_.kernel());
    return RowMap<Scalar>{none, width, Scalar(centre(rule_.kernel())), Scalar(0)};
  }

  Scalar rescale(const RowMap<Scalar>& map, const Scalar& top) const override {
    return rule_.kernel().profile(Scalar(map.offset + (map.pivot - top) / map.width));
  }

  Scalar profiles(const RowMap<Scalar>& map, Scalar* z, Index n) const override {
    return engine::with_loops<Scalar>([&](auto loops) { return loops.profiles(rule_.kernel(), map, Scalar(0), z, n); });
  }

 private:
  RowRule<K, N> rule_;
};

template <class Scalar, class K, class N>
class ForwardRuleOf final : public ForwardRule<Scalar> {
 public:
  explicit ForwardRuleOf(const RowRule<K, N>& rule) : ForwardRule<Scalar>(traits_of<K, N>()), rule_(rule), online_(rule) {}

  void refine(std::span<Row<Scalar>* const> rows) const override { rule_.refine(rows); }
  void solve(std::span<Row<Scalar>> rows, std::span<RowMap<Scalar>> maps) const override { rule_.solve(rows, maps); }
  void weigh(Row<Scalar>& row, const RowMap<Scalar>& map, engine::LineVector<Scalar>& p) const override {
    rule_.weigh(row, map, p);
  }
  RowMap<Scalar> profiles([[maybe_unused]] RowOut<Scalar> z) const override {
    if constexpr (engine::vectorized<Scalar> && traits_of<K, N>().takes_vectors) {
      return rule_.profiles(z);
    } else {
      return RowMap<Scalar>{};
    }
  }
  const OnlineRule<Scalar>* online() const override {
    if constexpr (Online<Scalar, K, N>) {
      return &online_;
    } else {
      return nullptr;
    }
  }

 private:
  struct NotOnline {
    explicit NotOnline(const RowRule<K, N>&) {}
  };

  RowRule<K, N> rule_;
  std::conditional_t<Online<Scalar, K, N>, OnlineRuleOf<Scalar, K, N>, NotOnline> online_;
};

template <class Scalar, class K, class N>
class BackwardRuleOf final : public BackwardRule<Scalar> {
 public:
  explicit BackwardRuleOf(const RowRule<K, N>& rule) : BackwardRule<Scalar>(traits_of<K, N>()), rule_(rule) {}

  void weights(const RowMap<Scalar>& map, RowView<Scalar> t, RowOut<Scalar> p) const override { rule_.weights(map, t, p); }
  void unweigh(const RowMap<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> dz,
               ParameterGradients<Scalar>& parameters) const override {
    rule_.unweigh(map, t, g, dz, parameters);
  }

 private:
  RowRule<K, N> rule_;
};

}  // namespace nadaraya::pass

#include "nadaraya/detail/end_precise.hpp"
