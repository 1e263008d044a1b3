// Scratch memory that is kept: a call that finds it allocates no more for many blocks than for one.
#include <nadaraya/nadaraya.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<long> allocations{0};

/// Null where there is no memory.
void* find(std::size_t size, std::size_t alignment) noexcept {
  ++allocations;
  size = (size + alignment - 1) / alignment * alignment;
  return std::aligned_alloc(alignment, size == 0 ? alignment : size);
}

void* allocate(std::size_t size, std::size_t alignment) {
  if (void* memory = find(size, alignment)) return memory;
  throw std::bad_alloc();
}

}  // namespace

// Every allocation by new is counted.
void* operator new(std::size_t size) { return allocate(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
void* operator new(std::size_t size, std::align_val_t alignment) { return allocate(size, static_cast<std::size_t>(alignment)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return find(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return find(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

using namespace nadaraya;

namespace {

template <class Work>
long allocations_in(const Work& work) {
  const long before = allocations;
  work();
  return allocations - before;
}

template <class Op>
void check(const char* name, const Op& op) {
  INFO(name);
  test::Random random(31);
  const auto q = random.normal<float>(20 * 96, 24);
  const auto k = random.normal<float>(700, 24);
  const auto v = random.normal<float>(700, 10);
  RowMatrix<float> out(q.rows(), v.cols());
  const Workspace<float> workspace;
  const auto call = [&](Index queries, const auto& executor) {
    return allocations_in([&] { out.topRows(queries) = op(q.topRows(queries), k, v, executor); });
  };
  call(q.rows(), workspace);
  call(96, workspace);
  const long one_block = call(96, workspace);
  REQUIRE(call(q.rows(), workspace) == one_block);
  REQUIRE(call(96, Serial{}) > one_block);
}

}  // namespace

TEST_CASE("with a workspace no block allocates", "[workspace]") {
  check("softmax", NadarayaWatson{Gaussian{}});
  check("sparsemax", NadarayaWatson{Epanechnikov{}});
  check("sparsemax, screened", NadarayaWatson{Epanechnikov{}}.with(Screening::always));
  check("1.5-entmax of flat scores", NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{.scale = 0.01}});
  check("ReLUmax", NadarayaWatson{Epanechnikov{}, Anchored{1.0}, DotProduct{}, Causal{}});
  check("fixed bandwidth", NadarayaWatson{Biweight{}, FixedBandwidth{4.0}, SquaredDistance{}});
}

TEST_CASE("a workspace serves operators of any size, one after the other", "[workspace]") {
  test::Random random(33);
  const Workspace<double, Threads> workspace(Threads{2});
  for (const Index n : {300, 5, 1, 0, 200}) {
    const auto q = random.normal<double>(n, 7);
    const auto k = random.normal<double>(n + 3, 7);
    const auto v = random.normal<double>(n + 3, 4);
    const NadarayaWatson op{Biweight{}};
    const NadarayaWatson smooth{Gaussian{}};
    REQUIRE(op(q, k, v, workspace) == op(q, k, v));
    REQUIRE(smooth(q, k, v, workspace) == smooth(q, k, v));
  }
}
