// Lists of candidates before a rule is applied: what their floor rules out, and whether they can be compared.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Is a similarity NaN or +infinity?
template <class Scalar>
bool has_nonfinite(RowView<Scalar> z) {
  return engine::loops<Scalar>().any_above(z.data(), static_cast<Index>(z.size()),
                                           Scalar(Eigen::NumTraits<Scalar>::highest()));
}

/// Drops the candidates whose similarity is at or below a row's floor.
template <class Scalar>
void prune(CandidateRow<Scalar>& row) {
  Scalar bound = row.floor();
  if (const Scalar slack = row.bound_slack(); slack > Scalar(0)) {
    bound -= slack + Scalar(4) * Scalar(Eigen::NumTraits<Scalar>::epsilon()) * (detail::abs(row.floor()) + slack);
  }
  const Index kept =
      engine::loops<Scalar>().prune(row.value_data(), row.key_data(), static_cast<Index>(row.size()), bound);
  row.resize(static_cast<std::size_t>(kept));
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
