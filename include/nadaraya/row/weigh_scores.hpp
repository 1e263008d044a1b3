// A row of scores of which all are there, without queries and keys: its weights by a rule.
#pragma once

#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/row/prune.hpp"
#include "nadaraya/row/row_rule.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

template <class Scalar>
void weigh_scores(const RowRule<Scalar>& rule, CandidateRow<Scalar>& row, RowNormalizer<Scalar>& map,
                  engine::LineVector<Scalar>& p) {
  CandidateRow<Scalar>* const rows[] = {&row};
  if (!has_nonfinite(row.values())) {
    // -infinity is at or below every floor: the invisible keys go first.
    prune(row);
    rule.refine(rows);
  }
  rule.solve({&row, 1}, {&map, 1});
  rule.weigh(row, map, p);
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
