// Which way of mixing moves fewer bytes.
#pragma once

#include "nadaraya/sharded.hpp"
#include "nadaraya/sharded/communicator.hpp"
#include "nadaraya/sharded/counting.hpp"
#include "nadaraya/sharded/mixing.hpp"
#include "nadaraya/types.hpp"

#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// The way of mixing that moves fewer bytes between the ranks for some queries, which all ranks have, on their keys and values:
/// measured by computing them both ways. The same on all ranks. The bits of outputs do not depend on the sharding for either
/// way, but differ between the two: results that are to agree between groups of different sizes should not each be measured.
template <Communicator C, class K, class N, class S, class M, class X, RealExpression Q, RealExpression Ke, RealExpression V>
Mixing measured_mixing(C& ranks, const Operator<K, N, S, M, X>& op, const Q& query, const Ke& key, const V& value) {
  CountingCommunicator<C> counting(ranks);
  double bytes[2];
  for (const Mixing mixing : {Mixing::gather_values, Mixing::sum_values}) {
    counting.reset();
    op.with(mixing)(counting, query, key, value);
    const Traffic& traffic = counting.traffic();
    bytes[mixing == Mixing::sum_values] = static_cast<double>(traffic.sent + traffic.received);
  }
  ranks.all_reduce_sum(std::span<double>(bytes));
  return bytes[1] < bytes[0] ? Mixing::sum_values : Mixing::gather_values;
}

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
