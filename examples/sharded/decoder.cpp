#include "decoder.hpp"

#include "../support/usage.hpp"

#include <nadaraya/sharded/chosen_operator.hpp>

#include <memory>

namespace program {

Decode make_decode(const Options& o) {
  if (o.op.similarity != "dot" || o.op.mask != "none") refuse("--tokens goes with --similarity dot and --mask none");
  const auto op = std::make_shared<const nadaraya::sharded::ChosenOperator<float>>(o.op, mixing(o));
  return [op](Recorder& ranks, const nadaraya::RowMatrix<float>& query, const Cache& cache) { return (*op)(ranks, query, cache); };
}

}  // namespace program
