// What the program mosaic draws: examples of tasks, and the baseline that counts.
#include "examples/mosaic/automaton.hpp"
#include "examples/mosaic/n_gram.hpp"
#include "examples/mosaic/sequence_task.hpp"

#include "tests/support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace program;

namespace {

using Tokens = std::vector<int>;

Example draw(const std::string& task, int alphabet, Index length, std::uint64_t number = 0) {
  Draws draws(7, number, 1);
  return find_sequence_task(task)->draw(alphabet, length, draws);
}

/// Without the marks around them.
Tokens source(const Example& e) { return {e.prompt.begin() + 1, e.prompt.end() - 1}; }
Tokens target(const Example& e) { return {e.answer.begin(), e.answer.end() - 1}; }

}  // namespace

TEST_CASE("copy, reverse and sort: the answer to a source", "[mosaic]") {
  for (const std::string task : {"copy", "reverse", "sort"}) {
    for (const Index length : {1, 2, 5, 64}) {
      INFO(task << ' ' << length);
      const Example example = draw(task, 32, length);
      REQUIRE(example.prompt.front() == mark(32, begin_mark));
      REQUIRE(example.prompt.back() == mark(32, separator_mark));
      REQUIRE(example.answer.back() == mark(32, end_mark));
      Tokens expected = source(example);
      REQUIRE(std::ssize(expected) == length);
      for (const int symbol : expected) REQUIRE((symbol >= 0 && symbol < 32));
      if (task == "reverse") std::reverse(expected.begin(), expected.end());
      if (task == "sort") std::sort(expected.begin(), expected.end());
      REQUIRE(target(example) == expected);
      REQUIRE(draw(task, 32, length).prompt == example.prompt);
    }
    REQUIRE(draw(task, 32, 20, 0).prompt != draw(task, 32, 20, 1).prompt);
  }
  const Tokens many = source(draw("copy", 3, 3000));
  for (int symbol = 0; symbol < 3; ++symbol) {
    // 1000 are expected, with a deviation of 26.
    REQUIRE(std::abs(std::count(many.begin(), many.end(), symbol) - 1000) < 130);
  }
}

TEST_CASE("mqmtar: values of two tokens under keys of two tokens", "[mosaic]") {
  for (const Index length : {30, 31, 37, 38, 64, 511}) {
    INFO(length);
    const int alphabet = 20;
    const Example example = draw("mqmtar", alphabet, length);
    const auto pairs = static_cast<std::size_t>(0.8 * static_cast<double>(length) / 6 + 1e-9);
    const std::size_t stride = static_cast<std::size_t>(length) / pairs;
    const Tokens all = source(example), answer = target(example);
    REQUIRE(all.size() == pairs * stride + 12);
    REQUIRE(answer.size() == 12);
    std::set<Tokens> keys, values;
    const auto at = [&](std::size_t i) { return all.begin() + static_cast<std::ptrdiff_t>(i); };
    for (std::size_t p = 0; p < pairs; ++p) {
      keys.insert(Tokens(at(p * stride), at(p * stride + 2)));
      values.insert(Tokens(at(p * stride + 3), at(p * stride + 5)));
      REQUIRE(all[p * stride + 2] == mark(alphabet, pair_mark));
      for (std::size_t i = p * stride + 5; i < (p + 1) * stride; ++i) REQUIRE(all[i] == mark(alphabet, space_mark));
    }
    REQUIRE(keys.size() == pairs);
    REQUIRE((pairs < 10 || values.size() > pairs / 2));
    std::set<std::size_t> asked;
    for (std::size_t q = 0; q < 4; ++q) {
      const std::size_t query = pairs * stride + 3 * q;
      REQUIRE(all[query] == mark(alphabet, query_mark));
      REQUIRE(answer[3 * q] == mark(alphabet, query_mark));
      std::size_t p = 0;
      while (p < pairs && !std::equal(at(query + 1), at(query + 3), at(p * stride))) ++p;
      REQUIRE(p < pairs);
      asked.insert(p);
      REQUIRE(std::equal(at(p * stride + 3), at(p * stride + 5), answer.begin() + static_cast<std::ptrdiff_t>(3 * q + 1)));
    }
    REQUIRE(asked.size() == 4);
  }
  REQUIRE_THROWS_WITH(draw("mqmtar", 20, 29), "mqmtar needs lengths of at least 30");
  REQUIRE_THROWS_WITH(draw("mqmtar", 2, 64), catch_shim::contains("needs more different keys than an alphabet of 2 has"));
  REQUIRE(find_sequence_task("count") == nullptr);
}

