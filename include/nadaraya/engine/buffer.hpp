// Memory for the loops: aligned to a cache line, uninitialized, with room for a vector behind it.
#pragma once

#include "nadaraya/types.hpp"

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace nadaraya::engine {

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t size)
      : data_(static_cast<T*>(::operator new(size * sizeof(T) + alignment, std::align_val_t{alignment}))) {
    static_assert(std::is_trivially_copyable_v<T>);
  }
  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) ::operator delete(data_, std::align_val_t{alignment});
  }

  T* data() { return data_; }
  const T* data() const { return data_; }

 private:
  static constexpr std::size_t alignment = 64;

  T* data_ = nullptr;
};

}  // namespace nadaraya::engine
