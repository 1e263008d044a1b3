// What the forward pass of a sharded operator leaves for the backward pass.
#pragma once

#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/sharded/key_positions.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

template <class K, class N, class S, class M>
class Operator;

/// A rank's record of a forward pass: the operands that it was given, all queries, and of each query the support over all
/// ranks. Memory: O(Nq D) and, of a sparse rule, O(support). Operands that lie in memory are referred to, as in a Tape of one
/// machine, and must outlive it unchanged.
template <class Scalar>
class Tape {
 public:
  Index queries() const { return query_.rows(); }  ///< Those of all ranks.
  Index first_query() const { return first_query_; }  ///< The first of those whose output this rank has.
  Index own_queries() const { return own_queries_; }  ///< How many these are.
  Index keys() const { return keys_; }  ///< Those of all ranks.
  Index local_keys() const { return key_.rows(); }  ///< Those of this rank.
  const KeyPositions& positions() const { return positions_; }  ///< Where these stand among all.

  /// How many keys of all ranks have weight for a query. Of a rule that is not sparse, all that it sees.
  Index support_size(Index query) const { return support_sizes_[static_cast<std::size_t>(query)]; }

 private:
  template <class, class, class, class>
  friend class Operator;

  Rows<Scalar> query_;
  Rows<Scalar> key_;
  Rows<Scalar> value_;
  Index first_query_ = 0;
  Index own_queries_ = 0;
  Index keys_ = 0;
  KeyPositions positions_;
  std::vector<Index> support_sizes_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
