// Ranks as threads of one process: the model of a communicator that needs no network, for tests and examples.
#pragma once

#include "nadaraya/sharded/barrier.hpp"
#include "nadaraya/sharded/communicator.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <stdexcept>
#include <thread>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

namespace detail {

/// What the ranks of a process share: of the last two meetings what each rank has laid down for the others, so that a rank
/// which is early at the next meeting does not take away what another still reads. Nobody is two meetings ahead.
struct Group {
  explicit Group(int size) : barrier(size) {
    for (auto& share : shares) share.resize(static_cast<std::size_t>(size));
  }

  Barrier barrier;
  std::vector<std::vector<std::byte>> shares[2];
};

}  // namespace detail

/// A rank that is a thread of this process; see run_ranks. A Communicator. Sums are added in the order of the ranks. Where a
/// rank has left the group, by an exception or by returning, the others' calls throw std::runtime_error.
class InProcessRank {
 public:
  /// A rank of a group, which must outlive it.
  InProcessRank(detail::Group& group, int rank) : group_(&group), rank_(rank) {}

  int rank() const { return rank_; }  ///< Its number, from 0.
  int size() const { return static_cast<int>(group_->shares[0].size()); }  ///< How many ranks there are.

  void all_reduce_max(std::span<float> numbers) { reduce(numbers, larger<float>); }  ///< The largest of each number.
  void all_reduce_max(std::span<double> numbers) { reduce(numbers, larger<double>); }  ///< The largest of each number.
  void all_reduce_sum(std::span<double> numbers) { reduce(numbers, std::plus<double>()); }  ///< The sum of each number.

  /// The bytes of all ranks.
  void all_gather(std::span<const std::byte> mine, Gathered& all) {
    const auto& shares = meet(mine);
    all.ends.clear();
    std::size_t end = 0;
    for (const auto& share : shares) all.ends.push_back(end += share.size());
    all.bytes.resize(end);
    auto to = all.bytes.begin();
    for (const auto& share : shares) to = std::copy(share.begin(), share.end(), to);
  }

  /// The bytes that each rank has for this one.
  void all_to_all(std::span<const std::span<const std::byte>> to, Gathered& from) {
    Shares& shares = next_shares();
    // Where the parts end, and the parts.
    std::vector<std::byte>& mine = shares[static_cast<std::size_t>(rank_)];
    mine.clear();
    std::size_t end = to.size() * sizeof end;
    for (const auto& part : to) {
      end += part.size();
      append(std::as_bytes(std::span(&end, 1)), mine);
    }
    for (const auto& part : to) append(part, mine);
    group_->barrier.wait();
    from.bytes.clear();
    from.ends.clear();
    for (const auto& share : shares) {
      const auto end_of = [&](int rank) {
        std::size_t place = static_cast<std::size_t>(size()) * sizeof place;
        if (rank >= 0) std::memcpy(&place, share.data() + static_cast<std::size_t>(rank) * sizeof place, sizeof place);
        return place;
      };
      const std::size_t begin = end_of(rank_ - 1);
      append(std::span(share).subspan(begin, end_of(rank_) - begin), from.bytes);
      from.ends.push_back(from.bytes.size());
    }
  }

  /// The bytes of one rank.
  void broadcast(std::span<std::byte> bytes, int root) {
    const auto& shares = meet_with_equal_sizes(bytes);
    const auto& share = shares[static_cast<std::size_t>(root)];
    std::copy(share.begin(), share.end(), bytes.begin());
  }

 private:
  using Shares = std::vector<std::vector<std::byte>>;

  template <class Number>
  static Number larger(Number a, Number b) {
    return a < b ? b : a;
  }

  static void append(std::span<const std::byte> bytes, std::vector<std::byte>& to) { to.insert(to.end(), bytes.begin(), bytes.end()); }

  /// Where bytes are laid down for the next meeting.
  Shares& next_shares() const { return group_->shares[group_->barrier.meetings() % 2]; }

  /// Lays bytes down for the others; returns those of all ranks once all have come, which stay until they meet again.
  const Shares& meet(std::span<const std::byte> mine) {
    Shares& shares = next_shares();
    shares[static_cast<std::size_t>(rank_)].assign(mine.begin(), mine.end());
    group_->barrier.wait();
    return shares;
  }

  const Shares& meet_with_equal_sizes(std::span<const std::byte> mine) {
    const Shares& shares = meet(mine);
    for (const auto& share : shares) {
      if (share.size() != mine.size()) throw std::logic_error("nadaraya::sharded::InProcessRank: ranks call with different sizes");
    }
    return shares;
  }

  template <class Number, class Reduce>
  void reduce(std::span<Number> numbers, const Reduce& of_two) {
    bool first = true;
    for (const auto& share : meet_with_equal_sizes(std::as_bytes(numbers))) {
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        Number of_rank;
        std::memcpy(&of_rank, share.data() + i * sizeof(Number), sizeof(Number));
        numbers[i] = first ? of_rank : of_two(numbers[i], of_rank);
      }
      first = false;
    }
  }

  detail::Group* group_;
  int rank_;
};

static_assert(Communicator<InProcessRank>);

/// Runs work(rank) for every rank of a group of `size` >= 1, InProcessRank& each, on threads of their own. Returns once all
/// have ended; then throws what the first of them to fail has thrown.
template <class Work>
void run_ranks(int size, const Work& work) {
  detail::Group group(size);
  std::mutex mutex;
  std::exception_ptr first;
  {
    std::vector<std::jthread> threads;
    for (int r = 0; r < size; ++r) {
      threads.emplace_back([&, r] {
        InProcessRank rank(group, r);
        try {
          work(rank);
        } catch (...) {
          const std::lock_guard lock(mutex);
          if (!first) first = std::current_exception();
        }
        group.barrier.leave();
      });
    }
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
