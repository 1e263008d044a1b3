// Every vector tier that this machine runs against the portable loops, at every length around its
// width, with sentinels behind the output.
#include "tests/engine/every_tier.hpp"

#include <nadaraya/kernel/gaussian.hpp>
#include <nadaraya/kernel/rectified_polynomial.hpp>
#include <nadaraya/kernel/uniform.hpp>
#include <nadaraya/loops/chosen.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

using namespace nadaraya;
using namespace nadaraya::test;
using engine::Portable;

TEMPLATE_TEST_CASE("the table holds the loops of the machine's tier", "[engine]", float, double) {
  using T = TestType;
  const engine::LoopTable<T>& table = engine::loops<T>();
#if NADARAYA_HAS_AVX
  if (simd::tier() == simd::Tier::avx512) {
    REQUIRE(&table == &engine::avx512::loop_table<engine::LoopTable<T>>);
    return;
  }
  if (simd::tier() == simd::Tier::avx2) {
    REQUIRE(&table == &engine::avx2::loop_table<engine::LoopTable<T>>);
    return;
  }
#endif
  REQUIRE(&table == &engine::baseline::loop_table<engine::LoopTable<T>>);
}

TEST_CASE("a scalar without vector loops gets the portable ones", "[engine]") {
  const std::vector<long double> z{1, 3, 2};
  REQUIRE(engine::loops<long double>().largest(z.data(), 3) == 3);
}

TEMPLATE_TEST_CASE("candidates are the same in every tier", "[engine]", float, double) {
  using T = TestType;
  test::Random random(3);
  with_every_tier([&](auto loops, const char* tier) {
    for (Index n = 0; n <= 70; ++n) {
      INFO(tier << ", n = " << n);
      std::vector<T> z = numbers<T>(n, random);
      if (n > 4) z[static_cast<std::size_t>(n - 2)] = std::numeric_limits<T>::quiet_NaN();
      if (n > 0) z[static_cast<std::size_t>(n / 2)] = T(0.25);  // a tie with the floor is below it
      std::vector<T> found(static_cast<std::size_t>(n + slack)), expected = found;
      std::vector<KeyIndex> keys(static_cast<std::size_t>(n + slack)), expected_keys = keys;
      const Index kept = loops.filter(z.data(), n, T(0.25), 7, found.data(), keys.data());
      REQUIRE(kept == Portable::filter(z.data(), n, T(0.25), 7, expected.data(), expected_keys.data()));
      REQUIRE(first(keys, kept) == first(expected_keys, kept));

      std::vector<T> pruned = z, pruned_portably = z;
      std::vector<KeyIndex> list = run_of_keys(n), list_portably = list;
      const Index left = loops.prune(pruned.data(), list.data(), n, T(0.25));
      REQUIRE(left == Portable::prune(pruned_portably.data(), list_portably.data(), n, T(0.25)));
      REQUIRE(first(list, left) == first(list_portably, left));

      std::vector<KeyIndex> places(static_cast<std::size_t>(n + slack)), expected_places;
      for (Index j = 0; j < n; ++j) {
        const T x = z[static_cast<std::size_t>(j)];
        if (x > T(-0.5) && x <= T(0.25)) expected_places.push_back(static_cast<KeyIndex>(j));
      }
      const Index between = loops.between(z.data(), n, T(-0.5), T(0.25), places.data());
      REQUIRE(first(places, between) == expected_places);
      const std::vector<T> counted = numbers<T>(n, random);
      REQUIRE(loops.count_above(counted.data(), n, T(0.25)) ==
              std::count_if(counted.begin(), counted.begin() + n, [](T x) { return x > T(0.25); }));

      const T bound = std::numeric_limits<T>::max();
      REQUIRE(loops.any_above(z.data(), n, bound) == (n > 4));
      const std::vector<T> clean = numbers<T>(n, random);
      REQUIRE(!loops.any_above(clean.data(), n, bound));
      if (n > 0) REQUIRE(loops.largest(clean.data(), n) == Portable::largest(clean.data(), n));
    }
  });
}

/// What the loops that take a kernel make of a row.
template <class T>
struct KernelRow {
  std::vector<engine::ProfileSums<T>> sums;  // at the row's own offset, and for a compact kernel at every step down
  struct Weighed {
    Index kept = 0;
    std::vector<T> t, p, again;
    std::vector<KeyIndex> keys;
  } weighed[2];  // the keys with weight, and all
};

