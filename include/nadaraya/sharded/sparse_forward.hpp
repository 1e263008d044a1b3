// The forward pass of rows that keep few of their keys: floors, candidates, and one solution of each row.
#pragma once

#include "nadaraya/engine/pool.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/buffers.hpp"
#include "nadaraya/sharded/cached_layout.hpp"
#include "nadaraya/sharded/candidate_lister.hpp"
#include "nadaraya/sharded/canonical_rows.hpp"
#include "nadaraya/sharded/mixing.hpp"
#include "nadaraya/sharded/row_chunks.hpp"
#include "nadaraya/sharded/row_floors.hpp"
#include "nadaraya/sharded/row_parts.hpp"
#include "nadaraya/sharded/row_solver.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/sharded/solved_rows.hpp"
#include "nadaraya/sharded/tape.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Rounds of a batch of queries:
///   1. the largest similarities and the highest floor of each row, by all_reduce_max (RowFloors);
///   2. key, similarity and, if they are gathered, values of the candidates above a common floor, by all_gather, and their key rows
///      if a mix is fitted to them; then every rank solves every row, from the same list, and mixes those whose output it has;
///   3. otherwise the weighted sums of each rank's values, by all_reduce_sum.
/// Where that saves a rank more bytes than the round is worth (is_divided), a row is solved and mixed by one rank alone:
///   2. its candidates and their values go to that rank, by all_to_all;
///   3. outputs go to all ranks, by all_gather; or, if they are recorded, to the ranks that have the query, by all_to_all, and with
///      them to each rank the keys of its own that rows have kept, and their weights.
/// One more for all batches lets ranks hear of errors after the last round: those of a mix, of a record, and of too little memory for
/// the candidates of all, where it has not been taken before.
template <class Scalar, Communicator C>
class SparseForward {
 public:
  /// `opening` rides on the first round; null if the call is open.
  SparseForward(Session<C>& session, const Shard<Scalar>& shard, CachedOpening* opening, Mixing mixing, Buffers<Scalar>& buffers,
                const Executing<Scalar>& execution)
      : session_(session),
        shard_(shard),
        opening_(opening),
        mixing_(mixing),
        buffers_(buffers),
        execution_(execution),
        lister_(shard, execution),
        solver_(shard, mixing) {}

  /// Writes out, one row for each of the rank's own queries, and records all queries unless `record` is null.
  void run(RowMatrix<Scalar>& out, Record<Scalar>* record) {
    record_ = record;
    for (Index first = 0; first < shard_.layout.all.queries; first += batch_rows) {
      const Index count = (std::min)(batch_rows, shard_.layout.all.queries - first);
      agree_on_floors(first, count);
      if (is_divided(count)) {
        divide(first, count, out);
      } else {
        gather(first, count, out);
      }
    }
    const bool may_throw = !reserved_ || (solver_.corrects() && shard_.layout.all.queries > 0);
    if (record != nullptr || (gathers_values() && may_throw)) session_.agree();
  }

 private:
  /// Candidates of all ranks for which memory is taken before they are known; a rank counts its own up to `most_counted`.
  static constexpr Index most_reserved = Index(1) << 16;
  static constexpr Index most_counted = Index(1) << 20;
  static constexpr double worth_of_message = 32768;  ///< bytes that travel while a message between two ranks begins to arrive

  static Scalar infinity() { return Scalar(Eigen::NumTraits<Scalar>::infinity()); }
  Index cols() const { return shard_.value_cols(); }
  bool gathers_values() const { return mixing_ == Mixing::gather_values; }

  void agree_on_floors(Index first, Index count) {
    constexpr Index riders = static_cast<Index>(CachedOpening::riders) - 1;
    const bool rides = opening_ != nullptr && first == 0 && 2 * count <= riders;
    row_floors_ = RowFloors<Scalar>(count, session_.rank(), session_.size(),
                                    rides ? riders : RowFloors<Scalar>::room(count));
    buffers_.begin_numbers(row_floors_.size() + 1, -infinity());
    session_.attempt([&] {
      if (first == 0) solver_.prepare();
      if (!gathers_values()) buffers_.reserve_sums(count * cols());
      const std::span<Scalar> numbers(buffers_.numbers);
      lister_.list(first, count, [&](Index r, const CandidateRow<Scalar>& row, CanonicalRows<Scalar>& rows) {
        if (undecided(row)) {
          row_floors_.tell_undecided(r, numbers);
        } else {
          row_floors_.tell(r, row, rows, numbers);
        }
      });
      Index candidates = 0;
      for (Index r = 0; r < count; ++r) {
        if (!is_undecided(r)) candidates += static_cast<Index>(lister_.row(r).size());
      }
      numbers[static_cast<std::size_t>(row_floors_.size())] = static_cast<Scalar>((std::min)(candidates, most_counted));
    });
    largest_of_all(session_, opening_, std::span(buffers_.numbers));
  }

