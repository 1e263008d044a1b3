// A similarity as the engine calls it: for a query and some keys at a time, so that the engine is compiled once for all
// similarities.
#pragma once

#include "nadaraya/engine/grid_functions.hpp"
#include "nadaraya/engine/parameter_sums.hpp"
#include "nadaraya/loops/operands.hpp"
#include "nadaraya/product_bound.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <memory>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// What the engine has to know of a similarity to choose a way.
struct SimilarityTraits {
  bool bounded_by_product = false;  ///< by a multiple of the dot product, of scalars that the product loop takes
  bool is_product = false;          ///< ... with equality
  bool prepares = false;            ///< does it transform rows before it compares them?
};

/// See similarity/similarity.hpp for what its functions mean. Rows are as prepare() leaves them, but for its own argument.
template <class Scalar>
class RowSimilarity {
 public:
  explicit RowSimilarity(const SimilarityTraits& traits) : traits_(traits) {}
  virtual ~RowSimilarity() = default;

  const SimilarityTraits& traits() const { return traits_; }

  /// Throws std::invalid_argument if it is not for rows of `dimension` columns.
  virtual void validate(Index dimension) const = 0;

  /// Only where traits().bounded_by_product.
  virtual ProductBound<Scalar> product_bound(const Scalar& query_norm, Index dimension) const = 0;
  /// Null if no grid can find the keys.
  virtual const GridFunctions<Scalar>* grid() const = 0;
  /// The radius outside which no similarity exceeds a floor. Only where there is a grid().
  virtual Scalar radius(const Scalar& floor, Index dimension) const = 0;

  /// Rows as they are compared; they may refer to those given.
  virtual Rows<Scalar> prepare(const Rows<Scalar>& rows) const = 0;
  /// From gradients of prepared rows to those of the rows, in place. A row of zeros stays, whatever the rows hold.
  virtual void pull_prepared_back(const Rows<Scalar>& rows, const Rows<Scalar>& prepared, MatrixMap<Scalar>& grad) const = 0;

  /// z[j] of a query and the j-th of some keys.
  virtual void score(const Scalar* query, const View<Scalar>& key, const KeyList& keys, Scalar* z) const = 0;

  /// Adds the part of some keys to dL/dq, in runs of list_run_terms, given dz[j] = dL/dz; returns that of dL/dscale. Not for a
  /// product, whose rows the loops sum up.
  virtual Scalar pull_query(const Scalar* query, const View<Scalar>& key, const KeyList& keys, const Scalar* dz,
                            Scalar* grad_query) const = 0;
  /// Adds the part of some pairs to the rows of dL/dkey, in order. Not for a product.
  virtual void pull_keys(const View<Scalar>& query, const View<Scalar>& key, std::span<const Pair<Scalar>> pairs,
                         MatrixMap<Scalar>& grad_key) const = 0;

  /// Zero of the gradient of parameters of its own; null if it has none.
  virtual std::unique_ptr<OwnGradient> no_gradient() const = 0;
  /// Adds the part of a query and some keys to such a gradient.
  virtual void pull_parameters(const Scalar* query, const View<Scalar>& key, const KeyList& keys, const Scalar* dz,
                               OwnGradient& sum) const = 0;

 private:
  SimilarityTraits traits_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