/// By the loops of a tier, or the portable ones.
template <class T, class L, class K>
KernelRow<T> kernel_row(const L& loops, const K& kernel, const RowNormalizer<T>& map, const std::vector<T>& z, Index n) {
  KernelRow<T> row;
  row.sums.push_back(loops.profile_sums(kernel, map, T(0), z.data(), n));
  if constexpr (CompactKernel<K>) {
    RowNormalizer<T> moved = map;
    const auto next = [&] { moved.offset = map.offset - T(0.25) * static_cast<T>(row.sums.size()); };
    if constexpr (std::is_same_v<L, Portable>) {
      for (; row.sums.size() <= 4; next()) row.sums.push_back(loops.profile_sums(kernel, moved, T(0), z.data(), n));
    } else {
      loops.descend(kernel, moved, T(0), z.data(), n, [&](const engine::ProfileSums<T>& at) NADARAYA_INLINE_LAMBDA {
        row.sums.push_back(at);
        next();
        return row.sums.size() <= 4;
      });
    }
  }
  for (const bool keep_all : {false, true}) {
    typename KernelRow<T>::Weighed& made = row.weighed[keep_all ? 1 : 0];
    made.t = z;
    made.p.resize(z.size());
    made.keys = run_of_keys(n);
    made.kept = loops.weigh(kernel, map, T(0), keep_all, made.t.data(), made.keys.data(), n, made.p.data());
    made.again.assign(static_cast<std::size_t>(made.kept) + 1, T(42));
    loops.weights(kernel, map, T(0), made.t.data(), made.kept, made.again.data());
  }
  return row;
}

template <class T>
void require_same_row(const KernelRow<T>& row, const KernelRow<T>& expected) {
  // Sums of n terms of at most 3, each a few roundings.
  const T tolerance = 64 * std::numeric_limits<T>::epsilon();
  REQUIRE(row.sums.size() == expected.sums.size());
  for (std::size_t i = 0; i < row.sums.size(); ++i) {
    const engine::ProfileSums<T>&at = row.sums[i], &expected_at = expected.sums[i];
    REQUIRE(std::abs(at.value - expected_at.value) <= tolerance * (1 + expected_at.value));
    REQUIRE(std::abs(at.slope - expected_at.slope) <= tolerance * (1 + expected_at.slope));
  }
  for (int i = 0; i < 2; ++i) {
    const auto &made = row.weighed[i], &made_portably = expected.weighed[i];
    const Index kept = made.kept;
    REQUIRE(kept == made_portably.kept);
    REQUIRE(first(made.keys, kept) == first(made_portably.keys, kept));
    REQUIRE(largest_difference(first(made.t, kept), first(made_portably.t, kept)) <= tolerance);
    REQUIRE(largest_difference(first(made.p, kept), first(made_portably.p, kept)) <= tolerance);
    REQUIRE(largest_difference(first(made.again, kept), first(made.p, kept)) <= tolerance);
    REQUIRE(made.again.back() == T(42));
  }
}

TEMPLATE_TEST_CASE("a row under a kernel is the same in every tier", "[engine]", float, double) {
  using T = TestType;
  const auto compare = [](auto loops, const auto& kernel, Index n, double width, test::Random& random) {
    const RowNormalizer<T> map{T(0.1), T(width), T(0.5), T(1.5)};
    const std::vector<T> z = numbers<T>(n, random);
    require_same_row(kernel_row(loops, kernel, map, z, n), kernel_row(Portable{}, kernel, map, z, n));
  };
  test::Random random(5);
  with_every_tier([&](auto loops, const char* tier) {
    for (Index n = 0; n <= 40; ++n) {
      INFO(tier << ", n = " << n);
      for (const double width : {2.0, 3.0}) {
        compare(loops, Epanechnikov{}, n, width, random);
        compare(loops, Triweight{}, n, width, random);
        compare(loops, Gaussian{}, n, width, random);
        compare(loops, Uniform{}, n, width, random);
      }
    }
    // Around the lengths of short rows, and far beyond.
    for (const Index n : {63, 64, 65, 3000}) compare(loops, Biweight{}, n, 2.0, random);
  });
}

