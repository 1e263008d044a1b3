// How functions of the C interface call the library: no exception leaves them, and what went wrong is kept as a message.
#pragma once

#include "nadaraya/nadaraya.h"

#include "nadaraya/detail/check.hpp"

#include <cstddef>
#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <string_view>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::c {

/// The message of a thread: of fixed size, so that reporting a failure cannot fail.
inline thread_local char last_error[1024] = "";

/// "function: message"; a message that begins with the name of a C++ function loses that.
inline void set_last_error(const char* function, const char* message) {
  std::string_view text(message);
  constexpr std::string_view ours = "nadaraya::";
  if (text.substr(0, ours.size()) == ours && text.find(": ") != std::string_view::npos) text.remove_prefix(text.find(": ") + 2);
  std::snprintf(last_error, sizeof last_error, "%s: %.*s", function, static_cast<int>(text.size()), text.data());
}

/// Calls work() and says how that went.
template <class Work>
nadaraya_status call(const char* function, const Work& work) noexcept {
  try {
    work();
    return NADARAYA_SUCCESS;
  } catch (const std::invalid_argument& error) {
    set_last_error(function, error.what());
    return NADARAYA_INVALID_ARGUMENT;
  } catch (const std::bad_alloc&) {
    set_last_error(function, "there is not enough memory");
    return NADARAYA_OUT_OF_MEMORY;
  } catch (const std::length_error&) {
    set_last_error(function, "there is not enough memory");
    return NADARAYA_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    set_last_error(function, error.what());
    return NADARAYA_FAILURE;
  } catch (...) {
    set_last_error(function, "unknown exception");
    return NADARAYA_FAILURE;
  }
}

/// Calls make() for the handle that a function creates.
template <class Handle, class Make>
nadaraya_status create(const char* function, Handle** created, const Make& make) noexcept {
  if (created != nullptr) *created = nullptr;
  return call(function, [&] {
    detail::require(created != nullptr, function, ": created must not be NULL");
    *created = make();
  });
}

/// The argument that a pointer stands for.
template <class T>
T& deref(T* pointer, const char* name) {
  detail::require(pointer != nullptr, "c: ", name, " must not be NULL");
  return *pointer;
}

}  // namespace nadaraya::c

#include "nadaraya/detail/end_precise.hpp"
