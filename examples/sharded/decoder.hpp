// A rank of a decoder: its part of a cache of generated tokens, and an operator on the cache of all ranks.
#pragma once

#include "options.hpp"
#include "recorder.hpp"
#include "synthetic.hpp"

#include <nadaraya/sharded/key_value_cache.hpp>
#include <nadaraya/similarity/dot_product.hpp>
#include <nadaraya/types.hpp>

#include <functional>
#include <string>

namespace program {

using Cache = nadaraya::sharded::KeyValueCache<float, nadaraya::DotProduct>;

/// The outputs [batch x Dv] of queries [batch x D], the same on all ranks.
using Decode = std::function<nadaraya::RowMatrix<float>(Recorder& ranks, const nadaraya::RowMatrix<float>& query, const Cache& cache)>;

/// The operator of the options. Throws UsageError for one that generated tokens cannot be decoded with.
Decode make_decode(const Options& options);

/// The cache of a rank, without tokens.
inline Cache make_cache(const Options& o, int rank, int size) { return Cache(rank, size, o.dim, o.value_dim, o.page); }

/// Appends this rank's part of the tokens first, ..., first + count - 1: those of other ranks are not made.
inline void append(Cache& cache, const Options& o, Index first, Index count) {
  const SyntheticText text(o.seed);
  cache.append(text.keys<float>(first, count, o.dim), text.values<float>(first, count, o.value_dim));
}

/// The queries of the i-th call.
inline nadaraya::RowMatrix<float> query(const Options& o, Index i) {
  return SyntheticText(o.seed).queries<float>(i * o.batch, o.batch, o.dim);
}

/// "a query", or how many there are in a call.
inline std::string unit(const Options& o) { return o.batch == 1 ? "a query" : std::to_string(o.batch) + " queries"; }

}  // namespace program