TEMPLATE_TEST_CASE("short rows step down together in every tier", "[engine]", float, double) {
  using T = TestType;
  const T epsilon = std::numeric_limits<T>::epsilon();
  using Maps = std::vector<RowNormalizer<T>>;
  using StepDown = std::function<void(int steps, const T* const* z, const Index* n, const T* floor_bounds, Index count, RowNormalizer<T>* maps)>;
  using Sums = std::function<engine::ProfileSums<T>(const RowNormalizer<T>& map, const T* z, Index n)>;
  const auto compare_rows = [&](const StepDown& step_down_rows, const Sums& sums, double width, std::size_t count, test::Random& random) {
    std::vector<std::vector<T>> rows;
    std::vector<const T*> z;
    std::vector<Index> n;
    std::vector<T> floor_bounds;
    Maps maps(count + 1);
    for (std::size_t i = 0; i < count; ++i) {
      n.push_back(1 + static_cast<Index>(random.below(i == 0 ? 128 : 40)));
      rows.push_back(numbers<T>(n.back(), random));
      floor_bounds.push_back(-std::numeric_limits<T>::infinity());
      maps[i].width = T(width);
    }
    for (const auto& row : rows) z.push_back(row.data());
    maps.back().mass = T(42);
    const auto excess = [&](std::size_t i, T offset) {
      RowNormalizer<T> at = maps[i];
      at.offset = offset;
      return sums(at, z[i], n[i]).value - 1;
    };
    const auto step_down = [&](int steps) {
      step_down_rows(steps, z.data(), n.data(), floor_bounds.data(), static_cast<Index>(count), maps.data());
    };
    // Of two rows of three a floor is floor_bounds, where a step more starts.
    step_down(2);
    const Maps two_steps = maps;
    step_down(1);
    for (std::size_t i = 0; i < count; ++i) {
      if (i % 3 != 0) floor_bounds[i] = maps[i].pivot - maps[i].width * (maps[i].offset + 16 * epsilon);
    }
    step_down(1);
    for (std::size_t i = 0; i < count; ++i) {
      if (i % 3 != 0) REQUIRE(maps[i].offset <= two_steps[i].offset + 64 * epsilon);
    }
    std::vector<T> before(count, T(1));
    for (const int steps : {1, 2, 3, 1000}) {
      step_down(steps);
      for (std::size_t i = 0; i < count; ++i) {
        REQUIRE(maps[i].pivot == Portable::largest(z[i], n[i]));
        // Downwards, and never past the root.
        REQUIRE(maps[i].offset <= before[i]);
        before[i] = maps[i].offset;
        const T slope = sums(maps[i], z[i], n[i]).slope;
        REQUIRE(excess(i, maps[i].offset) >= -8 * epsilon * (1 + slope));
        if (i % 3 != 0) REQUIRE(maps[i].pivot - maps[i].width * maps[i].offset >= floor_bounds[i]);
        if (steps < 1000) continue;
        REQUIRE(excess(i, maps[i].offset) <= 8 * epsilon * (1 + slope));
        REQUIRE(std::abs(maps[i].mass - 1 - excess(i, maps[i].offset)) <= 8 * epsilon * (1 + slope));
      }
    }
    REQUIRE(maps.back().mass == T(42));
    // No row depends on the others.
    for (std::size_t i = 0; i < count; ++i) {
      RowNormalizer<T> alone;
      alone.width = maps[i].width;
      step_down_rows(1000, &z[i], &n[i], &floor_bounds[i], Index(1), &alone);
      REQUIRE(alone.pivot == maps[i].pivot);
      REQUIRE(alone.offset == maps[i].offset);
      REQUIRE(alone.mass == maps[i].mass);
    }
  };
  const auto compare = [&]<int Root>(std::integral_constant<int, Root>, auto loops, const auto& kernel, std::size_t count, test::Random& random) {
    const auto step_down = [&](int steps, const T* const* z, const Index* n, const T* floor_bounds, Index rows, RowNormalizer<T>* maps) {
      loops.template step_down<Root>(kernel, T(0), steps, z, n, floor_bounds, rows, maps);
    };
    const auto sums = [&](const RowNormalizer<T>& map, const T* z, Index n) { return Portable::profile_sums(kernel, map, T(0), z, n); };
    compare_rows(step_down, sums, kernel.width(), count, random);
  };
  test::Random random(7);
  with_every_tier([&](auto loops, const char* tier) {
    for (std::size_t count = 1; count <= 16; ++count) {
      INFO(tier << ", " << count << " rows");
      // With sanitizers, which take minutes to compile it in every tier, other tests run it in the machine's.
      if constexpr (!sanitized) {
        compare(std::integral_constant<int, 1>(), loops, Epanechnikov{}, count, random);
        compare(std::integral_constant<int, 2>(), loops, Biweight{}, count, random);
        compare(std::integral_constant<int, 2>(), loops, Triweight{}, count, random);
        compare(std::integral_constant<int, 4>(), loops, RectifiedPolynomial<5>{}, count, random);
      }
    }
  });
}

