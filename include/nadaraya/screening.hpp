// Whether keys are ruled out by bounds before their similarities are computed.
#pragma once

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// A compact kernel gives no weight to a key below the row's floor, so a cheap bound from above on a
/// similarity may stand in for it: keys and queries are quantized to 8 or 16 bits for each component, and
/// their products rule out all keys whose similarity, with the quantization errors and every rounding
/// counted in, cannot reach the floor, and the few others are scored in full. The result is the exact
/// one: the same support and weights, up to the rounding of sums in another order. All keys of a query are scored in one
/// order, so that equal keys have equal scores, with and without screening. Whether a block of queries is screened to its
/// end is decided by all its queries and by all keys of their panels of 64, masked ones included, and before that by how
/// many of the first 64 keys some queries from all over the head keep: the last digits can depend on these, nothing else.
///
/// It applies to dot products of float and double without an additive bias, under kernels and
/// normalizations that have floors: compact ones that are adaptive or anchored, and nearest neighbours.
/// Elsewhere the choice has no effect.
enum class Screening {
  automatic,  ///< where the machine multiplies bytes or words fast and there is enough to gain
  always,     ///< on every machine and for every size; blocks of queries in which too little is ruled out stop it
  never,
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