  /// Of a row that is undecided on some rank, nothing is gathered.
  bool is_undecided(Index r) const { return row_floors_.largest(r, buffers_.numbers) == infinity(); }
  /// The most candidates of a batch that a rank has.
  Index most_candidates() const { return static_cast<Index>(buffers_.numbers[static_cast<std::size_t>(row_floors_.size())]); }

  /// Does each rank solve and mix its part of a batch's rows, instead of all of them? The same answer on all ranks: if a rank
  /// then receives fewer bytes by `worth_of_message` for each rank, were all to have as many candidates as the one that has most.
  /// The gradients of a policy's own parameters, whose type is not known, cannot be sent: their rows are pulled back by all.
  bool is_divided(Index count) const {
    if (!gathers_values() || (record_ != nullptr && has_own_parameters(shard_))) return false;
    const auto ranks = static_cast<double>(session_.size());
    const double most_rows = std::ceil(static_cast<double>(count) / ranks);
    const double candidates = static_cast<double>(most_candidates()) * ranks;
    const auto value = static_cast<double>(cols()) * sizeof(Scalar);
    const double gathered = candidates * (sizeof(KeyIndex) + static_cast<double>(1 + solver_.cols()) * sizeof(Scalar));
    return gathered * (1 - most_rows / static_cast<double>(count)) - value * static_cast<double>(count) >= worth_of_message * ranks;
  }

  /// Takes the memory for the candidates of a batch of `count` rows, if they are not too many.
  void reserve(Index count) {
    const Index all = most_candidates() * session_.size();
    reserved_ = all <= most_reserved;
    if (!reserved_) return;
    const auto candidates = static_cast<std::size_t>(all);
    solver_.reserve(candidates, count, session_.size());
    (*scratch_.borrow()).reserve(candidates);
  }

  void gather(Index first, Index count, RowMatrix<Scalar>& out) {
    session_.attempt([&] {
      reserve(count);
      raise_floors(count);
      message_.clear();
      write_candidates(0, count, message_);
    });
    session_.all_gather(message_, gathered_);
    if (!gathers_values()) buffers_.begin_sums(count * cols());
    session_.attempt([&] {
      solver_.read(gathered_, session_.size(), count);
      // Where ranks hear of no error afterwards, nothing takes memory, as a thread would.
      const bool hear = record_ != nullptr || !gathers_values() || !reserved_ || solver_.corrects();
      solve_rows(hear ? RowChunks<Scalar>(count, *execution_) : RowChunks<Scalar>(count), first, 0, [&](Index r) {
        return shard_.is_own(first + r) ? out.row(shard_.own_row(first + r)).data() : nullptr;
      });
      if (record_ != nullptr) solved_.record(shard_, *record_);
    });
    add_sums(first, count, out);
  }

  void divide(Index first, Index count, RowMatrix<Scalar>& out) {
    const RowParts parts{count, session_.size()};
    MessagesToRanks& to_ranks = buffers_.to_ranks;
    session_.attempt([&] {
      raise_floors(count);
      to_ranks.clear();
      for (int s = 0; s < session_.size(); ++s) write_candidates(parts.begin(s), parts.end(s), to_ranks[s]);
    });
    session_.all_to_all(to_ranks, gathered_);
    const Index begin = parts.begin(session_.rank()), rows = parts.count(session_.rank());
    session_.attempt([&] {
      solver_.read(gathered_, session_.size(), rows);
      outputs_.resize(rows, cols());
      solve_rows(RowChunks<Scalar>(rows, *execution_), first, begin, [&](Index r) { return outputs_.row(r - begin).data(); });
    });
    if (record_ != nullptr) return send_recorded(first, parts, out);
    session_.attempt([&] {
      message_.clear();
      message_.add(std::span<const Scalar>(outputs_.data(), static_cast<std::size_t>(outputs_.size())));
    });
    session_.all_gather(message_, gathered_);
    for (int s = 0; s < session_.size(); ++s) {
      const auto numbers = static_cast<std::size_t>(parts.count(s) * cols());
      MessageReader(gathered_.of(s)).read(out.data() + (first + parts.begin(s)) * cols(), numbers);
    }
  }

