// What a rank says and hears: a communicator that counts.
#pragma once

#include "nadaraya/sharded/communicator.hpp"

#include <cstddef>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// What has passed through a CountingCommunicator.
struct Traffic {
  std::size_t rounds = 0;  ///< calls that all ranks took part in
  std::size_t sent = 0;  ///< bytes that this rank has given
  std::size_t received = 0;  ///< bytes of the others, or the results of reductions, that it has got
};

/// A communicator that counts the bytes and rounds of another one, which must outlive it. What the transport adds (lengths,
/// headers, the same bytes once more on the way through a tree) is not in the numbers.
template <Communicator C>
class CountingCommunicator {
 public:
  explicit CountingCommunicator(C& ranks) : ranks_(&ranks) {}  ///< Refers to `ranks`.

  int rank() const { return ranks_->rank(); }  ///< The rank's number.
  int size() const { return ranks_->size(); }  ///< How many ranks there are.
  const Traffic& traffic() const { return traffic_; }  ///< All since it was made or reset.
  void reset() { traffic_ = Traffic{}; }  ///< Begins to count anew.

  /// As that of the communicator.
  template <class Number>
  void all_reduce_max(std::span<Number> numbers) {
    ranks_->all_reduce_max(numbers);
    add(numbers.size_bytes(), numbers.size_bytes());
  }
  /// As that of the communicator.
  void all_reduce_sum(std::span<double> numbers) {
    ranks_->all_reduce_sum(numbers);
    add(numbers.size_bytes(), numbers.size_bytes());
  }
  /// As that of the communicator.
  void all_gather(std::span<const std::byte> mine, Gathered& all) {
    ranks_->all_gather(mine, all);
    add(mine.size(), all.bytes.size() - mine.size());
  }
  /// As that of the communicator. What the rank has for itself is not counted.
  void all_to_all(std::span<const std::span<const std::byte>> to, Gathered& from) {
    ranks_->all_to_all(to, from);
    std::size_t sent = 0;
    for (const auto& part : to) sent += part.size();
    const std::size_t own = from.of(rank()).size();
    add(sent - own, from.bytes.size() - own);
  }
  /// As that of the communicator.
  void broadcast(std::span<std::byte> bytes, int root) {
    ranks_->broadcast(bytes, root);
    const bool is_root = rank() == root;
    add(is_root ? bytes.size() : 0, is_root ? 0 : bytes.size());
  }

 private:
  void add(std::size_t sent, std::size_t received) {
    ++traffic_.rounds;
    traffic_.sent += sent;
    traffic_.received += received;
  }

  C* ranks_;
  Traffic traffic_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
