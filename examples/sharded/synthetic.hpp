// Keys, values and queries with structure, each number a function of its place: every rank makes its own rows.
#pragma once

#include <nadaraya/mosaic/counter_random.hpp>
#include <nadaraya/types.hpp>

#include <cstdint>

namespace program {

/// A long text in which topics come back. A key is the centre of its topic and noise; 64 tokens in a row share a topic. A
/// query is the centre of the topic of some token, and less noise. So a query finds a thousandth of all keys similar, spread
/// over the whole sequence, and among these some much more than others.
class SyntheticText {
 public:
  explicit SyntheticText(std::uint64_t seed)
      : centres_(seed, 0, 0), topics_(seed, 0, 1), keys_(seed, 0, 2), values_(seed, 0, 3), queries_(seed, 0, 4) {}

  template <class Scalar>
  auto keys(nadaraya::Index first, nadaraya::Index rows, nadaraya::Index cols) const {
    return matrix<Scalar>(rows, cols, [*this, first](nadaraya::Index i, nadaraya::Index d) {
      return normal(centres_, topic((first + i) / tokens_together), d) + normal(keys_, first + i, d);
    });
  }

  template <class Scalar>
  auto values(nadaraya::Index first, nadaraya::Index rows, nadaraya::Index cols) const {
    return matrix<Scalar>(rows, cols,
                          [*this, first](nadaraya::Index i, nadaraya::Index d) { return normal(values_, first + i, d); });
  }

  /// Queries for any number of tokens.
  template <class Scalar>
  auto queries(nadaraya::Index first, nadaraya::Index rows, nadaraya::Index cols) const {
    return matrix<Scalar>(rows, cols, [*this, first](nadaraya::Index i, nadaraya::Index d) {
      return normal(centres_, topic(first + i), d) + 0.5 * normal(queries_, first + i, d);
    });
  }

 private:
  using Random = nadaraya::mosaic::CounterRandom;
  static constexpr nadaraya::Index tokens_together = 64;
  static constexpr std::uint64_t topics = 1024;

  /// An expression, whose elements are made where they are read.
  template <class Scalar, class Element>
  static auto matrix(nadaraya::Index rows, nadaraya::Index cols, const Element& element) {
    return nadaraya::RowMatrix<Scalar>::NullaryExpr(
        rows, cols, [element](nadaraya::Index i, nadaraya::Index d) { return static_cast<Scalar>(element(i, d)); });
  }

  nadaraya::Index topic(nadaraya::Index i) const {
    return static_cast<nadaraya::Index>(topics_[static_cast<std::uint64_t>(i)] % topics);
  }

  /// Nearly normal, with variance 1: the sum of four uniform numbers of 16 bits.
  static double normal(const Random& random, nadaraya::Index row, nadaraya::Index col) {
    const std::uint64_t bits = random[static_cast<std::uint64_t>(row) << 16 | static_cast<std::uint64_t>(col)];
    const auto sum = (bits & 65535u) + (bits >> 16 & 65535u) + (bits >> 32 & 65535u) + (bits >> 48);
    return (static_cast<double>(sum) / 65535.0 - 2.0) * 1.7320508075688772;
  }

  Random centres_, topics_, keys_, values_, queries_;
};

}  // namespace program
