// A problem taken apart into heads, so that what differs from operator to operator is one head.
#pragma once

#include "problem.hpp"

#include <functional>

namespace program {

/// One query head with the key head that it reads. The gradients are there when they are wanted,
/// and start at zero.
template <class Scalar>
struct Head {
  using Input = Eigen::Map<const nadaraya::RowMatrix<Scalar>>;
  using Output = Eigen::Map<nadaraya::RowMatrix<Scalar>>;

  Input query, key, value, grad_output;
  Output out, grad_query, grad_key, grad_value;
  bool backward;
};

struct HeadSummary {
  double mean_support = 0;
  Index empty_rows = 0;
};

/// Calls `attend` for every batch entry and query head, on that many threads at most, and puts the
/// results together. The gradients of a key head that several query heads share are added in the
/// order of the query heads, so that no result depends on the number of threads. They are held for
/// every query head until then: as many keys and values again as there are query heads.
template <class Scalar>
Result for_each_head(const Problem& in, int threads, const std::function<HeadSummary(Head<Scalar>&)>& attend);

extern template Result for_each_head(const Problem&, int, const std::function<HeadSummary(Head<float>&)>&);
extern template Result for_each_head(const Problem&, int, const std::function<HeadSummary(Head<double>&)>&);

}  // namespace program
