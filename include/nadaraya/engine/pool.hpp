// Objects that threads lend each other.
#pragma once

#include "nadaraya/detail/brief_lock.hpp"

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Objects that threads borrow and give back, so that there are only as many as threads. A thread gets the one that it has
/// given back last, if that is idle: its memory is in the caches of the processor that the thread runs on.
template <class T>
class Pool {
 public:
  class Loan {
   public:
    explicit Loan(Pool& pool) : pool_(pool), object_(pool.take()) {}
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan() { pool_.give_back(std::move(object_)); }
    T& operator*() const { return *object_; }

   private:
    Pool& pool_;
    std::unique_ptr<T> object_;
  };

  Loan borrow() { return Loan(*this); }

 private:
  std::unique_ptr<T> take() {
    const detail::BriefGuard guard(lock_);
    if (idle_.empty()) {
      // Room for every loan to come back without an allocation, which could fail.
      idle_.reserve(++count_);
      return std::make_unique<T>();
    }
    std::size_t i = idle_.size() - 1;
    while (i > 0 && idle_[i].thread != &this_thread) --i;
    if (idle_[i].thread != &this_thread) i = idle_.size() - 1;
    std::swap(idle_[i], idle_.back());
    std::unique_ptr<T> object = std::move(idle_.back().object);
    idle_.pop_back();
    return object;
  }
  void give_back(std::unique_ptr<T> object) {
    const detail::BriefGuard guard(lock_);
    idle_.push_back(Idle{std::move(object), &this_thread});
  }

  struct Idle {
    std::unique_ptr<T> object;
    const char* thread;  ///< that has given it back; it may have ended
  };
  /// Its address tells threads apart.
  static inline thread_local constinit char this_thread = 0;

  detail::BriefLock lock_;
  std::vector<Idle> idle_;
  std::size_t count_ = 0;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
