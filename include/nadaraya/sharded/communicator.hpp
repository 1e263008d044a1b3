// What the ranks of a sharded operator say to each other: the concept that a transport such as MPI models.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// What ranks have given to an all_gather, or for one rank to an all_to_all, in the order of the ranks. Reused from call to call.
struct Gathered {
  std::vector<std::byte> bytes;  ///< those of rank 0, of rank 1, ...
  std::vector<std::size_t> ends;  ///< where the bytes of each rank end

  /// The bytes that a rank has given.
  std::span<const std::byte> of(int rank) const {
    const auto r = static_cast<std::size_t>(rank);
    const std::size_t begin = r == 0 ? 0 : ends[r - 1];
    return std::span(bytes).subspan(begin, ends[r] - begin);
  }
};

/// One of the ranks of a group, which call the same functions in the same order:
///   int rank() const, int size() const        0 <= rank < size
///   void all_reduce_max(std::span<float>), (std::span<double>)
///                                             each number becomes the largest that a rank has in its place
///   void all_reduce_sum(std::span<double>)    each number becomes the sum over the ranks
///   void all_gather(std::span<const std::byte> mine, Gathered& all)     any number of bytes of each rank, 0 too
///   void all_to_all(std::span<const std::span<const std::byte>> to, Gathered& from)
///                                             to[r], of any size, is for rank r; `from` gets what each rank has for this one
///   void broadcast(std::span<std::byte> bytes, int root)                all ranks get the bytes of rank `root`
///
/// Laws: reduced and broadcast spans have the same length on all ranks, and may be empty. Results are the same bits on all
/// ranks; sums may be added in any order. No NaN is given to all_reduce_max. A function returns on every rank, or throws on
/// every rank, or ends the job: it does not leave some ranks waiting for one that has failed. How long it waits for a rank
/// that says nothing is the transport's business.
template <class C>
concept Communicator = requires(C& ranks, const C& known, std::span<float> floats, std::span<double> doubles,
                                std::span<const std::byte> mine, Gathered& all, std::span<std::byte> bytes,
                                std::span<const std::span<const std::byte>> to) {
  { known.rank() } -> std::same_as<int>;
  { known.size() } -> std::same_as<int>;
  ranks.all_reduce_max(floats);
  ranks.all_reduce_max(doubles);
  ranks.all_reduce_sum(doubles);
  ranks.all_gather(mine, all);
  ranks.all_to_all(to, all);
  ranks.broadcast(bytes, 0);
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
