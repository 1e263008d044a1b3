// Any executor behind one type, so that modules are compiled once and not once for each.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/types.hpp"

#include <concepts>
#include <type_traits>

namespace nadaraya::mosaic {

/// Refers to an executor, which must outlive it. Is an executor itself, and costs one indirect call for
/// each piece of work.
class AnyExecutor {
 public:
  template <Executor E>
    requires(!std::same_as<std::remove_cvref_t<E>, AnyExecutor>)
  AnyExecutor(const E& executor)
      : executor_(&executor), run_([](const void* self, Index n, Call call, const void* work) {
          static_cast<const E*>(self)->parallel_for(n, [&](Index i) { call(work, i); });
        }) {}

  template <class Fn>
  void parallel_for(Index n, const Fn& fn) const {
    run_(executor_, n, [](const void* work, Index i) { (*static_cast<const Fn*>(work))(i); }, &fn);
  }

 private:
  using Call = void (*)(const void* work, Index i);

  const void* executor_;
  void (*run_)(const void* self, Index n, Call call, const void* work);
};

/// fn(first, count) for consecutive stretches of n things, `stretch` at a time but for the last. The
/// stretches do not depend on the executor: partial sums over them may be part of a result.
template <class Fn>
void for_stretches(Index n, Index stretch, const AnyExecutor& executor, const Fn& fn) {
  executor.parallel_for((n + stretch - 1) / stretch, [&](Index i) {
    const Index first = i * stretch;
    fn(first, n - first < stretch ? n - first : stretch);
  });
}

}  // namespace nadaraya::mosaic