TEST_CASE("an automaton's words follow its law", "[mosaic]") {
  std::set<std::size_t> states, edges;
  std::set<int> words;
  double surprise = 0, variance = 0;
  for (std::uint64_t number = 0; number < 300; ++number) {
    Draws draws(3, number, 1), same(3, number, 1);
    const Automaton automaton(18, draws);
    states.insert(automaton.states());
    for (std::size_t s = 0; s < automaton.states(); ++s) {
      edges.insert(automaton.edges(s).size());
      std::set<int> symbols;
      for (const auto& edge : automaton.edges(s)) symbols.insert(edge.symbol);
      REQUIRE(symbols.size() == automaton.edges(s).size());
    }
    const AutomatonExample example(18, 2, 9, same);
    REQUIRE(example.tokens.front() == 19);
    REQUIRE(Tokens(example.tokens.begin() + 1, example.tokens.end()) == Tokens(example.targets.begin(), example.targets.end() - 1));
    REQUIRE(example.targets.back() == 18);
    words.insert(example.word.back() + 1);
    REQUIRE(std::count(example.targets.begin(), example.targets.end(), 18) == example.word.back() + 1);
    Index length = 0;
    for (std::size_t t = 0; t < example.targets.size(); ++t) {
      const std::vector<double>& law = example.law[t];
      REQUIRE(std::abs(std::accumulate(law.begin(), law.end(), 0.0) - 1) < 1e-12);
      REQUIRE(law[static_cast<std::size_t>(example.targets[t])] > 0);
      REQUIRE(example.word[t] == std::count(example.targets.begin(), example.targets.begin() + static_cast<std::ptrdiff_t>(t), 18));
      surprise += (example.targets[t] == 18 ? 1 : 0) - law[18];
      variance += law[18] * (1 - law[18]);
      length = example.targets[t] == 18 ? 0 : length + 1;
      REQUIRE(length <= 9);
    }
  }
  REQUIRE(std::abs(surprise) < 5 * std::sqrt(variance));
  REQUIRE(states == std::set<std::size_t>{2, 3, 4, 5, 6, 7, 8, 9});
  REQUIRE(edges == std::set<std::size_t>{1, 2, 3, 4});
  REQUIRE(words == std::set<int>{10, 11, 12, 13, 14, 15, 16, 17, 18, 19});
}

TEST_CASE("n-grams count what followed, and back off", "[mosaic]") {
  const Tokens text{0, 1, 2, 0, 1, 1, 0, 1};
  REQUIRE(n_gram_law(text, 3, 3) == std::vector<double>{0, 0.5, 0.5});           // 0 1 was followed by 2 and 1
  REQUIRE(n_gram_law(text, 2, 3) == std::vector<double>{1 / 3.0, 1 / 3.0, 1 / 3.0});  // 1 by 2, 1 and 0
  REQUIRE(n_gram_law(text, 4, 3) == n_gram_law(text, 3, 3));                     // 1 0 1 is new
  REQUIRE(n_gram_law(text, 1, 3) == std::vector<double>{3 / 8.0, 4 / 8.0, 1 / 8.0});
  REQUIRE(n_gram_law(Tokens{0, 0, 1}, 3, 2) == std::vector<double>{2 / 3.0, 1 / 3.0});  // all contexts of 1 are new
  REQUIRE(n_gram_law(Tokens{}, 3, 4) == std::vector<double>(4, 0.25));
}
