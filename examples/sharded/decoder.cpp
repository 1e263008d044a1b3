#include "decoder.hpp"

#include "../support/usage.hpp"

#include <nadaraya/engine/executor.hpp>
#include <nadaraya/sharded/chosen_operator.hpp>
#include <nadaraya/workspace.hpp>

#include <memory>

namespace program {

Decode make_decode(const Options& o) {
  if (o.op.similarity != "dot" || o.op.mask != "none") refuse("--tokens goes with --similarity dot and --mask none");
  const auto op = std::make_shared<const nadaraya::sharded::ChosenOperator<float>>(o.op, mixing(o));
  const auto workspace = std::make_shared<const nadaraya::Workspace<float, nadaraya::Threads>>(nadaraya::Threads{o.threads});
  return [op, workspace](Recorder& ranks, const nadaraya::RowMatrix<float>& query, const Cache& cache) {
    return (*op)(ranks, query, cache, *workspace);
  };
}

}  // namespace program
