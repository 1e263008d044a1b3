// The row rule as the engine calls it: a kernel and a normalization behind virtual functions.
#pragma once

#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// What the passes have to know of a rule to choose a way.
struct RuleTraits {
  bool sparse;         ///< does a row keep less than all its keys?
  bool selects;        ///< ... some of them by their rank?
  bool takes_vectors;  ///< is it applied to whole vectors of pairs, also if some are outside the support?
  bool online;         ///< may its weights be summed key by key, before the nearest key is known?
};

/// The seam between the mathematics of weights and the computation of similarities: a row rule is given the candidates of
/// a row and turns them into weights (`solve`, `weigh`), and a gradient of those weights into one of the similarities
/// (`unweigh`). It knows nothing of queries, keys, values or tiles. Its functions are called about once for each row or
/// block of rows, so that the passes are compiled once for all kernels and normalizations.
template <class Scalar>
class RowRule {
 public:
  explicit RowRule(const RuleTraits& traits) : traits_(traits) {}
  virtual ~RowRule() = default;
  RowRule(const RowRule&) = delete;
  RowRule& operator=(const RowRule&) = delete;

  const RuleTraits& traits() const { return traits_; }

  // ---- forward --------------------------------------------------------------------------------

  /// Raises the floors of rows as far as their candidates tell, and drops the candidates that they rule out.
  virtual void refine(std::span<CandidateRow<Scalar>* const> rows) const = 0;

  /// The maps of rows, which a normalization that selects reduces to its selection. That of a row without candidates is
  /// the default. If a candidate is NaN or +infinity, no key is told from another: the map is NaN.
  virtual void solve(std::span<CandidateRow<Scalar>> rows, std::span<RowNormalizer<Scalar>> maps) const = 0;

  /// Reduces a row to the keys that matter, turns its similarities into coordinates, and writes the weights: p holds at
  /// least row.size() of them. An empty result is an empty row. Where the map is NaN, all candidates stay and every weight
  /// is NaN.
  virtual void weigh(CandidateRow<Scalar>& row, const RowNormalizer<Scalar>& map, engine::LineVector<Scalar>& p) const = 0;

  /// Only where traits().takes_vectors. Solves a row that has not been reduced to candidates, -infinity where a key is not
  /// seen but not everywhere; z becomes kappa(t), the weights but for the mass.
  virtual RowNormalizer<Scalar> profiles(RowOut<Scalar> z) const = 0;

  // ---- forward, key by key: only where traits().online, as moving the coordinate only rescales an exponential kernel --

  /// The map of a row of which no key is known yet.
  virtual RowNormalizer<Scalar> start() const = 0;

  /// The factor that rescales weights formed with `map` when its pivot moves up to `top`.
  virtual Scalar rescale(const RowNormalizer<Scalar>& map, const Scalar& top) const = 0;

  /// From n similarities to weights, not yet divided; returns their sum.
  virtual Scalar online_profiles(const RowNormalizer<Scalar>& map, Scalar* z, Index n) const = 0;

  // ---- backward -------------------------------------------------------------------------------

  /// p_j from coordinates.
  virtual void weights(const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowOut<Scalar> p) const = 0;

  /// dL/dz from coordinates and g = dL/dp; adds the gradients of bandwidth and alpha.
  virtual void unweigh(const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> dz,
                       ParameterGradients<Scalar>& parameters) const = 0;

  /// The same where p holds the weights and becomes dL/dz.
  virtual void unweigh_weights(const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> p,
                               ParameterGradients<Scalar>& parameters) const = 0;

 private:
  RuleTraits traits_;
};

/// Makes the rule of a kernel and a normalization in memory of row_rule_bytes, where squared distance = -distance_factor z,
/// or 0 for a similarity that is no distance. Defined in normalization/row_rule_of.hpp; not inline, so that `extern template`
/// keeps it from being compiled again.
template <class Scalar, class K, class N>
const RowRule<Scalar>* make_row_rule(const K& kernel, const N& normalization, double distance_factor, void* memory);

/// Its class, complete where normalization/row_rule_of.hpp is included.
template <class Scalar, class K, class N>
class RowRuleOf;

/// An upper bound on its size.
template <class K, class N>
inline constexpr std::size_t row_rule_bytes =
    sizeof(K) + alignof(K) + sizeof(N) + alignof(N) + 2 * sizeof(void*) + sizeof(RuleTraits) + 2 * sizeof(double);
template <class K, class N>
inline constexpr std::size_t row_rule_alignment = (std::max)({alignof(K), alignof(N), alignof(void*), alignof(double)});

/// The rule of a kernel and a normalization, held in place: nothing is allocated. Neither copied nor moved.
template <class Scalar, class K, class N>
class OwnedRowRule {
 public:
  OwnedRowRule(const K& kernel, const N& normalization, double distance_factor)
      : rule_(make_row_rule<Scalar, K, N>(kernel, normalization, distance_factor, memory_)) {}
  OwnedRowRule(const OwnedRowRule&) = delete;
  OwnedRowRule& operator=(const OwnedRowRule&) = delete;
  ~OwnedRowRule() { rule_->~RowRule(); }

  const RowRule<Scalar>& operator*() const { return *rule_; }
  const RowRule<Scalar>* operator->() const { return rule_; }

 private:
  alignas(row_rule_alignment<K, N>) std::byte memory_[row_rule_bytes<K, N>];
  const RowRule<Scalar>* rule_;
};

namespace detail {

/// Weighs a row that holds all scores of which there are any, as the passes do: p holds at least row.size() weights, and the
/// row the coordinates. Defined in row/weigh_scores.hpp.
template <class Scalar>
void weigh_scores(const RowRule<Scalar>& rule, CandidateRow<Scalar>& row, RowNormalizer<Scalar>& map,
                  engine::LineVector<Scalar>& p);

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
