// The keys and values of a rank in a call of all ranks.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/parameter_sums.hpp"
#include "nadaraya/engine/problem.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/stored_rows.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/sharded/key_positions.hpp"
#include "nadaraya/sharded/layout.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// What a kernel and a normalization tell about their rule beyond the rule itself.
struct RuleNumbers {
  double edge = 0;  ///< the coordinate of the edge of a compact kernel
  double centre = 1;  ///< the coordinate of zero distance
  double rate = 0;  ///< of an exponential kernel: kappa' = rate kappa
  double bandwidth = 0;  ///< of a normalization that has one
  bool divides_by_sum = true;  ///< are weights divided by their sum?
  bool homogeneous = false;  ///< is a compact kernel a power of t?
  bool fixed = false;  ///< is its width the same for all rows?

  /// Do the weights of a compact kernel follow from the largest similarity of their row, but for their sum?
  bool sums_suffice() const { return homogeneous && fixed; }
};

/// Everything that is referred to must outlive it.
template <class Scalar>
struct Shard {
  engine::HeadPolicies<Scalar> policies;  ///< the mask counts all queries and keys
  RuleNumbers numbers;
  const Rows<Scalar>* query = nullptr;  ///< all queries
  const Rows<Scalar>* key = nullptr;  ///< of this rank; no rows where they are cached
  const engine::PreparedKeys<Scalar>* cached = nullptr;
  engine::StoredRows<Scalar> value;  ///< of this rank
  int rank = 0;
  const Layout& layout;

  Index value_cols() const { return value.view().cols; }
  const KeyPositions& positions() const { return layout.positions[static_cast<std::size_t>(rank)]; }
  Index keys() const { return layout.counts[static_cast<std::size_t>(rank)]; }
  /// Is the output of query i this rank's, and which of its rows?
  bool is_own(Index i) const { return i >= layout.first_query && i < layout.first_query + layout.own_queries; }
  Index own_row(Index i) const { return i - layout.first_query; }
};

/// The largest finite |x|.
template <class Scalar>
double largest_finite(const engine::View<Scalar>& rows) {
  const auto& loops = engine::loops<Scalar>();
  double largest = 0;
  for (Index i = 0; i < rows.rows; ++i) {
    const Scalar of_row = loops.largest_size(rows.row(i), rows.cols);
    if (of_row >= Scalar(0)) {
      largest = (std::max)(largest, static_cast<double>(of_row));
      continue;
    }
    for (Index d = 0; d < rows.cols; ++d) {
      const double size = std::abs(static_cast<double>(rows.row(i)[d]));
      if (std::isfinite(size)) largest = (std::max)(largest, size);
    }
  }
  return largest;
}

/// Is a similarity NaN or +infinity, so that no key of the row is told from another?
template <class Scalar>
bool undecided(const CandidateRow<Scalar>& row) {
  return engine::loops<Scalar>().any_above(row.values().data(), static_cast<Index>(row.size()),
                                           Scalar(Eigen::NumTraits<Scalar>::highest()));
}

/// Has a policy parameters of its own, of a type that the engine does not know?
template <class Scalar>
bool has_own_parameters(const Shard<Scalar>& shard) {
  const engine::ParameterSums<Scalar> none = engine::no_parameters(shard.policies);
  return none.similarity != nullptr || none.bias != nullptr;
}

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
