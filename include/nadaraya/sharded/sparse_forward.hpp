// The forward pass of rows that keep few of their keys: floors, candidates, and one solution on every rank.
#pragma once

#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/buffers.hpp"
#include "nadaraya/sharded/cached_layout.hpp"
#include "nadaraya/sharded/canonical_rows.hpp"
#include "nadaraya/sharded/exact_sum.hpp"
#include "nadaraya/sharded/gathered_rows.hpp"
#include "nadaraya/sharded/mixing.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/sharded/support_mix.hpp"
#include "nadaraya/sharded/tape.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Rounds of a batch of queries:
///   1. the largest similarity and the highest floor of each row, by all_reduce_max;
///   2. key, similarity and, if they are gathered, values of the candidates above a common floor, by all_gather, and their key rows
///      if a mix is fitted to them; then every rank solves every row, from the same list, and mixes those whose output it has;
///   3. otherwise the weighted sums of each rank's values, by all_reduce_sum.
/// Where that saves a rank more bytes than the round is worth (is_divided), and nothing is recorded, a row is solved and mixed by one
/// rank alone:
///   2. its candidates and their values go to that rank, by all_to_all;
///   3. outputs go to all ranks, by all_gather.
/// One more for all batches lets ranks hear of errors after the last round: those of a mix, and of too little memory for the
/// candidates of all, where it has not been taken before.
template <class Scalar, Communicator C>
class SparseForward {
 public:
  /// `opening` rides on the first round; null if the call is open.
  SparseForward(Session<C>& session, const Shard<Scalar>& shard, CachedOpening* opening, Mixing mixing, Buffers<Scalar>& buffers)
      : session_(session),
        shard_(shard),
        opening_(opening),
        mixing_(mixing),
        buffers_(buffers),
        mix_(shard),
        rows_(*shard.policies.rule, Scalar(shard.numbers.edge)) {}

