// How far a long piece of work is.
#pragma once

#include <nadaraya/types.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <utility>

namespace program {

/// A line on standard error every five seconds: "tokens: 65536 of 1048576".
class Progress {
 public:
  Progress(std::string what, nadaraya::Index all) : what_(std::move(what)), all_(all) {}

  void show(nadaraya::Index done) {
    const Clock::time_point now = Clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::seconds(5);
    std::cerr << what_ << ": " << done << " of " << all_ << std::endl;
  }

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  nadaraya::Index all_;
  Clock::time_point next_ = Clock::now() + std::chrono::seconds(5);
};

}  // namespace program
