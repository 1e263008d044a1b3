// Operators and workspaces of the C interface.
#pragma once

#include "nadaraya/compiled/c_arrays.ipp"
#include "nadaraya/compiled/c_calls.ipp"
#include "nadaraya/compiled/c_handles.ipp"

#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/thread_pool.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/mask/additive_bias.hpp"
#include "nadaraya/mask/boolean_mask.hpp"
#include "nadaraya/operator_options.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/version.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::c {

/// The operator with one more mask, mask_of(h) for each of `heads` heads, or mask_of(0) for all.
template <class MaskOf>
nadaraya_operator* with_mask(const HeadOperators& heads, std::int64_t count, const char* name, const MaskOf& mask_of) {
  const auto own = static_cast<std::int64_t>(heads.size());
  detail::require(count == 1 || own == 1 || count == own, "c: ", name, " is for ", count, " heads, and op for ", own);
  HeadOperators masked;
  std::vector<PairMask> masks;
  for (std::int64_t h = 0; h < count; ++h) masks.push_back(mask_of(h));
  for (std::int64_t h = 0; h < (std::max)(count, own); ++h) {
    const HeadOperator& head = *detail::of_head(heads, h);
    std::vector<PairMask> all = head.masks;
    all.push_back(detail::of_head(masks, h));
    masked.push_back(std::make_shared<const HeadOperator>(head.options, std::move(all)));
  }
  return new nadaraya_operator{std::move(masked)};
}

}  // namespace nadaraya::c

using namespace nadaraya;
namespace c = nadaraya::c;

extern "C" {

const char* nadaraya_last_error(void) { return c::last_error; }

const char* nadaraya_version(void) { return NADARAYA_VERSION_STRING; }

nadaraya_status nadaraya_operator_create(const char* options, nadaraya_operator** created) {
  return c::create(__func__, created, [&] {
    detail::require(options != nullptr, "c: options must not be NULL");
    return new nadaraya_operator{{std::make_shared<const c::HeadOperator>(OperatorOptions::parse(options))}};
  });
}

nadaraya_status nadaraya_operator_with(const nadaraya_operator* op, const char* name, double value,
                                       nadaraya_operator** created) {
  return c::create(__func__, created, [&] {
    const c::HeadOperators& heads = c::deref(op, "op").heads;
    detail::require(name != nullptr, "c: name must not be NULL");
    c::HeadOperators changed;
    for (const auto& head : heads) {
      OperatorOptions options = head->options;
      options.set(name, value);
      changed.push_back(std::make_shared<const c::HeadOperator>(options, head->masks));
    }
    return new nadaraya_operator{std::move(changed)};
  });
}

nadaraya_status nadaraya_operator_per_head(nadaraya_operator* const* heads, int64_t count, nadaraya_operator** created) {
  return c::create(__func__, created, [&] {
    detail::require(heads != nullptr && count >= 1, "c: heads must be a list of at least one operator, got ", count);
    c::HeadOperators all;
    for (int64_t h = 0; h < count; ++h) {
      const c::HeadOperators& one = c::deref(heads[h], "an operator of heads").heads;
      detail::require(one.size() == 1, "c: operator ", h, " of heads is for ", one.size(), " heads, and must be for one");
      all.push_back(one.front());
    }
    return new nadaraya_operator{std::move(all)};
  });
}

nadaraya_status nadaraya_operator_with_visible(const nadaraya_operator* op, const uint8_t* visible, int64_t heads,
                                               int64_t queries, int64_t keys, nadaraya_operator** created) {
  return c::create(__func__, created, [&] {
    nadaraya_input array = nadaraya_input_f32(nullptr, 1, heads, queries, keys);
    array.data = visible;
    c::require_sizes(array, "visible");
    detail::require(heads >= 1, "c: visible must be for at least one head, got ", heads);
    return c::with_mask(c::deref(op, "op").heads, heads, "visible", [&](int64_t h) {
      RowMatrix<bool> pairs(queries, keys);
      std::transform(visible + h * pairs.size(), visible + (h + 1) * pairs.size(), pairs.data(),
                     [](uint8_t one) { return one != 0; });
      return BooleanMask(std::move(pairs));
    });
  });
}

nadaraya_status nadaraya_operator_with_bias(const nadaraya_operator* op, const nadaraya_input* bias,
                                            nadaraya_operator** created) {
  return c::create(__func__, created, [&] {
    return c::with_scalar(c::deref(bias, "bias").type, [&]<class Scalar>(Scalar) {
      const auto numbers = c::view<Scalar>(bias, "bias");
      detail::require(numbers.batch() == 1 && numbers.heads() >= 1, "c: bias must be [1 x heads x queries x keys], got ",
                      detail::HeadShape(numbers));
      return c::with_mask(c::deref(op, "op").heads, numbers.heads(), "bias", [&](int64_t h) {
        return AdditiveBias(RowMatrix<double>(numbers.rows(0, h).template cast<double>()));
      });
    });
  });
}

void nadaraya_operator_destroy(nadaraya_operator* op) { delete op; }

nadaraya_status nadaraya_workspace_create(int threads, nadaraya_workspace** created) {
  return c::create(__func__, created, [&] {
    detail::require(threads >= 1, "c: threads must be at least 1, got ", threads);
    return new nadaraya_workspace{.executor = Threads{threads}};
  });
}

void nadaraya_workspace_destroy(nadaraya_workspace* workspace) { delete workspace; }

int nadaraya_processors(void) { return engine::thread_pool.processors(); }

}  // extern "C"

#include "nadaraya/detail/end_precise.hpp"
