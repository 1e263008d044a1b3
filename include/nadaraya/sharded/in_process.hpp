// Ranks as threads of one process: the model of a communicator that needs no network, for tests and examples.
#pragma once

#include "nadaraya/sharded/communicator.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstddef>
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

/// Where the threads of a group meet. One that leaves the group sets those free that wait for it.
class Barrier {
 public:
  explicit Barrier(int threads) : threads_(threads) {}

  /// Returns once all threads are here; throws std::runtime_error if one never comes.
  void wait() {
    std::unique_lock lock(mutex_);
    if (!left_ && ++waiting_ == threads_) {
      waiting_ = 0;
      ++round_;
      changed_.notify_all();
      return;
    }
    const long round = round_;
    changed_.wait(lock, [&] { return left_ || round_ != round; });
    if (round_ == round) throw std::runtime_error("nadaraya::sharded::InProcessRank: another rank has left the group");
  }

  /// Says that a thread does not come again.
  void leave() {
    const std::lock_guard lock(mutex_);
    left_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  const int threads_;
  int waiting_ = 0;
  long round_ = 0;
  bool left_ = false;
};

/// What a rank has laid down for the others to read.
struct Slot {
  const void* data = nullptr;
  std::size_t size = 0;
};

/// What the ranks of a process share.
struct Group {
  explicit Group(int size) : barrier(size), shares(static_cast<std::size_t>(size)) {}

  Barrier barrier;
  std::vector<Slot> shares;
};

}  // namespace detail

/// A rank that is a thread of this process; see run_ranks. A Communicator. Sums are added in the order of the ranks. Where a
/// rank has left the group, by an exception or by returning, the others' calls throw std::runtime_error.
class InProcessRank {
 public:
  /// A rank of a group, which must outlive it.
  InProcessRank(detail::Group& group, int rank) : group_(&group), rank_(rank) {}

  int rank() const { return rank_; }  ///< Its number, from 0.
  int size() const { return static_cast<int>(group_->shares.size()); }  ///< How many ranks there are.

  void all_reduce_max(std::span<float> numbers) { reduce(numbers, larger<float>); }  ///< The largest of each number.
  void all_reduce_max(std::span<double> numbers) { reduce(numbers, larger<double>); }  ///< The largest of each number.
  void all_reduce_sum(std::span<double> numbers) { reduce(numbers, std::plus<double>()); }  ///< The sum of each number.

  /// The bytes of all ranks.
  void all_gather(std::span<const std::byte> mine, Gathered& all) {
    show(mine.data(), mine.size());
    all.ends.clear();
    std::size_t end = 0;
    for (const detail::Slot& slot : group_->shares) all.ends.push_back(end += slot.size);
    all.bytes.resize(end);
    std::size_t begin = 0;
    for (const detail::Slot& slot : group_->shares) {
      std::copy_n(static_cast<const std::byte*>(slot.data), slot.size, all.bytes.begin() + static_cast<std::ptrdiff_t>(begin));
      begin += slot.size;
    }
    group_->barrier.wait();
  }

  /// The bytes of one rank.
  void broadcast(std::span<std::byte> bytes, int root) {
    show(bytes.data(), bytes.size());
    require_equal_sizes(bytes.size());
    if (rank_ != root) {
      const detail::Slot& slot = group_->shares[static_cast<std::size_t>(root)];
      std::copy_n(static_cast<const std::byte*>(slot.data), slot.size, bytes.begin());
    }
    group_->barrier.wait();
  }

 private:
  template <class Number>
  static Number larger(Number a, Number b) {
    return a < b ? b : a;
  }

  /// Lets the others read `size` items until the next meeting, and returns once all have come.
  void show(const void* data, std::size_t size) {
    group_->shares[static_cast<std::size_t>(rank_)] = detail::Slot{data, size};
    group_->barrier.wait();
  }

  void require_equal_sizes(std::size_t size) const {
    for (const detail::Slot& slot : group_->shares) {
      if (slot.size != size) throw std::logic_error("nadaraya::sharded::InProcessRank: ranks call with different sizes");
    }
  }

  template <class Number, class Reduce>
  void reduce(std::span<Number> numbers, const Reduce& of_two) {
    show(numbers.data(), numbers.size());
    require_equal_sizes(numbers.size());
    std::vector<Number> result;
    result.reserve(numbers.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto of = [&](const detail::Slot& slot) { return static_cast<const Number*>(slot.data)[i]; };
      Number reduced = of(group_->shares.front());
      for (const detail::Slot& slot : std::span(group_->shares).subspan(1)) reduced = of_two(reduced, of(slot));
      result.push_back(reduced);
    }
    group_->barrier.wait();
    std::copy(result.begin(), result.end(), numbers.begin());
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