  /// Writes out, one row for each of the rank's own queries, and records all queries unless `record` is null.
  void run(RowMatrix<Scalar>& out, Record<Scalar>* record) {
    for (Index first = 0; first < shard_.layout.all.queries; first += batch_rows) {
      const Index count = (std::min)(batch_rows, shard_.layout.all.queries - first);
      agree_on_floors(first, count);
      if (record == nullptr && is_divided(count)) {
        divide(first, count, out);
        continue;
      }
      gather(count);
      begin_sums(count);
      session_.attempt([&] {
        for (Index r = 0; r < count; ++r) finish_row(first, 0, r, out, record);
      });
      add_sums(first, count, out);
    }
    const bool may_throw = !reserved_ || (mix_.corrects() && shard_.layout.all.queries > 0);
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
  /// A gathered row of numbers is those of a value, then those of its key.
  bool gathers_rows() const { return gathers_values() || mix_.corrects(); }
  Index gathered_value_cols() const { return gathers_values() ? cols() : 0; }
  Index gathered_cols() const { return gathered_value_cols() + mix_.cols(); }

  void agree_on_floors(Index first, Index count) {
    buffers_.begin_numbers(2 * count + 1, -infinity());
    session_.attempt([&] {
      to_ranks_.begin(session_.size());
      if (first == 0) mix_.prepare();
      list_local_candidates(shard_, first, count, rows_, local_);
      Index candidates = 0;
      for (Index r = 0; r < count; ++r) {
        const CandidateRow<Scalar>& row = local_[static_cast<std::size_t>(r)];
        Scalar* const z_max = buffers_.numbers.data() + r;
        Scalar* const floor = z_max + count;
        if (undecided(row)) {
          *z_max = infinity();
          continue;
        }
        candidates += static_cast<Index>(row.size());
        if (!row.empty()) *z_max = *std::max_element(row.values().begin(), row.values().end());
        *floor = rows_.floor_of(row);
      }
      buffers_.numbers[static_cast<std::size_t>(2 * count)] = static_cast<Scalar>((std::min)(candidates, most_counted));
    });
    largest_of_all(session_, opening_, std::span(buffers_.numbers));
  }

  /// Of a row that is undecided on some rank, nothing is gathered.
  bool is_undecided(Index r) const { return buffers_.numbers[static_cast<std::size_t>(r)] == infinity(); }

  /// Takes the memory for the candidates of a batch of `count` rows, if they are not too many.
  void reserve(Index count) {
    const Index all = static_cast<Index>(buffers_.numbers[static_cast<std::size_t>(2 * count)]) * session_.size();
    reserved_ = all <= most_reserved;
    ranks_.reserve(static_cast<std::size_t>(session_.size()));
    if (!reserved_) return;
    const auto candidates = static_cast<std::size_t>(all);
    kept_.reserve(candidates);
    sorted_.reserve(candidates);
    row_.clear();
    row_.reserve(candidates);
    rows_.reserve(candidates);
    if (p_.size() < candidates + engine::pack_slack) p_.resize(candidates + engine::pack_slack);
    if (gathers_rows()) keyed_.reserve(candidates, gathered_cols());
  }

  void gather(Index count) {
    session_.attempt([&] {
      reserve(count);
      raise_floors(count);
      message_.clear();
      write_candidates(0, count, message_);
    });
    session_.all_gather(message_, gathered_);
    session_.attempt([&] { read_candidates(count); });
  }

  /// Of the rows of a batch, each rank has as many as the others, or one more; these are the first of a rank.
  Index first_of(int rank, Index count) const { return count * rank / session_.size(); }

  /// Does each rank solve and mix its part of a batch's rows, instead of all of them? The same answer on all ranks: if a rank
  /// then receives fewer bytes by `worth_of_message` for each rank, were all to have as many candidates as the one that has most.
  bool is_divided(Index count) const {
    if (!gathers_values()) return false;
    const auto ranks = static_cast<double>(session_.size());
    const double most_rows = std::ceil(static_cast<double>(count) / ranks);
    const double candidates = static_cast<double>(buffers_.numbers[static_cast<std::size_t>(2 * count)]) * ranks;
    const auto value = static_cast<double>(cols()) * sizeof(Scalar);
    const double gathered = candidates * (sizeof(KeyIndex) + static_cast<double>(1 + gathered_cols()) * sizeof(Scalar));
    return gathered * (1 - most_rows / static_cast<double>(count)) - value * static_cast<double>(count) >= worth_of_message * ranks;
  }

  void divide(Index first, Index count, RowMatrix<Scalar>& out) {
    const Index begin = first_of(session_.rank(), count), end = first_of(session_.rank() + 1, count);
    session_.attempt([&] {
      raise_floors(count);
      for (int s = 0; s < session_.size(); ++s) write_candidates(first_of(s, count), first_of(s + 1, count), to_ranks_[s]);
    });
    session_.all_to_all(to_ranks_, gathered_);
    session_.attempt([&] {
      read_candidates(end - begin);
      message_.clear();
      for (Index r = begin; r < end; ++r) {
        finish_row(first, begin, r, out, nullptr);
        message_.add(std::span<const Scalar>(out.row(first + r).data(), static_cast<std::size_t>(cols())));
      }
    });
    session_.all_gather(message_, gathered_);
    for (int s = 0; s < session_.size(); ++s) {
      const Index rows = first_of(s + 1, count) - first_of(s, count);
      MessageReader(gathered_.of(s)).read(out.data() + (first + first_of(s, count)) * cols(), static_cast<std::size_t>(rows * cols()));
    }
  }

  /// The floors that all ranks gather candidates above.
  void raise_floors(Index count) {
    floors_.resize(static_cast<std::size_t>(count));
    for (Index r = 0; r < count; ++r) {
      const Scalar* const z_max = buffers_.numbers.data() + r;
      floors_[static_cast<std::size_t>(r)] = is_undecided(r) ? infinity() : rows_.gathering_floor(*z_max, *(z_max + count));
    }
  }

  /// This rank's candidates of the rows [begin, end), and of their values and keys those that are gathered.
  void write_candidates(Index begin, Index end, Message& to) {
    const auto from = static_cast<std::size_t>(begin), rows = static_cast<std::size_t>(end - begin);
    add_candidates<Scalar>(std::span(local_).subspan(from, rows), std::span(floors_).subspan(from, rows),
                           [&](KeyIndex j) { return shard_.positions()[j]; }, kept_, to);
    if (!gathers_rows()) return;
    make_distinct(kept_);
    to.add(static_cast<KeyIndex>(kept_.size()));
    for (const KeyIndex j : kept_) to.add(static_cast<KeyIndex>(shard_.positions()[j]));
    for (const KeyIndex j : kept_) {
      to.add(std::span(shard_.value.read(j, 1, widened_).data, static_cast<std::size_t>(gathered_value_cols())));
      mix_.add_key(j, to);
    }
  }

  /// Those that all ranks have sent of some rows.
  void read_candidates(Index rows) {
    ranks_.clear();
    keyed_.clear(gathered_cols());
    for (int s = 0; s < session_.size(); ++s) {
      MessageReader reader(gathered_.of(s));
      ranks_.emplace_back(static_cast<std::size_t>(rows), reader);
      if (!gathers_rows()) continue;
      kept_.resize(static_cast<std::size_t>(reader.template read<KeyIndex>()));
      reader.read(kept_.data(), kept_.size());
      keyed_.read(kept_, reader);
    }
    keyed_.close();
  }

  void begin_sums(Index count) {
    if (!gathers_values()) buffers_.begin_sums(count * cols());
  }

  /// Row r of a batch that begins with query `first`, of candidates that were read from row `begin` on.
  void finish_row(Index first, Index begin, Index r, RowMatrix<Scalar>& out, Record<Scalar>* record) {
    take_row<Scalar>(static_cast<std::size_t>(r - begin), ranks_, sorted_, row_);
    if (is_undecided(r)) {
      const Scalar nan(std::numeric_limits<Scalar>::quiet_NaN());
      if (shard_.is_own(first + r)) out.row(shard_.own_row(first + r)).setConstant(nan);
      if (record != nullptr) record->add(RowNormalizer<Scalar>{nan, nan, nan, nan}, -1, {}, {});
      return;
    }
    const RowNormalizer<Scalar> map = rows_.solve(row_);
    shard_.policies.rule->weigh(row_, map, p_);
    const RowOut<Scalar> p(p_.data(), row_.size());
    if (record != nullptr) {
      const auto none = std::count(p.begin(), p.end(), Scalar(0));
      record->add(map, static_cast<Index>(p.size()) - static_cast<Index>(none), row_.keys(), row_.values());
    }
    if (gathers_values() && !shard_.is_own(first + r)) return;
    const std::span<const KeyIndex> places = gathers_rows() ? keyed_.places(row_.keys()) : std::span<const KeyIndex>{};
    mix_.correct(first + r, keyed_.columns(gathered_value_cols(), mix_.cols()), places, map, p);
    if (!gathers_values()) return add_weighted_values(r, p);
    engine::chosen_loops<Scalar>().mix(places.data(), p.data(), static_cast<Index>(p.size()), keyed_.view().data, gathered_cols(),
                                       cols(), out.row(shard_.own_row(first + r)).data());
  }

  /// This rank's part of sum_j p_j v_j.
  void add_weighted_values(Index r, RowView<Scalar> p) {
    if (p.empty()) return;
    const auto lighter = [](Scalar a, Scalar b) { return std::abs(a) < std::abs(b); };  // those of a mix may be negative
    const auto heaviest = static_cast<double>(std::abs(*std::max_element(p.begin(), p.end(), lighter)));
    const SplitAddition addition(heaviest * shard_.layout.largest_value, static_cast<double>(p.size()));
    kept_.clear();
    p_mine_.clear();
    for (std::size_t j = 0; j < p.size(); ++j) {
      const Index local = shard_.layout.local(row_.keys()[j], shard_.rank);
      if (local < 0) continue;
      kept_.push_back(static_cast<KeyIndex>(local));
      p_mine_.push_back(p[j]);
    }
    add_weighted_rows<Scalar>(addition, kept_, p_mine_.data(), shard_.value, widened_, buffers_.high(r, cols()), buffers_.low(r, cols()));
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
  SupportMix<Scalar> mix_;
  CanonicalRows<Scalar> rows_;
  bool reserved_ = true;  ///< is there memory for all candidates of the last batch?
  std::vector<CandidateRow<Scalar>> local_;
  std::vector<Scalar> floors_;
  std::vector<KeyIndex> kept_;
  Message message_;
  MessagesToRanks to_ranks_;
  Gathered gathered_;
  std::vector<RankCandidates<Scalar>> ranks_;
  KeyedRows<Scalar> keyed_;
  std::vector<std::pair<KeyIndex, Scalar>> sorted_;
  CandidateRow<Scalar> row_;
  engine::LineVector<Scalar> p_;
  std::vector<Scalar> p_mine_;
  engine::LineVector<Scalar> widened_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