TEMPLATE_TEST_CASE("an exponential kernel keeps to its range in every tier", "[engine]", float, double) {
  using T = TestType;
  using Limits = std::numeric_limits<T>;
  std::vector<T> t{-Limits::infinity(), Limits::lowest(), T(-3000), T(-212), T(0), T(1), Limits::max(), Limits::infinity(), Limits::quiet_NaN()};
  // From zero through the denormal numbers up, and up to infinity.
  for (int j = -40; j < 40; ++j) {
    t.push_back(1 + 2 * std::log(Limits::min()) + T(j));
    t.push_back(1 + 2 * std::log(Limits::max()) + T(0.25) * T(j));
  }
  with_every_tier([&](auto loops, const char* tier) {
    std::vector<T> z = t;
    z.resize(t.size() + std::size_t(slack));
    loops.profiles(Gaussian{}, RowNormalizer<T>{T(0), T(1), T(0), T(1)}, T(0), z.data(), static_cast<Index>(t.size()));
    for (std::size_t j = 0; j < t.size(); ++j) {
      const T expected = Gaussian{}.profile(t[j]);
      CAPTURE(tier, t[j], z[j], expected);
      if (std::isnan(expected)) {
        REQUIRE(std::isnan(z[j]));
      } else if (std::isinf(expected)) {
        REQUIRE(z[j] == expected);
      } else {
        const T tolerance = 4 * Limits::epsilon() * expected + Limits::denorm_min();
        REQUIRE(std::abs(z[j] - expected) <= tolerance);
      }
    }
  });
}

TEMPLATE_TEST_CASE("gathered rows are the same in every tier", "[engine]", float, double) {
  using T = TestType;
  test::Random random(9);
  const T tolerance = 64 * std::numeric_limits<T>::epsilon();
  with_every_tier([&](auto loops, const char* tier) {
    for (const Index cols : {0, 1, 3, 7, 15, 16, 17, 31, 33, 64, 65, 130}) {
      INFO(tier << ", " << cols << " columns");
      const Index stride = cols + 1;
      std::vector<T> x = numbers<T>(9 * stride, random);
      std::fill(x.begin() + 4 * stride, x.begin() + 5 * stride, std::numeric_limits<T>::quiet_NaN());
      const std::vector<KeyIndex> keys{0, 2, 4, 5, 8};
      const std::vector<T> p{T(0.5), T(-1), T(0), T(0.25), T(2)};  // the row of NaN has no weight
      const std::vector<T> y = numbers<T>(cols, random);
      std::vector<T> out(static_cast<std::size_t>(cols) + 1, T(42)), expected = out;
      loops.mix(keys.data(), p.data(), 5, x.data(), stride, cols, out.data());
      Portable::mix(keys.data(), p.data(), 5, x.data(), stride, cols, expected.data());
      REQUIRE(largest_difference(out, expected) <= tolerance);
      std::vector<T> g(5), g_portably(5);
      loops.dots(keys.data(), p.data(), 5, x.data(), stride, cols, y.data(), g.data());
      Portable::dots(keys.data(), p.data(), 5, x.data(), stride, cols, y.data(), g_portably.data());
      REQUIRE(largest_difference(g, g_portably) <= 4 * tolerance);
      std::vector<T> sum = numbers<T>(9 * stride, random), sum_portably = sum;
      const T nan = std::numeric_limits<T>::quiet_NaN();
      // Row 4 of x, all NaN, has no factor; neither has anything the other member.
      std::vector<engine::Pair<T>> pairs;
      for (const KeyIndex key : {0, 2, 2, 5, 0, 7, 8, 1, 3, 6, 5}) {
        pairs.push_back({static_cast<KeyIndex>(pairs.size() % 4), key, static_cast<T>(random.normal()), nan});
      }
      pairs.insert(pairs.begin() + 3, {4, 2, T(0), nan});
      const auto count = static_cast<Index>(pairs.size());
      std::vector<std::uint16_t> terms(9), terms_portably(9);
      loops.scatter_weights(pairs.data(), count, x.data(), stride, cols, sum.data(), stride, KeyIndex(0), terms.data());
      Portable::scatter_weights(pairs.data(), count, x.data(), stride, cols, sum_portably.data(), stride, KeyIndex(0),
                                terms_portably.data());
      REQUIRE(largest_difference(first(sum, 9 * stride), first(sum_portably, 9 * stride)) <= tolerance);
      REQUIRE(terms == std::vector<std::uint16_t>{2, 1, 3, 1, 0, 2, 1, 1, 1});
      REQUIRE(terms_portably == terms);
      // The same factors as gradients; nothing has the other member.
      for (engine::Pair<T>& pair : pairs) std::swap(pair.p, pair.dz);
      loops.scatter_gradients(pairs.data(), count, x.data(), stride, cols, sum.data(), stride);
      Portable::scatter_gradients(pairs.data(), count, x.data(), stride, cols, sum_portably.data(), stride);
      REQUIRE(largest_difference(first(sum, 9 * stride), first(sum_portably, 9 * stride)) <= 2 * tolerance);
    }
  });
}

