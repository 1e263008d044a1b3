// Replaces operator new, once per program: allocations are counted, and one may be made to fail.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>

namespace nadaraya::test {

inline std::atomic<long> allocations{0};
inline std::atomic<std::size_t> allocated_bytes{0};
/// So many allocations succeed before one fails.
inline std::atomic<long> allocations_left{std::numeric_limits<long>::max()};

/// Null where there is no memory.
inline void* find_memory(std::size_t size, std::size_t alignment) noexcept {
  ++allocations;
  allocated_bytes += size;
  if (allocations_left-- == 0) return nullptr;
  size = (size + alignment - 1) / alignment * alignment;
  return std::aligned_alloc(alignment, size == 0 ? alignment : size);
}

inline void* take_memory(std::size_t size, std::size_t alignment) {
  if (void* memory = find_memory(size, alignment)) return memory;
  throw std::bad_alloc();
}

template <class Work>
long allocations_in(const Work& work) {
  const long before = allocations;
  work();
  return allocations - before;
}

template <class Work>
std::size_t bytes_allocated_in(const Work& work) {
  const std::size_t before = allocated_bytes;
  work();
  return allocated_bytes - before;
}

/// Runs work with its n-th allocation, counted from 0, failing. Returns whether it did.
template <class Work>
bool fails_at(long n, const Work& work) {
  allocations_left = n;
  bool failed = false;
  try {
    work();
  } catch (const std::bad_alloc&) {
    failed = true;
  }
  allocations_left = std::numeric_limits<long>::max();
  return failed;
}

}  // namespace nadaraya::test

// Of two that belong together, g++ takes one for a mismatch where it inlines the other alone.
[[gnu::noinline]] void* operator new(std::size_t size) { return nadaraya::test::take_memory(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return nadaraya::test::take_memory(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return nadaraya::test::find_memory(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return nadaraya::test::find_memory(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
