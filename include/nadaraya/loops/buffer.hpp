// Memory for the loops: it begins with a cache line, so that packs that are read one after the other lie in one each.
#pragma once

#include "nadaraya/loops/arena.hpp"

#include <cstddef>
#include <new>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Numbers past the end of a list that loops may read and overwrite: those of the widest pack.
inline constexpr std::size_t pack_slack = 16;

/// From the heap or, if there is one, from an arena, which must outlive the vectors.
template <class T>
struct LineAllocator {
  using value_type = T;

  LineAllocator() = default;
  LineAllocator(Arena* from) : arena(from) {}
  template <class Other>
  LineAllocator(const LineAllocator<Other>& other) : arena(other.arena) {}

  /// A vector asks for no more than can be counted in bytes.
  T* allocate(std::size_t n) {
    if constexpr (alignment == line_bytes) {
      if (arena != nullptr) return static_cast<T*>(arena->take(n * sizeof(T)));
    }
    return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t{alignment}));
  }
  void deallocate(T* p, std::size_t) {
    if (alignment != line_bytes || arena == nullptr) ::operator delete(p, std::align_val_t{alignment});
  }

  /// Numbers that no value is given for are not initialized.
  template <class U>
  void construct(U* p) {
    ::new (static_cast<void*>(p)) U;
  }

  friend bool operator==(const LineAllocator& a, const LineAllocator& b) { return a.arena == b.arena; }

  Arena* arena = nullptr;

 private:
  static constexpr std::size_t alignment = alignof(T) > line_bytes ? alignof(T) : line_bytes;
};

/// A vector for the loops.
template <class T>
using LineVector = std::vector<T, LineAllocator<T>>;

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