TEMPLATE_TEST_CASE("sums that do not depend on their order are the same in every tier", "[engine]", float, double) {
  using T = TestType;
  test::Random random(13);
  const double high_cut = 1.5 * 0x1p20, low_cut = 1.5 * 0x1p-20;
  with_every_tier([&](auto loops, const char* tier) {
    for (Index cols = 0; cols <= 70; ++cols) {
      INFO(tier << ", cols = " << cols);
      const Index stride = cols + 3;
      const std::vector<KeyIndex> keys{3, 0, 2, 4, 1};
      const std::vector<T> p{T(0.5), T(0), T(3), T(-1.25), T(0.0078125)};
      std::vector<T> x(static_cast<std::size_t>(5 * stride));
      for (T& one : x) one = static_cast<T>(std::ldexp(static_cast<double>(random.below(1 << 12) - (1 << 11)), -38));
      for (Index d = 0; d < cols; ++d) x[static_cast<std::size_t>(d)] = std::numeric_limits<T>::quiet_NaN();  // without weight
      std::vector<double> high(static_cast<std::size_t>(cols + 1), 1.0), low(high), expected = high, rest = low;
      loops.add_split(keys.data(), p.data(), 5, x.data(), stride, cols, high_cut, low_cut, high.data(), low.data());
      for (std::size_t j = 0; j < 5; ++j) {
        for (Index d = 0; d < cols && p[j] != T(0); ++d) {
          const auto c = static_cast<std::size_t>(d);
          const double term = static_cast<double>(p[j]) * static_cast<double>(x[static_cast<std::size_t>(keys[j] * stride + d)]);
          const double multiple = (term + high_cut) - high_cut;
          expected[c] += multiple;
          rest[c] += ((term - multiple) + low_cut) - low_cut;
        }
      }
      REQUIRE(high == expected);
      REQUIRE(low == rest);
    }
  });
}

TEMPLATE_TEST_CASE("the error of a long sum does not grow with its length, in every tier", "[engine]", float, double) {
  using T = TestType;
  // In one accumulator, all terms would round to the same side.
  const Index n = 20000;
  const std::vector<T> tenths(static_cast<std::size_t>(n), T(0.1)), ones(static_cast<std::size_t>(n), T(1));
  std::vector<KeyIndex> keys(static_cast<std::size_t>(n));
  std::vector<engine::Pair<T>> pairs;
  for (KeyIndex j = 0; j < n; ++j) {
    keys[static_cast<std::size_t>(j)] = j;
    pairs.push_back({j, 0, T(0.1), T(0)});
  }
  const long double sum = static_cast<long double>(n) * static_cast<long double>(T(0.1));
  const long double tolerance = (engine::run_terms + n / engine::list_run_terms) * sum * std::numeric_limits<T>::epsilon() / 2;
  const auto wrong = [&](T actual, long double expected) { return !(std::abs(static_cast<long double>(actual) - expected) <= tolerance); };
  with_every_tier([&](auto loops, const char* tier) {
    INFO(tier);
    T out = T(42);
    loops.multiply(1, n, 1, tenths.data(), n, Index(1), ones.data(), Index(1), &out, Index(1));
    REQUIRE(!wrong(out, sum));
    loops.add_product(1, n, 1, tenths.data(), n, Index(1), ones.data(), Index(1), &out, Index(1));
    REQUIRE(!wrong(out, 2 * sum));
    loops.mix(keys.data(), tenths.data(), n, ones.data(), Index(1), Index(1), &out);
    REQUIRE(!wrong(out, sum));
    // One key with pairs without end: whoever calls moves whole runs away.
    std::uint16_t terms = 0;
    T run = 0, total = 0;
    Index runs = 0;
    for (Index done = 0; done < n; ++runs) {
      done += loops.scatter_weights(pairs.data() + done, n - done, ones.data(), Index(1), Index(1), &run, Index(1), KeyIndex(0),
                                    &terms);
      REQUIRE((terms == engine::pair_run_terms || done == n));
      total += run;
      run = 0;
      terms = 0;
    }
    REQUIRE(runs == (n + engine::pair_run_terms - 1) / engine::pair_run_terms);
    REQUIRE(!wrong(total, sum));
  });
}

