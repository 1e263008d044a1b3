// The line on a terminal that says how far a run is.
#pragma once

#include <nadaraya/types.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace program {

/// On standard error, where that is a terminal; gone with this object.
class Progress {
 public:
  Progress(nadaraya::Index first, nadaraya::Index last) : first_(first), last_(last) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (shown_) std::fputs("\r\033[K", stderr);
  }

  void show(nadaraya::Index step, double loss, double validation_loss, double tokens) {
    const Clock::time_point now = Clock::now();
    if (!terminal_ || now < next_) return;
    next_ = now + std::chrono::milliseconds(200);
    shown_ = true;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double left = seconds * static_cast<double>(last_ - step) / static_cast<double>(step - first_);
    std::fprintf(stderr, "\r\033[Kstep %td of %td   loss %.3f   validation %.3f   %.0f tokens/s   %d:%02d left", step, last_, loss,
                 validation_loss, tokens / seconds, static_cast<int>(left) / 60, static_cast<int>(left) % 60);
    std::fflush(stderr);
  }

 private:
  using Clock = std::chrono::steady_clock;

  nadaraya::Index first_, last_;
  bool terminal_ = isatty(STDERR_FILENO) != 0;
  bool shown_ = false;
  Clock::time_point start_ = Clock::now(), next_ = start_;
};

}  // namespace program
