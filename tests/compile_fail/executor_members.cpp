// expect: ConcurrencyData
// expect: ParallelForNotConst
// expect: ParallelFor
// expect: ValidateOfSomething
// expect: ValidateNotConst
// expect: Valdiate
// expect: Concurency
// expect: ConcurrencyNotConst
// expect: ScratchNotConst
// expect: Scrach
// An executor needs parallel_for(n, fn) const, and says by a function how many threads work at once.
#include "nadaraya/engine/executor.hpp"

#include <vector>

using namespace nadaraya;

struct Plain {
  template <class Fn>
  void parallel_for(Index n, const Fn& fn) const {
    for (Index i = 0; i < n; ++i) fn(i);
  }
};
static_assert(detail::check_executor<Plain>() && detail::check_executor<Serial>() && detail::check_executor<Threads>());
static_assert(detail::check_executor<AnyExecutor>());

#ifdef FAIL
struct ConcurrencyData : Plain {
  int concurrency = 1;
};
struct ParallelForNotConst {
  template <class Fn>
  void parallel_for(Index, const Fn&) {}
};
struct ParallelFor {
  template <class Fn>
  void paralel_for(Index, const Fn&) const {}
};
struct ValidateOfSomething : Plain {
  void validate(int) const {}
};
struct ValidateNotConst : Plain {
  void validate() {}
};
struct Valdiate : Plain {
  void valdiate() const {}
};
struct Concurency : Plain {
  int concurency() const { return 1; }
};
struct ConcurrencyNotConst : Plain {
  int concurrency() { return 1; }
};
struct ScratchNotConst : Plain {
  int& scratch();
};
struct Scrach : Plain {
  int& scrach() const;
};
static_assert(detail::check_executor<ConcurrencyData>());
static_assert(detail::check_executor<ParallelForNotConst>());
static_assert(detail::check_executor<ParallelFor>());
static_assert(detail::check_executor<ValidateOfSomething>());
static_assert(detail::check_executor<ValidateNotConst>());
static_assert(detail::check_executor<Valdiate>());
static_assert(detail::check_executor<Concurency>());
static_assert(detail::check_executor<ConcurrencyNotConst>());
static_assert(detail::check_executor<ScratchNotConst>());
static_assert(detail::check_executor<Scrach>());
#endif
