// A callable behind a pointer, so that what calls it is compiled once and not once for each.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

template <class Signature>
class FunctionRef;

/// Refers to a callable, which must outlive it; costs an indirect call.
template <class Result, class... Arguments>
class FunctionRef<Result(Arguments...)> {
 public:
  template <class Function>
    requires(!std::same_as<std::remove_cvref_t<Function>, FunctionRef>)
  FunctionRef(const Function& function)
      : function_(&function), call_([](const void* self, Arguments... arguments) -> Result {
          return (*static_cast<const Function*>(self))(std::forward<Arguments>(arguments)...);
        }) {}

  Result operator()(Arguments... arguments) const { return call_(function_, std::forward<Arguments>(arguments)...); }

 private:
  const void* function_;
  Result (*call_)(const void* self, Arguments... arguments);
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