  /// Outputs, and what owners of keys have to know of the rows, to each rank.
  void send_recorded(Index first, const RowParts& parts, RowMatrix<Scalar>& out) {
    MessagesToRanks& to_ranks = buffers_.to_ranks;
    const Index begin = parts.begin(session_.rank()), rows = parts.count(session_.rank());
    session_.attempt([&] {
      to_ranks.clear();
      for (int s = 0; s < session_.size(); ++s) {
        for (Index r = 0; r < rows; ++r) {
          if (!shard_.layout.has_query(s, first + begin + r)) continue;
          to_ranks[s].add(std::span<const Scalar>(outputs_.row(r).data(), static_cast<std::size_t>(cols())));
        }
      }
      solved_.write(shard_.layout, to_ranks);
    });
    session_.all_to_all(to_ranks, gathered_);
    session_.attempt([&] {
      record_->divided.push_back(1);
      for (int s = 0; s < session_.size(); ++s) {
        MessageReader reader(gathered_.of(s));
        for (Index i = first + parts.begin(s); i < first + parts.end(s); ++i) {
          if (shard_.is_own(i)) reader.read(out.row(shard_.own_row(i)).data(), static_cast<std::size_t>(cols()));
        }
        const auto rows_of_rank = static_cast<std::size_t>(parts.count(s));
        if (s == session_.rank()) {
          solved_.record_own(rows_of_rank, reader, *record_);
        } else {
          solved_.record_other(rows_of_rank, reader, *record_);
        }
      }
    });
  }

  /// The floors that all ranks gather candidates above.
  void raise_floors(Index count) {
    const auto scratch = scratch_.borrow();
    CanonicalRows<Scalar> rows(*shard_.policies.rule, Scalar(shard_.numbers.edge), (*scratch).canonical);
    floors_.resize(static_cast<std::size_t>(count));
    for (Index r = 0; r < count; ++r) {
      floors_[static_cast<std::size_t>(r)] =
          is_undecided(r) ? infinity() : row_floors_.gathering_floor(r, buffers_.numbers, rows, (*scratch).row);
    }
  }

  /// This rank's candidates of the rows [begin, end), and of their values and keys those that are gathered.
  void write_candidates(Index begin, Index end, Message& to) {
    const auto from = static_cast<std::size_t>(begin), rows = static_cast<std::size_t>(end - begin);
    solver_.write(lister_.rows(begin, end - begin), std::span<const Scalar>(floors_).subspan(from, rows), to);
  }

  /// Solves rows from row `begin` on of a batch that begins with query `first`, all of which were read. The output of row r is written
  /// to place(r), unless that is null.
  template <class Place>
  void solve_rows(const RowChunks<Scalar>& chunks, Index first, Index begin, const Place& place) {
    solved_.begin(record_ == nullptr ? Index(0) : chunks.count());
    chunks.for_each(*execution_, solver_.cost(), scratch_, [&](Index c, Index r, SolverScratch<Scalar>& scratch) {
      solve_row(first, begin, begin + r, place(begin + r), scratch, record_ == nullptr ? nullptr : &solved_.chunk(c));
    });
  }

  void solve_row(Index first, Index begin, Index r, Scalar* out, SolverScratch<Scalar>& scratch, SolvedChunk<Scalar>* solved) {
    const Scalar nan(std::numeric_limits<Scalar>::quiet_NaN());
    if (is_undecided(r)) {
      if (out != nullptr) std::fill_n(out, cols(), nan);
      if (solved != nullptr) solved->add(RowNormalizer<Scalar>{nan, nan, nan, nan}, -1, {}, {}, {});
      return;
    }
    solver_.solve(static_cast<std::size_t>(r - begin), scratch);
    const RowView<Scalar> p = scratch.p;
    if (solved != nullptr) {
      const auto none = std::count(p.begin(), p.end(), Scalar(0));
      const auto size = static_cast<Index>(p.size()) - static_cast<Index>(none);
      solved->add(scratch.map, size, scratch.row.keys(), scratch.row.values(), p);
    }
    if (gathers_values() && out == nullptr) return;
    solver_.correct(first + r, scratch);
    if (gathers_values()) return solver_.mix(scratch, out);
    solver_.add_weighted_values(scratch, buffers_.high(r, cols()), buffers_.low(r, cols()));
  }

  void add_sums(Index first, Index count, RowMatrix<Scalar>& out) {
    if (gathers_values()) return;
    session_.all_reduce_sum(buffers_.sums);
    for (Index r = 0; r < count; ++r) {
      if (!shard_.is_own(first + r) || is_undecided(r)) continue;
      for (Index d = 0; d < cols(); ++d) {
        out(shard_.own_row(first + r), d) = static_cast<Scalar>(buffers_.total(r, cols(), d));
      }
    }
  }

  Session<C>& session_;
  const Shard<Scalar>& shard_;
  CachedOpening* opening_;
  Mixing mixing_;
  Buffers<Scalar>& buffers_;
  const Executing<Scalar>& execution_;
  CandidateLister<Scalar> lister_;
  RowSolver<Scalar> solver_;
  Record<Scalar>* record_ = nullptr;
  RowFloors<Scalar> row_floors_;  ///< of the batch
  bool reserved_ = true;  ///< is there memory for all candidates of the last batch?
  std::vector<Scalar> floors_;
  Message message_;
  Gathered gathered_;
  engine::Pool<SolverScratch<Scalar>> scratch_;
  SolvedRows<Scalar> solved_;
  RowMatrix<Scalar> outputs_;  ///< of the rows that this rank has solved of a divided batch
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
