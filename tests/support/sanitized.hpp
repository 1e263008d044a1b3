// Is the program built with a sanitizer, and a tenth as fast?
#pragma once

namespace nadaraya::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
inline constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool sanitized = false;
#endif

/// work(kernel), unless sanitized: the loops of one kernel that the library has not compiled take as long to compile there as the
/// rest of a test. `work` takes any kernel, so that it is compiled only where it is called.
template <class K, class Work>
void unless_sanitized([[maybe_unused]] const K& kernel, [[maybe_unused]] const Work& work) {
  if constexpr (!sanitized) work(kernel);
}

}  // namespace nadaraya::test