TEMPLATE_TEST_CASE("rows are multiplied and divided in every tier", "[engine]", float, double) {
  using T = TestType;
  test::Random random(17);
  with_every_tier([&](auto loops, const char* tier) {
    for (Index n = 0; n <= 40; ++n) {
      INFO(tier << ", n = " << n);
      const std::vector<T> x = numbers<T>(n, random);
      std::vector<T> product(static_cast<std::size_t>(n + 1), T(42)), quotient = product;
      loops.scale(x.data(), n, T(0.3), product.data());
      loops.divide(x.data(), n, T(0.3), quotient.data());
      for (std::size_t j = 0; j < static_cast<std::size_t>(n); ++j) {
        REQUIRE(product[j] == x[j] * T(0.3));
        REQUIRE(quotient[j] == x[j] / T(0.3));
      }
      REQUIRE((product.back() == T(42) && quotient.back() == T(42)));
    }
  });
}

TEMPLATE_TEST_CASE("rows are transposed in every tier", "[engine]", float, double) {
  using T = TestType;
  test::Random random(11);
  with_every_tier([&](auto loops, const char* tier) {
    for (const Index n : {0, 1, 2, 7, 8, 16, 19, 33}) {
      for (const Index cols : {0, 1, 4, 15, 16, 17, 34}) {
        INFO(tier << ", " << n << " rows, " << cols << " columns");
        const Index stride = cols + 3, to_stride = n + 2;
        const std::vector<T> x = numbers<T>(n * stride, random);
        std::vector<T> to(static_cast<std::size_t>(cols * to_stride), T(42)), expected = to;
        loops.transpose(x.data(), stride, n, cols, to.data(), to_stride);
        Portable::transpose(x.data(), stride, n, cols, expected.data(), to_stride);
        REQUIRE(to == expected);
      }
    }
  });
}

TEMPLATE_TEST_CASE("products are the same in every tier", "[engine]", float, double) {
  using T = TestType;
  test::Random random(13);
  with_every_tier([&](auto loops, const char* tier) {
    for (Index rows = 0; rows <= 6; ++rows) {
      for (const Index depth : {0, 1, 5, 64}) {
        INFO(tier << ", " << rows << " rows, depth " << depth);
        const Index cols = 64;
        const std::vector<T> a = numbers<T>(6 * depth, random), b = numbers<T>(depth * cols, random);
        std::vector<T> c(static_cast<std::size_t>(6 * cols), T(1)), added = c;
        loops.multiply(rows, depth, cols, a.data(), depth, Index(1), b.data(), cols, c.data(), cols);
        loops.add_product(rows, depth, cols, a.data(), depth, Index(1), b.data(), cols, added.data(), cols);
        for (Index i = 0; i < 6; ++i) {
          for (Index j = 0; j < cols; ++j) {
            double sum = 0;
            for (Index d = 0; d < depth; ++d) {
              sum += double(a[static_cast<std::size_t>(i * depth + d)]) * double(b[static_cast<std::size_t>(d * cols + j)]);
            }
            const auto at = static_cast<std::size_t>(i * cols + j);
            // 64 products of size about 1.
            const double tolerance = 256 * double(std::numeric_limits<T>::epsilon());
            REQUIRE(std::abs(double(c[at]) - (i < rows ? sum : 1.0)) <= tolerance);
            REQUIRE(std::abs(double(added[at]) - (i < rows ? sum + 1.0 : 1.0)) <= tolerance);
          }
        }
      }
    }
  });
}

TEMPLATE_TEST_CASE("products of several rows are those of each, bit by bit, in every tier", "[engine]", float, double) {
  using T = TestType;
  Random random(23);
  with_every_tier([&](auto loops, const char* tier) {
    for (const Index cols : {1, 16, 37}) {
      const RowMatrix<T> x = random.normal<T>(11, cols), y = random.normal<T>(9, cols);
      for (Index rows = 1; rows <= 9; ++rows) {
        INFO(tier << ", " << rows << " rows of " << cols << " columns");
        RowMatrix<T> z = RowMatrix<T>::Zero(9, 13), expected = z;
        loops.products_of_rows(x.data(), cols, Index(11), cols, y.data(), cols, rows, z.data(), Index(13), T(0.3));
        for (Index i = 0; i < rows; ++i) {
          loops.products(x.data(), cols, Index(11), cols, y.row(i).data(), expected.row(i).data(), T(0.3));
        }
        REQUIRE(z == expected);
      }
    }
  });
}

