// Memory that a call takes piece by piece and gives back as a whole.
#pragma once

#include "nadaraya/detail/brief_lock.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

inline constexpr std::size_t line_bytes = 64;

/// Memory taken piece by piece, from any thread, and given back all at once, but kept: repeated work allocates nothing.
/// Neither copied nor moved.
class Arena {
  struct Position {
    std::size_t block = 0;
    std::size_t used = 0;
  };

 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Uninitialized, until clear() or the end of a scope that is open; begins with a cache line.
  void* take(std::size_t bytes) {
    const std::size_t size = (bytes + line_bytes - 1) / line_bytes * line_bytes;
    const detail::BriefGuard guard(lock_);
    while (at_.block < blocks_.size() && blocks_[at_.block].size - at_.used < size) at_ = Position{at_.block + 1, 0};
    if (at_.block == blocks_.size()) add_block(size);
    std::byte* const piece = blocks_[at_.block].memory.get() + at_.used;
    at_.used += size;
    return piece;
  }

  /// Gives everything back. If there are several blocks, one will do the next time.
  void clear() noexcept {
    at_ = Position{};
    if (blocks_.size() > 1) blocks_.clear();
  }

  /// Gives back, at its end, the pieces taken during its life. Opened and closed while no other thread takes.
  class Scope {
   public:
    explicit Scope(Arena& arena) : arena_(arena), begin_(arena.at_) {}
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() { arena_.at_ = begin_; }

   private:
    Arena& arena_;
    Position begin_;
  };

 private:
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t{line_bytes}); }
  };
  struct Block {
    std::unique_ptr<std::byte[], Free> memory;
    std::size_t size;
  };
  /// As large as all before it, so that there are but few.
  void add_block(std::size_t size) {
    constexpr std::size_t least = 1 << 13;
    const std::size_t room = (std::max)({least, size, total_});
    blocks_.reserve(blocks_.size() + 1);
    auto* const memory = static_cast<std::byte*>(::operator new(room, std::align_val_t{line_bytes}));
    blocks_.push_back(Block{std::unique_ptr<std::byte[], Free>(memory), room});
    total_ = (std::max)(total_, sum());
  }
  std::size_t sum() const {
    std::size_t bytes = 0;
    for (const Block& block : blocks_) bytes += block.size;
    return bytes;
  }

  detail::BriefLock lock_;
  std::vector<Block> blocks_;
  std::size_t total_ = 0;  ///< the most bytes that blocks have had together
  Position at_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
