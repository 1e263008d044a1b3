// Caches and decoding of the C interface.
#pragma once

#include "nadaraya/compiled/c_arrays.ipp"
#include "nadaraya/compiled/c_calls.ipp"
#include "nadaraya/compiled/c_handles.ipp"

#include "nadaraya/detail/check.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "nadaraya/detail/precise.hpp"

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
    detail::require(key_heads >= 0 && key_dim >= 0 && value_dim >= 0, "c: sizes must not be negative, got ", key_heads,
                    " key heads, key_dim ", key_dim, " and value_dim ", value_dim);
    auto cache = std::make_unique<nadaraya_cache>(nadaraya_cache{similarity, key_dim, value_dim, 0, {}});
    c::with_scalar(type, [&]<class Scalar>(Scalar) {
      auto& heads = cache->of.emplace<c::SequenceCache<Scalar>>().heads;
      for (int64_t h = 0; h < key_heads; ++h) heads.push_back(c::make_head_cache<Scalar>(similarity, key_dim, value_dim));
    });
    return cache.release();
  });
}

nadaraya_status nadaraya_cache_copy(const nadaraya_cache* cache, nadaraya_cache** created) {
  return c::create(__func__, created, [&] { return new nadaraya_cache(c::deref(cache, "cache")); });
}

void nadaraya_cache_destroy(nadaraya_cache* cache) { delete cache; }

int64_t nadaraya_cache_tokens(const nadaraya_cache* cache) { return cache == nullptr ? -1 : cache->tokens; }

nadaraya_status nadaraya_cache_reserve(nadaraya_cache* cache, int64_t tokens) {
  return c::call(__func__, [&] {
    std::visit(
        [&](auto& of) {
          for (auto& head : of.heads) head->reserve(tokens);
        },
        c::deref(cache, "cache").of);
  });
}

nadaraya_status nadaraya_cache_append(nadaraya_cache* cache, const nadaraya_input* key, const nadaraya_input* value) {
  return c::call(__func__, [&] {
    nadaraya_cache& changed = c::deref(cache, "cache");
    std::visit(
        [&]<class Scalar>(c::SequenceCache<Scalar>& of) {
          const auto k = c::view<Scalar>(key, "key"), v = c::view<Scalar>(value, "value");
          const auto heads = static_cast<Index>(of.heads.size());
          const detail::HeadShape key_shape{1, heads, k.tokens(), changed.key_dim},
              value_shape{1, heads, k.tokens(), changed.value_dim};
          detail::require(detail::HeadShape(k) == key_shape && detail::HeadShape(v) == value_shape, "c: key and value must be ",
                          key_shape, " and ", value_shape, ", got ", detail::HeadShape(k), " and ", detail::HeadShape(v));
          Index done = 0;
          try {
            for (; done < heads; ++done) of.heads[static_cast<std::size_t>(done)]->append(k, v, done);
          } catch (...) {
            while (done-- > 0) of.heads[static_cast<std::size_t>(done)]->truncate(changed.tokens);
            throw;
          }
          changed.tokens += k.tokens();
        },
        changed.of);
  });
}

nadaraya_status nadaraya_cache_truncate(nadaraya_cache* cache, int64_t tokens) {
  return c::call(__func__, [&] {
    nadaraya_cache& changed = c::deref(cache, "cache");
    detail::require(tokens >= 0 && tokens <= changed.tokens, "c: tokens must lie between 0 and ", changed.tokens, ", got ",
                    tokens);
    std::visit(
        [&](auto& of) {
          for (auto& head : of.heads) head->truncate(tokens);
        },
        changed.of);
    changed.tokens = tokens;
  });
}

nadaraya_status nadaraya_cache_forget_oldest(nadaraya_cache* cache, int64_t tokens) {
  return c::call(__func__, [&] {
    nadaraya_cache& changed = c::deref(cache, "cache");
    detail::require(tokens >= 0 && tokens <= changed.tokens, "c: tokens must lie between 0 and ", changed.tokens, ", got ",
                    tokens);
    std::visit(
        [&](auto& of) {
          for (auto& head : of.heads) head->forget_oldest(tokens);
        },
        changed.of);
    changed.tokens -= tokens;
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
        const auto* const of = std::get_if<c::SequenceCache<Scalar>>(&cache.of);
        detail::require(of != nullptr, "c: cache ", b, " has another type than query");
        for (const auto& head : operators) {
          detail::require(head->options.similarity == cache.similarity, "c: cache ", b, " is for similarity=", cache.similarity,
                          ", and op has similarity=", head->options.similarity);
        }
        detail::require(b == 0 || of->heads.size() * static_cast<std::size_t>(b) == heads.size(),
                        "c: all caches must have the same number of key heads");
        for (const auto& head : of->heads) heads.push_back(head->cached());
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
