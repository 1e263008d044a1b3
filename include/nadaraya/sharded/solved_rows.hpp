// Rows that this rank has solved, on their way to the records of all ranks.
#pragma once

#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/layout.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/sharded/tape.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Some rows that follow each other, which one thread solves.
template <class Scalar>
struct SolvedChunk {
  std::vector<RowNormalizer<Scalar>> maps;
  std::vector<Index> support_sizes;
  ListedRows<Scalar> rows;  ///< keys by their positions among all, and coordinates
  ListedRows<Scalar> weights;  ///< the same keys, and their weights before a mix

  void clear() {
    maps.clear();
    support_sizes.clear();
    rows.clear();
    weights.clear();
  }
  void add(const RowNormalizer<Scalar>& map, Index support_size, std::span<const KeyIndex> keys, std::span<const Scalar> t,
           std::span<const Scalar> p) {
    maps.push_back(map);
    support_sizes.push_back(support_size);
    rows.add(keys, t);
    weights.add(keys, p);
  }
};

template <class Scalar>
class SolvedRows {
 public:
  /// Empties that many chunks.
  void begin(Index chunks) {
    chunks_.resize(static_cast<std::size_t>(chunks));
    for (SolvedChunk<Scalar>& chunk : chunks_) chunk.clear();
  }
  SolvedChunk<Scalar>& chunk(Index c) { return chunks_[static_cast<std::size_t>(c)]; }

  /// Records a batch of which this rank, as any, has solved all rows.
  void record(const Shard<Scalar>& shard, Record<Scalar>& to) const {
    to.divided.push_back(0);
    for (const SolvedChunk<Scalar>& chunk : chunks_) {
      add_solved(chunk, to);
      for (std::size_t r = 0; r < chunk.maps.size(); ++r) {
        to.support_sizes.push_back(chunk.support_sizes[r]);
        const auto keys = chunk.weights.keys(r);
        for (std::size_t j = 0; j < keys.size(); ++j) {
          const Index local = shard.layout.local(keys[j], shard.rank);
          if (local >= 0) to.own.add_pair(static_cast<KeyIndex>(local), chunk.weights.numbers(r)[j]);
        }
        to.own.end_row();
      }
    }
  }

  /// Writes to each rank how large the supports are, and which of its keys the rows have kept, with their weights.
  void write(const Layout& layout, MessagesToRanks& to) {
    const std::size_t ranks = layout.counts.size();
    owned_.resize(ranks);
    for (ListedRows<Scalar>& of_rank : owned_) of_rank.clear();
    int owner = 0;
    for (const SolvedChunk<Scalar>& chunk : chunks_) {
      for (std::size_t r = 0; r < chunk.maps.size(); ++r) {
        const auto keys = chunk.weights.keys(r);
        for (std::size_t j = 0; j < keys.size(); ++j) {
          owner = layout.owner(keys[j], owner);
          const auto local = static_cast<KeyIndex>(layout.local(keys[j], owner));
          owned_[static_cast<std::size_t>(owner)].add_pair(local, chunk.weights.numbers(r)[j]);
        }
        for (ListedRows<Scalar>& of_rank : owned_) of_rank.end_row();
      }
    }
    for (std::size_t s = 0; s < ranks; ++s) {
      Message& message = to[static_cast<int>(s)];
      for (const SolvedChunk<Scalar>& chunk : chunks_) message.add(std::span<const Index>(chunk.support_sizes));
      owned_[s].write(message);
    }
  }

  /// Records what this rank has written to itself, and its rows.
  void record_own(std::size_t rows, MessageReader& from, Record<Scalar>& to) const {
    for (const SolvedChunk<Scalar>& chunk : chunks_) add_solved(chunk, to);
    read(rows, from, to);
  }
  /// Records what another rank has written of `rows` rows.
  static void record_other(std::size_t rows, MessageReader& from, Record<Scalar>& to) {
    to.maps.resize(to.maps.size() + rows);
    for (std::size_t r = 0; r < rows; ++r) to.rows.end_row();
    read(rows, from, to);
  }

 private:
  static void add_solved(const SolvedChunk<Scalar>& chunk, Record<Scalar>& to) {
    to.maps.insert(to.maps.end(), chunk.maps.begin(), chunk.maps.end());
    for (std::size_t r = 0; r < chunk.maps.size(); ++r) to.rows.add(chunk.rows.keys(r), chunk.rows.numbers(r));
  }
  static void read(std::size_t rows, MessageReader& from, Record<Scalar>& to) {
    const std::size_t before = to.support_sizes.size();
    to.support_sizes.resize(before + rows);
    from.read(to.support_sizes.data() + before, rows);
    to.own.add(rows, from);
  }

  std::vector<SolvedChunk<Scalar>> chunks_;
  std::vector<ListedRows<Scalar>> owned_;  ///< by each rank
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