TEMPLATE_TEST_CASE("a small system is solved in every tier", "[engine]", float, double) {
  using T = TestType;
  Random random(29);
  with_every_tier([&](auto loops, const char* tier) {
    for (Index n = 1; n <= 40; ++n) {
      INFO(tier << ", n = " << n);
      const Index stride = n + 64 / static_cast<Index>(sizeof(T));
      const RowMatrix<T> w = random.normal<T>(n, n + 3);
      RowMatrix<T> a = w * w.transpose(), factors = RowMatrix<T>::Constant(n, stride, T(7));
      // A row here is a column there. Above the diagonal, nothing is read.
      for (Index j = 0; j < n; ++j) factors.row(j).segment(j, n - j) = a.row(j).tail(n - j);
      a.diagonal().array() += T(0.5);
      loops.factorize(n, factors.data(), stride, T(0.5));
      for (int again = 0; again < 2; ++again) {
        RowMatrix<T> x = random.normal<T>(1, stride), rest(1, stride);
        const RowMatrix<T> b = x.leftCols(n);
        loops.substitute(n, factors.data(), stride, x.data(), rest.data());
        const auto solution = x.leftCols(n);
        const T scale = T(n) * a.cwiseAbs().maxCoeff() * solution.cwiseAbs().maxCoeff();
        REQUIRE((solution * a - b).cwiseAbs().maxCoeff() <= 10 * std::numeric_limits<T>::epsilon() * scale);
      }
    }
  });
}

TEMPLATE_TEST_CASE("a small system without full rank has a finite solution in every tier", "[engine]", float, double) {
  using T = TestType;
  with_every_tier([&](auto loops, const char* tier) {
    INFO(tier);
    constexpr Index n = 19, stride = n + 16;
    const T least = std::numeric_limits<T>::epsilon() / 8;  // 1 + least is 1
    RowMatrix<T> factors = RowMatrix<T>::Ones(n, stride), x = factors.row(0), rest = x;
    loops.factorize(n, factors.data(), stride, least);
    loops.substitute(n, factors.data(), stride, x.data(), rest.data());
    REQUIRE(x.leftCols(n).allFinite());
    REQUIRE(std::abs(x.leftCols(n).sum() - T(1)) <= T(1e-5));
  });
}

TEMPLATE_TEST_CASE("offsets of rows are the same in every tier", "[engine]", float, double) {
  using T = TestType;
  Random random(31);
  const std::vector<KeyIndex> keys{4, 0, 6};
  with_every_tier([&](auto loops, const char* tier) {
    for (Index cols = 1; cols <= 35; ++cols) {
      INFO(tier << ", " << cols << " columns");
      const RowMatrix<T> x = random.normal<T>(7, cols), from = random.normal<T>(1, cols), factor = random.normal<T>(1, 3);
      RowMatrix<T> listed = RowMatrix<T>::Constant(4, cols, T(7)), leading = listed;
      loops.offset_rows(keys.data(), factor.data(), Index(3), x.data(), cols, cols, from.data(), listed.data());
      loops.offset_rows(nullptr, factor.data(), Index(3), x.data(), cols, cols, from.data(), leading.data());
      for (Index j = 0; j < 3; ++j) {
        REQUIRE(listed.row(j) == RowMatrix<T>(factor(j) * (x.row(keys[static_cast<std::size_t>(j)]) - from)));
        REQUIRE(leading.row(j) == RowMatrix<T>(factor(j) * (x.row(j) - from)));
      }
      REQUIRE((listed.row(3).array() == T(7)).all());
    }
  });
}

TEMPLATE_TEST_CASE("points within a radius are the same in every tier", "[engine]", float, double) {
  using T = TestType;
  Random random(32);
  with_every_tier([&](auto loops, const char* tier) {
    for (Index n = 0; n <= 70; ++n) {
      const Index cols = 1 + n % 3, stride = n + slack;
      INFO(tier << ", " << n << " points, " << cols << " columns");
      const RowMatrix<T> x = random.normal<T>(cols, stride), q = random.normal<T>(1, cols);
      const std::vector<KeyIndex> keys = run_of_keys(n);
      for (const T bound : {T(0), T(2), std::numeric_limits<T>::infinity()}) {
        std::vector<KeyIndex> found(static_cast<std::size_t>(stride), KeyIndex(-1));
        RowMatrix<T> squares(1, stride), offsets(cols, stride);
        const Index kept = loops.points_within(x.data(), stride, cols, keys.data(), n, q.data(), bound, found.data(), squares.data(),
                                               offsets.data(), stride);
        Index at = 0;
        for (Index j = 0; j < n; ++j) {
          const RowMatrix<T> offset = x.col(j).transpose() - q;
          if (!(offset.squaredNorm() < bound)) continue;
          REQUIRE(found[static_cast<std::size_t>(at)] == keys[static_cast<std::size_t>(j)]);
          REQUIRE(offsets.col(at).transpose() == offset);
          REQUIRE(std::abs(squares(at) - offset.squaredNorm()) <= 4 * std::numeric_limits<T>::epsilon() * squares(at));
          ++at;
        }
        REQUIRE(kept == at);
      }
    }
  });
}

