// Operators and workspaces of the C interface.
#pragma once

#include "nadaraya/compiled/c_calls.ipp"
#include "nadaraya/compiled/c_handles.ipp"

#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/thread_pool.hpp"
#include "nadaraya/operator_options.hpp"
#include "nadaraya/version.hpp"

#include <cstdint>
#include <memory>
#include <utility>

#include "nadaraya/detail/precise.hpp"

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
      changed.push_back(std::make_shared<const c::HeadOperator>(options));
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
