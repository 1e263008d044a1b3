// Where the engine is defined: with the headers, or in a library that is compiled once.
#pragma once

#include "nadaraya/engine/backward_heads.hpp"
#include "nadaraya/engine/engine.hpp"
#include "nadaraya/engine/forward_heads.hpp"
#include "nadaraya/engine/grid_lookup.hpp"
#include "nadaraya/engine/prepared_keys.hpp"
#include "nadaraya/engine/stream_bfloat16.hpp"
#include "nadaraya/simd/bfloat16_tiles.hpp"
#include "nadaraya/simd/compiler.hpp"

#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

template <class Scalar>
void DeletePreparedKeys<Scalar>::operator()(PreparedKeys<Scalar>* keys) const noexcept {
  delete keys;
}

template <class Scalar>
OwnedKeys<Scalar> make_growing_keys(const SimilarityTraits& similarity, Index cols, Screening screening) {
  return OwnedKeys<Scalar>(new PreparedKeys<Scalar>(similarity, cols, screening, Quantized::when_read));
}

template <class Scalar>
OwnedKeys<Scalar> make_prepared_keys(const SimilarityTraits& similarity, Index cols, Screening screening) {
  return OwnedKeys<Scalar>(new PreparedKeys<Scalar>(similarity, cols, screening, Quantized::when_asked));
}

template <class Scalar>
void read_keys(PreparedKeys<Scalar>& keys, const StoredRows<Scalar>& key, const StoredRows<Scalar>& value, Index kept) {
  keys.read(key, value, kept);
}

template <class Scalar>
void hide_keys(PreparedKeys<Scalar>& keys, Index count) noexcept {
  keys.hide(count);
}

template <class Scalar>
void reserve_keys(PreparedKeys<Scalar>& keys, const StoredRows<Scalar>& more_values, Index total) {
  keys.reserve(more_values, total);
}

template <class Scalar>
StreamStored<Scalar> bfloat16_stream() {
#if NADARAYA_HAS_AMX
  if constexpr (std::is_same_v<Scalar, float>) {
    if (simd::has_bfloat16_tiles()) return &stream_bfloat16;
  }
#endif
  return nullptr;
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
