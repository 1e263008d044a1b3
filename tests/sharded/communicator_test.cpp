// The model of a communicator keeps the laws of the concept, and no rank waits for one that has gone.
#include <nadaraya/sharded/agreement.hpp>
#include <nadaraya/sharded/counting.hpp>
#include <nadaraya/sharded/exact_sum.hpp>
#include <nadaraya/sharded/in_process.hpp>
#include <nadaraya/sharded/key_positions.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <new>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

using namespace nadaraya;
using namespace nadaraya::sharded;

TEST_CASE("ranks reduce, gather, exchange and broadcast") {
  static_assert(Communicator<InProcessRank> && Communicator<CountingCommunicator<InProcessRank>>);
  for (const int size : {1, 2, 3, 8}) {
    std::atomic<int> good = 0;
    run_ranks(size, [&](InProcessRank& raw) {
      CountingCommunicator ranks(raw);
      std::array<double, 2> numbers{double(ranks.rank()), -double(ranks.rank())};
      ranks.all_reduce_max(std::span<double>(numbers));
      std::array<double, 1> sum{double(ranks.rank())};
      ranks.all_reduce_sum(std::span<double>(sum));
      const std::vector<std::byte> mine(static_cast<std::size_t>(ranks.rank()), std::byte(ranks.rank()));
      Gathered all;
      ranks.all_gather(mine, all);
      bool gathered = true;
      for (int r = 0; r < size; ++r) {
        const auto of = all.of(r);
        gathered = gathered && of.size() == std::size_t(r) && std::all_of(of.begin(), of.end(), [&](std::byte b) { return b == std::byte(r); });
      }
      // Rank r has s bytes for rank s, each of which is r.
      const std::vector<std::byte> to_one(static_cast<std::size_t>(size), std::byte(ranks.rank()));
      std::vector<std::span<const std::byte>> to;
      for (int s = 0; s < size; ++s) to.push_back(std::span(to_one).first(static_cast<std::size_t>(s)));
      ranks.all_to_all(to, all);
      for (int r = 0; r < size; ++r) {
        const auto of = all.of(r);
        gathered = gathered && of.size() == std::size_t(ranks.rank()) && std::all_of(of.begin(), of.end(), [&](std::byte b) { return b == std::byte(r); });
      }
      std::vector<std::byte> one(3, std::byte(ranks.rank()));
      ranks.broadcast(std::span<std::byte>(one), size - 1);
      good += numbers[0] == size - 1 && numbers[1] == 0 && sum[0] == size * (size - 1) / 2 && gathered &&
              one == std::vector<std::byte>(3, std::byte(size - 1)) && ranks.traffic().rounds == 5;
    });
    REQUIRE(good == size);
  }
}

TEST_CASE("a rank that leaves sets the others free") {
  const auto work = [](InProcessRank& ranks) {
    if (ranks.rank() == 1) throw std::out_of_range("gone");
    double number = 0;
    ranks.all_reduce_sum(std::span(&number, 1));
  };
  REQUIRE_THROWS_AS(run_ranks(3, work), std::out_of_range);
  const auto return_early = [](InProcessRank& ranks) {
    double number = 0;
    if (ranks.rank() != 1) ranks.all_reduce_sum(std::span(&number, 1));
  };
  REQUIRE_THROWS_AS(run_ranks(3, return_early), std::runtime_error);
}

TEST_CASE("what one rank throws, all ranks throw") {
  const auto thrown_by = [](const auto& fail, const auto& next) {
    std::array<std::string, 4> messages;
    run_ranks(4, [&](InProcessRank& ranks) {
      Session session(ranks);
      MessagesToRanks to;
      to.begin(ranks.size());
      try {
        session.attempt([&] {
          if (ranks.rank() >= 2) fail(ranks.rank());
        });
        next(session, to);
      } catch (const std::bad_alloc&) {
        messages[std::size_t(ranks.rank())] = "no memory";
      } catch (const std::invalid_argument& error) {
        messages[std::size_t(ranks.rank())] = std::string("argument: ") + error.what();
      } catch (const std::runtime_error& error) {
        messages[std::size_t(ranks.rank())] = error.what();
      }
    });
    REQUIRE(std::count(messages.begin(), messages.end(), messages[0]) == 4);
    return messages[0];
  };
  const auto thrown_on_all = [&](const auto& fail) {
    const std::string message = thrown_by(fail, [](auto& session, MessagesToRanks&) {
      std::vector<double> numbers(2);
      session.all_reduce_max(std::span(numbers));
    });
    REQUIRE(message == thrown_by(fail, [](auto& session, MessagesToRanks& to) {
              Gathered from;
              session.all_to_all(to, from);
            }));
    return message;
  };
  REQUIRE(thrown_on_all([](int) { throw std::bad_alloc(); }) == "no memory");
  // The lowest rank is heard.
  REQUIRE(thrown_on_all([](int rank) { throw std::invalid_argument(rank == 2 ? "shape" : "other"); }) == "argument: shape");
  REQUIRE(thrown_on_all([](int) { throw std::out_of_range("index"); }) == "nadaraya::sharded: rank 2: index");
  REQUIRE(thrown_on_all([](int) { throw 1; }) == "nadaraya::sharded: rank 2: an exception that is no std::exception");
}

TEST_CASE("split sums do not depend on the order of their terms") {
  test::Random random(3);
  for (const double scale : {1.0, 1e-300, 1e300, 5e-324}) {
    std::vector<double> terms(1000);
    double bound = 0;
    long double exact = 0;
    for (double& x : terms) {
      x = scale * random.normal() * std::exp(10 * random.normal());
      if (!std::isfinite(x)) x = scale;
      bound = (std::max)(bound, std::abs(x));
      exact += x;
    }
    const SplitAddition addition(bound, 1000);
    std::array<double, 2> first{};
    for (const double x : terms) addition.add(x, first[0], first[1]);
    if (bound > 1e290) continue;  // sums of such numbers may overflow, and are added as they are
    REQUIRE(!(std::abs(first[0] + first[1] - exact) > std::abs(bound) * 1e-15L));
    for (int i = 0; i < 5; ++i) {
      for (std::size_t j = terms.size(); j-- > 1;) std::swap(terms[j], terms[std::size_t(random.below(Index(j) + 1))]);
      std::array<double, 2> parts[3] = {};
      for (std::size_t j = 0; j < terms.size(); ++j) addition.add(terms[j], parts[j % 3][0], parts[j % 3][1]);
      REQUIRE(parts[2][0] + (parts[0][0] + parts[1][0]) == first[0]);
      REQUIRE(parts[1][1] + (parts[2][1] + parts[0][1]) == first[1]);
    }
  }
}

TEST_CASE("positions of a rank's keys") {
  for (const KeyPositions& positions : {KeyPositions::consecutive(7), KeyPositions{0, 1, 3}, KeyPositions{8, 4, 12}}) {
    for (Index j = 0; j < 20; ++j) {
      REQUIRE(positions.before(positions[j]) == j);
      REQUIRE(positions.before(positions[j] + 1) == j + 1);
      REQUIRE(positions[j] < positions[j + 1]);
    }
    REQUIRE(positions.before(positions.first) == 0);
  }
}
