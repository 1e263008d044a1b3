// Ranks as processes of MPI: the communicator of sharded operators across machines. Needs <mpi.h>, of MPI 3 or newer.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/sharded/communicator.hpp"

#include <mpi.h>

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// A rank that is a process of MPI. A Communicator. Made between MPI_Init and MPI_Finalize, and gone before MPI_Finalize, by
/// all ranks of the group together. Its functions are called by one thread at a time, the one that MPI_THREAD_FUNNELED allows.
///
/// An error of MPI in a group leaves ranks waiting for those that it struck, where no exception could reach them. So it ends
/// the job: the function's name and MPI's own text go to standard error, then MPI_Abort. Deadlines, and processes that
/// disappear, are MPI's business: Open MPI's mpirun ends a job of which a process was killed.
class MpiRank {
 public:
  /// A rank of the group of `ranks`, which stays the caller's: messages go through a duplicate of it. No call to MPI has more
  /// than `most` elements; tests make it smaller than MPI's own limit, INT_MAX.
  /// Throws std::invalid_argument if MPI is not initialized, or `ranks` is null or joins two groups.
  explicit MpiRank(MPI_Comm ranks, int most = INT_MAX) : most_(static_cast<std::size_t>(most)) {
    int initialized = 0, joins_two = 0;
    MPI_Initialized(&initialized);
    nadaraya::detail::require(initialized != 0, "sharded::MpiRank: MPI_Init has not been called");
    nadaraya::detail::require(ranks != MPI_COMM_NULL, "sharded::MpiRank: the communicator is MPI_COMM_NULL");
    nadaraya::detail::require(most >= 1, "sharded::MpiRank: most must be at least 1, got ", most);
    MPI_Comm_test_inter(ranks, &joins_two);
    nadaraya::detail::require(joins_two == 0, "sharded::MpiRank: the communicator joins two groups");
    MPI_Comm_dup(ranks, &ranks_);
    MPI_Comm_set_errhandler(ranks_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(ranks_, &rank_);
    MPI_Comm_size(ranks_, &size_);
  }
  MpiRank(const MpiRank&) = delete;
  MpiRank& operator=(const MpiRank&) = delete;
  ~MpiRank() { MPI_Comm_free(&ranks_); }

  int rank() const { return rank_; }  ///< Its number, from 0.
  int size() const { return size_; }  ///< How many ranks there are.

  /// The largest of each number.
  void all_reduce_max(std::span<float> numbers) { reduce(numbers, MPI_FLOAT, MPI_MAX, "all_reduce_max"); }
  /// The largest of each number.
  void all_reduce_max(std::span<double> numbers) { reduce(numbers, MPI_DOUBLE, MPI_MAX, "all_reduce_max"); }
  /// The sum of each number, in an order that is MPI's choice. All ranks get the same bits, which the standard demands.
  void all_reduce_sum(std::span<double> numbers) { reduce(numbers, MPI_DOUBLE, MPI_SUM, "all_reduce_sum"); }

  /// The bytes of all ranks: two rounds, since the sizes come first.
  void all_gather(std::span<const std::byte> mine, Gathered& all) {
    const std::uint64_t size = mine.size();
    fits("all_gather", [&] { sizes_.resize(static_cast<std::size_t>(size_)); });
    check(MPI_Allgather(&size, 1, MPI_UINT64_T, sizes_.data(), 1, MPI_UINT64_T, ranks_), "all_gather");
    fits("all_gather", [&] {
      all.ends.clear();
      std::size_t end = 0;
      for (const std::uint64_t one : sizes_) all.ends.push_back(end += static_cast<std::size_t>(one));
      all.bytes.resize(end);
    });
    if (all.bytes.size() <= most_) {
      gather(mine, all);
    } else {
      gather_in_parts(mine, all);
    }
  }

  /// The bytes that each rank has for this one: two rounds, since the sizes come first.
  void all_to_all(std::span<const std::span<const std::byte>> to, Gathered& from) {
    // Each rank tells the others the size of their part and that of all its parts.
    std::uint64_t sent = 0;
    for (const auto& part : to) sent += part.size();
    fits("all_to_all", [&] {
      sizes_.resize(4 * to.size());
      for (std::size_t r = 0; r < to.size(); ++r) {
        sizes_[2 * r] = to[r].size();
        sizes_[2 * r + 1] = sent;
      }
    });
    std::uint64_t* const told = sizes_.data() + 2 * to.size();
    check(MPI_Alltoall(sizes_.data(), 2, MPI_UINT64_T, told, 2, MPI_UINT64_T, ranks_), "all_to_all");
    std::uint64_t of_all = 0;
    fits("all_to_all", [&] {
      from.ends.clear();
      std::size_t end = 0;
      for (std::size_t r = 0; r < to.size(); ++r) {
        from.ends.push_back(end += static_cast<std::size_t>(told[2 * r]));
        of_all += told[2 * r + 1];
      }
      from.bytes.resize(end);
    });
    // The same on all ranks, and no less than any of them sends or receives.
    if (of_all <= most_) {
      exchange(to, from);
    } else {
      exchange_in_parts(to, from);
    }
  }

  /// The bytes of one rank.
  void broadcast(std::span<std::byte> bytes, int root) {
    for (std::size_t n = 0; !bytes.empty(); bytes = bytes.subspan(n)) {
      n = (std::min)(bytes.size(), most_);
      check(MPI_Bcast(bytes.data(), static_cast<int>(n), MPI_BYTE, root, ranks_), "broadcast");
    }
  }

 private:
  template <class Number>
  void reduce(std::span<Number> numbers, MPI_Datatype type, MPI_Op operation, const char* function) {
    for (std::size_t n = 0; !numbers.empty(); numbers = numbers.subspan(n)) {
      n = (std::min)(numbers.size(), most_);
      check(MPI_Allreduce(MPI_IN_PLACE, numbers.data(), static_cast<int>(n), type, operation, ranks_), function);
    }
  }

  void gather(std::span<const std::byte> mine, Gathered& all) {
    fits("all_gather", [&] {
      counts_.assign(sizes_.begin(), sizes_.end());
      begins_.assign(1, 0);
      begins_.insert(begins_.end(), all.ends.begin(), all.ends.end() - 1);
    });
    check(MPI_Allgatherv(mine.data(), static_cast<int>(mine.size()), MPI_BYTE, all.bytes.data(), counts_.data(),
                         begins_.data(), MPI_BYTE, ranks_),
          "all_gather");
  }

  /// MPI 3 counts places in the result as int: beyond, each rank sends its bytes to all.
  void gather_in_parts(std::span<const std::byte> mine, Gathered& all) {
    for (int r = 0; r < size_; ++r) {
      const auto of_rank = static_cast<std::size_t>(r);
      const std::size_t begin = r == 0 ? 0 : all.ends[of_rank - 1];
      const std::span<std::byte> part = std::span(all.bytes).subspan(begin, all.ends[of_rank] - begin);
      if (r == rank_) std::copy(mine.begin(), mine.end(), part.begin());
      broadcast(part, r);
    }
  }

  void exchange(std::span<const std::span<const std::byte>> to, Gathered& from) {
    fits("all_to_all", [&] {
      sent_.clear();
      counts_.clear();
      begins_.clear();
      for (const auto& part : to) {
        counts_.push_back(static_cast<int>(part.size()));
        begins_.push_back(static_cast<int>(sent_.size()));
        sent_.insert(sent_.end(), part.begin(), part.end());
      }
      for (std::size_t r = 0; r < to.size(); ++r) {
        const auto part = from.of(static_cast<int>(r));
        counts_.push_back(static_cast<int>(part.size()));
        begins_.push_back(static_cast<int>(part.data() - from.bytes.data()));
      }
    });
    check(MPI_Alltoallv(sent_.data(), counts_.data(), begins_.data(), MPI_BYTE, from.bytes.data(), counts_.data() + to.size(),
                        begins_.data() + to.size(), MPI_BYTE, ranks_),
          "all_to_all");
  }

  /// Each rank sends to the one that is n places after it, and receives from the one n places before.
  void exchange_in_parts(std::span<const std::span<const std::byte>> to, Gathered& from) {
    for (int n = 0; n < size_; ++n) {
      const int next = (rank_ + n) % size_, previous = (rank_ - n + size_) % size_;
      std::span<const std::byte> sends = to[static_cast<std::size_t>(next)];
      const std::span<const std::byte> place = from.of(previous);
      const auto begin = static_cast<std::size_t>(place.data() - from.bytes.data());
      std::span<std::byte> receives = std::span(from.bytes).subspan(begin, place.size());
      while (!sends.empty() || !receives.empty()) {
        const std::size_t s = (std::min)(sends.size(), most_), r = (std::min)(receives.size(), most_);
        check(MPI_Sendrecv(sends.data(), static_cast<int>(s), MPI_BYTE, s > 0 ? next : MPI_PROC_NULL, 0, receives.data(),
                           static_cast<int>(r), MPI_BYTE, r > 0 ? previous : MPI_PROC_NULL, 0, ranks_, MPI_STATUS_IGNORE),
              "all_to_all");
        sends = sends.subspan(s);
        receives = receives.subspan(r);
      }
    }
  }

  void check(int code, const char* function) const {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(code, text, &length);
    end_job(function, text);
  }

  /// allocate(), between calls to MPI of which the other ranks have begun the next.
  template <class Allocate>
  void fits(const char* function, const Allocate& allocate) const {
    nadaraya::detail::attempt(allocate, [&] { end_job(function, "there is not enough memory"); });
  }

  [[noreturn]] void end_job(const char* function, const char* reason) const {
    std::fprintf(stderr, "nadaraya::sharded::MpiRank: %s: rank %d of %d: %s\n", function, rank_, size_, reason);
    MPI_Abort(ranks_, 1);
    std::abort();
  }

  MPI_Comm ranks_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  std::size_t most_;
  std::vector<std::uint64_t> sizes_;
  std::vector<int> counts_, begins_;  ///< as MPI_Allgatherv and MPI_Alltoallv take them; reused from call to call
  std::vector<std::byte> sent_;
};

static_assert(Communicator<MpiRank>);

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
