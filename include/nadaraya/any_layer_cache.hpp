// A layer cache whose similarity is chosen at run time.
#pragma once

#include "nadaraya/cached_head.hpp"
#include "nadaraya/layer_cache.hpp"
#include "nadaraya/make_operator.hpp"
#include "nadaraya/operator_options.hpp"
#include "nadaraya/similarity/cosine.hpp"
#include "nadaraya/similarity/dot_product.hpp"
#include "nadaraya/similarity/squared_distance.hpp"
#include "nadaraya/types.hpp"

#include <variant>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Keys are stored in the way that their similarity needs.
template <class Stored>
using AnyLayerCache =
    std::variant<LayerCache<Stored, DotProduct>, LayerCache<Stored, Cosine>, LayerCache<Stored, SquaredDistance>>;

/// Returns empty sequences for operators with the similarity of the options, whatever their scale; nothing else is read.
/// Throws std::invalid_argument for a similarity that is unknown, and as LayerCache.
template <class Stored>
AnyLayerCache<Stored> make_layer_cache(const OperatorOptions& options, Index sequences, Index key_heads, Index key_cols,
                                       Index value_cols) {
  options.validate_similarity();
  return with_similarity(options, [&]<class S>(const S&) -> AnyLayerCache<Stored> {
    return LayerCache<Stored, S>(sequences, key_heads, key_cols, value_cols);
  });
}

/// Appends the key heads of all sequences to a list for AnyAttention, until the next call that changes the cache.
template <class Stored>
void append_heads(const AnyLayerCache<Stored>& cache, std::vector<CachedHead<detail::ComputedIn<Stored>>>& list) {
  std::visit(
      [&](const auto& of) {
        for (const auto& head : of.heads()) list.push_back(detail::cached_head<detail::ComputedIn<Stored>>(head));
      },
      cache);
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
