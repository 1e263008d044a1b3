// The backward pass of rows that keep few of their keys: one round, or two.
#pragma once

#include "nadaraya/loops/blocks.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/buffers.hpp"
#include "nadaraya/sharded/gathered_rows.hpp"
#include "nadaraya/sharded/pulled_rows.hpp"
#include "nadaraya/sharded/row_chunks.hpp"
#include "nadaraya/sharded/row_parts.hpp"
#include "nadaraya/sharded/row_puller.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/sharded/tape.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Rounds of a batch of queries:
///   1. g_j = dL/dout . v_j of the pairs of its keys, and the keys, from each rank to those that have solved the rows: by all_gather to
///      all of them, by all_to_all of a batch that was divided. They pull the rows back, as one machine does, under any rule.
///   2. Of a divided batch, what comes of its rows to each rank, by all_to_all: of each pair with its keys two numbers, of each query
///      that it has the gradient, and the gradients of parameters.
/// Round 1 carries a number for each supported pair and D numbers for each supported key. (Two sums of a row would do for dL/dz of an
/// adaptive row, of bits that depend on their order.) Every rank adds up its part of the gradients in the order of the queries.
template <class Scalar, Communicator C>
class SparseBackward {
 public:
  SparseBackward(Session<C>& session, const Shard<Scalar>& shard, const Record<Scalar>& record, Buffers<Scalar>& buffers,
                 const Executing<Scalar>& execution, PulledRows<Scalar>& pulled)
      : session_(session),
        shard_(shard),
        record_(record),
        buffers_(buffers),
        pulled_(pulled),
        puller_(shard, record, execution, pulled) {}

  void run() {
    for (Index first = 0; first < shard_.layout.all.queries; first += batch_rows) {
      const Index count = (std::min)(batch_rows, shard_.layout.all.queries - first);
      if (record_.divided[static_cast<std::size_t>(first / batch_rows)] != 0) {
        exchange(first, RowParts{count, session_.size()});
      } else {
        gather(first, count);
      }
    }
  }

 private:
  void gather(Index first, Index count) {
    session_.attempt([&] {
      message_.clear();
      write_pairs(first, first + count, message_);
    });
    session_.all_gather(message_, gathered_);
    session_.attempt([&] {
      puller_.read(gathered_, session_.size(), first, first + count);
      // Of policies with parameters of their own, block after block: their gradients are summed while rows are pulled back.
      const Index some = has_own_parameters(shard_) ? engine::block_queries : count;
      const std::span<Message> to_this_rank(&message_, 1);
      for (Index r = 0; r < count; r += some) {
        const Index begin = first + r, end = first + (std::min)(count, r + some);
        message_.clear();
        puller_.pull(begin, end, shard_.rank, to_this_rank);
        MessageReader reader(message_.bytes());
        for (Index query = begin; query < end; ++query) add_row(query - first, count, query, reader);
      }
    });
  }

  void exchange(Index first, const RowParts& parts) {
    MessagesToRanks& to_ranks = buffers_.to_ranks;
    session_.attempt([&] {
      to_ranks.clear();
      for (int s = 0; s < session_.size(); ++s) write_pairs(first + parts.begin(s), first + parts.end(s), to_ranks[s]);
    });
    session_.all_to_all(to_ranks, gathered_);
    session_.attempt([&] {
      const Index begin = first + parts.begin(session_.rank()), end = first + parts.end(session_.rank());
      puller_.read(gathered_, session_.size(), begin, end);
      to_ranks.clear();
      puller_.pull(begin, end, 0, to_ranks.all());
    });
    session_.all_to_all(to_ranks, gathered_);
    session_.attempt([&] {
      for (int s = 0; s < session_.size(); ++s) {
        MessageReader reader(gathered_.of(s));
        for (Index query = first + parts.begin(s); query < first + parts.end(s); ++query) {
          add_row(query - first, parts.rows, query, reader);
        }
      }
    });
  }

  /// Of this rank's keys in the rows of queries [begin, end): g of each pair, and then each key.
  void write_pairs(Index begin, Index end, Message& to) {
    const engine::View<Scalar>& value = shard_.value.view();
    const auto& loops = engine::loops<Scalar, engine::BackwardLoops>();
    distinct_.clear();
    for (Index query = begin; query < end; ++query) {
      const auto keys = record_.own.keys(static_cast<std::size_t>(query));
      const auto p = record_.own.numbers(static_cast<std::size_t>(query));
      g_.resize(keys.size());
      loops.dots(keys.data(), p.data(), static_cast<Index>(keys.size()), value.data, value.stride, value.cols,
                 pulled_.grad_out().row(query), g_.data());
      to.add(std::span<const Scalar>(g_));
      distinct_.insert(distinct_.end(), keys.begin(), keys.end());
    }
    make_distinct(distinct_);
    const engine::View<Scalar> key = pulled_.key();
    for (const KeyIndex j : distinct_) to.add(std::span(key.row(j), static_cast<std::size_t>(key.cols)));
  }

  /// Adds what has come of row r of a batch of `count` to this rank, once every row before it is added.
  void add_row(Index r, Index count, Index query, MessageReader& from) {
    const auto row = static_cast<std::size_t>(query);
    if (record_.support_sizes[row] < 0) {
      pulled_.add_nan_row(query);
    } else {
      pulled_.add_row(query, record_.own.keys(row), from);
    }
    if ((r + 1) % engine::block_queries == 0 || r + 1 == count) pulled_.end_block();
  }

  Session<C>& session_;
  const Shard<Scalar>& shard_;
  const Record<Scalar>& record_;
  Buffers<Scalar>& buffers_;
  PulledRows<Scalar>& pulled_;
  RowPuller<Scalar> puller_;
  Message message_;
  Gathered gathered_;
  std::vector<KeyIndex> distinct_;
  std::vector<Scalar> g_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