TEMPLATE_TEST_CASE("fits on columns are the portable ones in every tier", "[engine]", float, double) {
  using T = TestType;
  using Row = RowMatrix<T>;
  Random random(33);
  constexpr T epsilon = std::numeric_limits<T>::epsilon();
  const auto near_to = [](const auto& a, const auto& b, T tolerance) { return (a - b).cwiseAbs().maxCoeff() <= tolerance; };
  with_every_tier([&](auto loops, const char* tier) {
    for (Index n = 1; n <= 70; ++n) {
      const Index cols = 1 + n % 4, stride = n + 3;  // what lies past n is left as it is
      INFO(tier << ", " << n << " rows, " << cols << " columns");
      const T tolerance = T(8) * T(n) * epsilon;
      Row w = random.normal<T>(1, stride).cwiseAbs(), x = random.normal<T>(cols, stride), mean(1, cols);
      Row expected_w = w, expected_x = x, expected_mean = mean;
      const T mass = loops.centre_columns(w.data(), n, x.data(), stride, cols, mean.data());
      const T expected_mass = Portable::centre_columns(expected_w.data(), n, expected_x.data(), stride, cols, expected_mean.data());
      REQUIRE(std::abs(mass - expected_mass) <= tolerance * mass);
      REQUIRE(near_to(w, expected_w, tolerance));
      REQUIRE(near_to(x, expected_x, tolerance));
      REQUIRE(near_to(mean, expected_mean, tolerance));
      REQUIRE(x.rightCols(3) == expected_x.rightCols(3));

      const Row y = random.normal<T>(1, stride), factor = random.normal<T>(1, cols);
      REQUIRE(std::abs(loops.inner_product(w.data(), y.data(), n) - Portable::inner_product(w.data(), y.data(), n)) <= tolerance);
      const T of_squares = (w.array() * y.array() * x.row(0).array().square()).leftCols(n).sum();
      REQUIRE(std::abs(loops.inner_product_of_squares(w.data(), y.data(), x.data(), n) - of_squares) <= 8 * tolerance);
      Row products(1, cols), expected_products(1, cols);
      loops.products_with_columns(w.data(), y.data(), n, x.data(), stride, cols, products.data());
      Portable::products_with_columns(w.data(), y.data(), n, x.data(), stride, cols, expected_products.data());
      REQUIRE(near_to(products, expected_products, 4 * tolerance));
      Row gram = Row::Zero(cols, cols), expected_gram = gram;
      loops.products_of_columns(w.data(), n, x.data(), stride, cols, gram.data(), cols);
      Portable::products_of_columns(w.data(), n, x.data(), stride, cols, expected_gram.data(), cols);
      REQUIRE(near_to(gram, expected_gram, 8 * tolerance));

      Row sum = y, expected_sum = y;
      loops.add_columns(factor.data(), n, x.data(), stride, cols, sum.data());
      Portable::add_columns(factor.data(), n, x.data(), stride, cols, expected_sum.data());
      REQUIRE(near_to(sum, expected_sum, 64 * epsilon));
      REQUIRE(sum.rightCols(3) == y.rightCols(3));
      loops.subtract(T(0.25), n, sum.data());
      Portable::subtract(T(0.25), n, expected_sum.data());
      REQUIRE(near_to(sum, expected_sum, 64 * epsilon));
      Row tilted = y, expected_tilted = y;
      loops.tilted(x.data(), y.data(), n, T(0.5), T(3), tilted.data());
      Portable::tilted(x.data(), y.data(), n, T(0.5), T(3), expected_tilted.data());
      REQUIRE(near_to(tilted, expected_tilted, 64 * epsilon));
      REQUIRE(tilted.rightCols(3) == y.rightCols(3));

      Row powers = y;
      REQUIRE(loops.exponentials(w.data(), n, T(2), powers.data()) == w.leftCols(n).minCoeff());
      const Row expected_powers = ((w.array() - w.leftCols(n).minCoeff()) * T(-2)).exp();
      REQUIRE(near_to(powers.leftCols(n), expected_powers.leftCols(n), 4 * epsilon));
      REQUIRE(powers.rightCols(3) == y.rightCols(3));
    }
    // The inverse of such a mass is infinite.
    Row w = Row::Constant(1, 5, std::numeric_limits<T>::denorm_min()), none;
    loops.centre_columns(w.data(), Index(5), none.data(), Index(5), Index(0), none.data());
    REQUIRE(near_to(w, Row::Constant(1, 5, T(0.2)), epsilon));
  });
}
