// Caches and decoding of the C interface.
#pragma once

#include "nadaraya/compiled/c_arrays.ipp"
#include "nadaraya/compiled/c_calls.ipp"
#include "nadaraya/compiled/c_handles.ipp"

#include "nadaraya/any_layer_cache.hpp"
#include "nadaraya/detail/check.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/layer_cache.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::c {

inline void require_tokens(const nadaraya_cache& cache, std::int64_t tokens) {
  detail::require(tokens >= 0 && tokens <= cache.tokens(), "c: tokens must lie between 0 and ", cache.tokens(), ", got ",
                  tokens);
}

}  // namespace nadaraya::c

using namespace nadaraya;
namespace c = nadaraya::c;

extern "C" {

nadaraya_status nadaraya_cache_create(const nadaraya_operator* op, int32_t type, int64_t key_heads, int64_t key_dim,
                                      int64_t value_dim, nadaraya_cache** created) {
  return c::create(__func__, created, [&] {
    const c::HeadOperators& operators = c::deref(op, "op").heads;
    const std::string& similarity = operators.front()->options.similarity;
    for (const auto& head : operators) {
      detail::require(head->options.similarity == similarity, "c: the heads of op have different similarities, ", similarity,
                      " and ", head->options.similarity);
    }
    detail::require(key_heads >= 1 && key_dim >= 0 && value_dim >= 0,
                    "c: key_heads must be at least 1, and key_dim and value_dim must not be negative, got ", key_heads, ", ",
                    key_dim, " and ", value_dim);
    return c::with_scalar(type, [&]<class Scalar>(Scalar) {
      return new nadaraya_cache{
          similarity, make_layer_cache<Scalar>(operators.front()->options, 1, key_heads, key_dim, value_dim)};
    });
  });
}

nadaraya_status nadaraya_cache_copy(const nadaraya_cache* cache, nadaraya_cache** created) {
  return c::create(__func__, created, [&] { return new nadaraya_cache(c::deref(cache, "cache")); });
}

void nadaraya_cache_destroy(nadaraya_cache* cache) { delete cache; }

int64_t nadaraya_cache_tokens(const nadaraya_cache* cache) { return cache == nullptr ? -1 : cache->tokens(); }

nadaraya_status nadaraya_cache_reserve(nadaraya_cache* cache, int64_t tokens) {
  return c::call(__func__, [&] { c::deref(cache, "cache").visit([&](auto& layer) { layer.reserve(tokens); }); });
}

nadaraya_status nadaraya_cache_append(nadaraya_cache* cache, const nadaraya_input* key, const nadaraya_input* value) {
  return c::call(__func__, [&] {
    c::deref(cache, "cache").visit([&]<class Scalar, class S>(LayerCache<Scalar, S>& layer) {
      layer.append(0, c::view<Scalar>(key, "key"), c::view<Scalar>(value, "value"));
    });
  });
}

nadaraya_status nadaraya_cache_truncate(nadaraya_cache* cache, int64_t tokens) {
  return c::call(__func__, [&] {
    c::require_tokens(c::deref(cache, "cache"), tokens);
    cache->visit([&](auto& layer) { layer.truncate(0, tokens); });
  });
}

nadaraya_status nadaraya_cache_forget_oldest(nadaraya_cache* cache, int64_t tokens) {
  return c::call(__func__, [&] {
    c::require_tokens(c::deref(cache, "cache"), tokens);
    cache->visit([&](auto& layer) { layer.forget_oldest(0, tokens); });
  });
}

nadaraya_status nadaraya_decode(const nadaraya_operator* op, const nadaraya_input* query, nadaraya_cache* const* caches,
                                int64_t count, const nadaraya_output* out, const nadaraya_workspace* workspace) {
  return c::call(__func__, [&] {
    c::with_scalar(c::deref(query, "query").type, [&]<class Scalar>(Scalar) {
      const auto q = c::view<Scalar>(query, "query");
      const auto o = c::view<Scalar>(out, "out");
      const c::HeadOperators& operators = c::deref(op, "op").heads;
      detail::require(count == q.batch() && (count == 0 || caches != nullptr), "c: query ", detail::HeadShape(q), " needs ",
                      q.batch(), " caches, got ", count);
      std::vector<CachedHead<Scalar>> heads;
      for (int64_t b = 0; b < count; ++b) {
        const nadaraya_cache& cache = c::deref(static_cast<const nadaraya_cache*>(caches[b]), "a cache of caches");
        const auto* const of = std::get_if<AnyLayerCache<Scalar>>(&cache.of);
        detail::require(of != nullptr, "c: cache ", b, " has another type than query");
        for (const auto& head : operators) {
          detail::require(head->options.similarity == cache.similarity, "c: cache ", b, " is for similarity=", cache.similarity,
                          ", and op has similarity=", head->options.similarity);
        }
        const std::size_t before = heads.size();
        append_heads(*of, heads);
        detail::require(b == 0 || before == (heads.size() - before) * static_cast<std::size_t>(b),
                        "c: all caches must have the same number of key heads");
      }
      const auto attention = c::attention<Scalar>(operators);
      const Packed sequences = Packed::one(q.tokens(), q.tokens());
      c::with_executor<Scalar>(workspace, [&](const auto& executor) {
        attention(q, std::span<const CachedHead<Scalar>>(heads), o, sequences, executor);
      });
    });
  });
}

}  // extern "C"

#include "nadaraya/detail/end_precise.hpp"
