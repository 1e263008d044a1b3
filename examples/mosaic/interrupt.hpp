// A request to end, from the keyboard or the system.
#pragma once

#include <csignal>

namespace program {

/// While it lives, the first SIGINT or SIGTERM is remembered; a second one ends the program as usual.
class Interrupt {
 public:
  Interrupt() {
    struct sigaction action {};
    action.sa_handler = [](int signal) { signal_ = signal; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &old_[0]);
    sigaction(SIGTERM, &action, &old_[1]);
  }
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  ~Interrupt() {
    sigaction(SIGINT, &old_[0], nullptr);
    sigaction(SIGTERM, &old_[1], nullptr);
  }

  /// 0 if there was none.
  int signal() const { return signal_; }

 private:
  inline static volatile std::sig_atomic_t signal_ = 0;
  struct sigaction old_[2];
};

}  // namespace program
