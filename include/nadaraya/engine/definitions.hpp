// Where the engine is defined: with the headers, or in a library that is compiled once.
#pragma once

#include "nadaraya/engine/backward_heads.hpp"
#include "nadaraya/engine/engine.hpp"
#include "nadaraya/engine/forward_heads.hpp"
#include "nadaraya/engine/prepared_keys.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

template <class Scalar>
void DeletePreparedKeys<Scalar>::operator()(PreparedKeys<Scalar>* keys) const noexcept {
  delete keys;
}

template <class Scalar>
OwnedKeys<Scalar> make_prepared_keys(const SimilarityTraits& similarity, Index cols, Screening screening) {
  return OwnedKeys<Scalar>(new PreparedKeys<Scalar>(similarity, cols, screening));
}

template <class Scalar>
void read_keys(PreparedKeys<Scalar>& keys, const View<Scalar>& key, const View<Scalar>& value, Index kept) {
  keys.read(key, value, kept);
}

template <class Scalar>
void reserve_keys(PreparedKeys<Scalar>& keys, const View<Scalar>& more_values) {
  keys.reserve(more_values);
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
