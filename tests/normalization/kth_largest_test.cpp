// The k-th largest number of a row against a sorted copy, on rows that halving an interval finds easy and hard.
#include <nadaraya/row/kth_largest.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <limits>
#include <vector>

using namespace nadaraya;

namespace {

/// Numbers of one kind: 0 normal, 1 with many ties, 2 all equal, 3 over all magnitudes, 4 close to zero, 5 near overflow, 6 at
/// the ends of the range.
template <class T>
std::vector<T> row_of(int kind, std::size_t n, test::Random& random) {
  std::vector<T> z(n);
  for (T& x : z) {
    x = static_cast<T>(random.normal());
    if (kind == 1) x = std::round(2 * x);
    if (kind == 2) x = T(1.5);
    if (kind == 3) x = std::exp(20 * x);
    if (kind == 4) x = -std::exp(-40 * std::abs(x));
    if (kind == 6) x = std::copysign((std::numeric_limits<T>::max)(), x) / T(1 + random.below(2));
    if (kind == 5) x = (std::max)((std::min)(x, T(7)), T(-7)) * ((std::numeric_limits<T>::max)() / 8);
  }
  return z;
}

}  // namespace

TEMPLATE_TEST_CASE("the k-th largest number, and the k largest candidates in their order", "[normalization]", float, double) {
  using T = TestType;
  test::Random random(11);
  for (int kind = 0; kind < 7; ++kind) {
    for (const std::size_t n : std::initializer_list<std::size_t>{1, 2, 7, 8, 9, 16, 33, 64, 150, 1000}) {
      for (const std::size_t k : {std::size_t(1), (n + 3) / 4, (n + 1) / 2, n}) {
        const std::vector<T> z = row_of<T>(kind, n, random);
        std::vector<T> sorted = z;
        std::sort(sorted.begin(), sorted.end(), std::greater<T>());
        REQUIRE(detail::kth_largest(RowView<T>(z), k) == sorted[k - 1]);
        if (k == n) continue;

        CandidateRow<T> row;
        std::vector<KeyIndex> order(n);
        for (std::size_t j = 0; j < n; ++j) {
          row.push(static_cast<KeyIndex>(3 * j), z[j]);
          order[j] = static_cast<KeyIndex>(j);
        }
        detail::keep_largest(row, k);
        // Of equal ones those of lower index.
        std::stable_sort(order.begin(), order.end(), [&](KeyIndex a, KeyIndex b) {
          return z[static_cast<std::size_t>(a)] > z[static_cast<std::size_t>(b)];
        });
        order.resize(k);
        std::sort(order.begin(), order.end());
        REQUIRE(row.size() == k);
        for (std::size_t i = 0; i < k; ++i) {
          REQUIRE(row.keys()[i] == 3 * order[i]);
          REQUIRE(row.values()[i] == z[static_cast<std::size_t>(order[i])]);
        }
      }
    }
  }
}
