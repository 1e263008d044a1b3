// What peers.py hands to the two libraries it builds: arrays of float32, and how failures come back.
#pragma once

#include <cstdint>
#include <cstdio>
#include <exception>

/// One call of attention without a batch. Queries and outputs are contiguous [heads x queries x dim], keys and
/// values [heads x tokens x dim].
struct Problem {
  const float* query;
  const float* key;
  const float* value;
  std::int64_t heads;
  std::int64_t queries;
  std::int64_t tokens;
  std::int64_t dim;
  double scale;
  std::int32_t causal;
  std::int32_t threads;
};

/// The message of the last call that failed.
inline char last_error[256] = "";

/// 0, or 1 and a message: no exception may cross into C.
template <class Fn>
int guarded(const Fn& fn) noexcept {
  try {
    fn();
    return 0;
  } catch (const std::exception& error) {
    std::snprintf(last_error, sizeof last_error, "%s", error.what());
  } catch (...) {
    std::snprintf(last_error, sizeof last_error, "unknown exception");
  }
  return 1;
}

#define PEERS_EXPORT extern "C" __attribute__((visibility("default")))
