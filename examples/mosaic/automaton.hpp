// A language that is new in every example: the words of a random automaton, whose law is known.
#pragma once

#include "draws.hpp"

#include <nadaraya/types.hpp>

#include <algorithm>
#include <vector>

namespace program {

using nadaraya::Index;

/// 2 to 9 states with 1 to 4 edges each, to any state, under different symbols. A word starts in state 0 and takes any
/// edge with the same probability. After RegBench (Akyurek et al. 2024, arXiv 2401.12973).
class Automaton {
 public:
  struct Edge {
    int symbol;
    std::size_t to;
  };

  Automaton(int alphabet, Draws& draws) : edges_(2 + draws.below(std::size_t{8})) {
    for (std::vector<Edge>& edges : edges_) {
      const int count = std::min(1 + draws.below(4), alphabet);
      while (static_cast<int>(edges.size()) < count) {
        const int symbol = draws.below(alphabet);
        const bool used = std::any_of(edges.begin(), edges.end(), [&](const Edge& e) { return e.symbol == symbol; });
        if (!used) edges.push_back({symbol, draws.below(edges_.size())});
      }
    }
  }

  std::size_t states() const { return edges_.size(); }
  const std::vector<Edge>& edges(std::size_t state) const { return edges_[state]; }

 private:
  std::vector<std::vector<Edge>> edges_;
};

/// 10 to 19 words of one automaton, with the separator behind each: [begin] word | word | ... Tokens are the symbols
/// 0 .. alphabet - 1, the separator and the begin mark. targets[t] follows tokens[t], and law[t] is what its probabilities
/// were: of the symbols and the separator. word[t] counts the words before the one that targets[t] belongs to.
struct AutomatonExample {
  std::vector<int> tokens, targets, word;
  std::vector<std::vector<double>> law;

  /// Words have any length from `shortest` to `longest` with the same probability.
  AutomatonExample(int alphabet, Index shortest, Index longest, Draws& draws) {
    const Automaton automaton(alphabet, draws);
    const int words = 10 + draws.below(10);
    tokens.push_back(alphabet + 1);
    for (int w = 0; w < words; ++w) {
      const Index length = shortest + draws.below(longest - shortest + 1);
      std::size_t state = 0;
      for (Index said = 0; said <= length; ++said) {
        const auto& edges = automaton.edges(state);
        const double ends = said < shortest ? 0.0 : 1.0 / static_cast<double>(longest - said + 1);
        law.emplace_back(static_cast<std::size_t>(alphabet) + 1, 0.0);
        law.back().back() = ends;
        for (const auto& e : edges) law.back()[static_cast<std::size_t>(e.symbol)] = (1 - ends) / static_cast<double>(edges.size());
        word.push_back(w);
        int next = alphabet;
        if (said < length) {
          const auto& edge = edges[draws.below(edges.size())];
          next = edge.symbol;
          state = edge.to;
        }
        targets.push_back(next);
        tokens.push_back(next);
      }
    }
    tokens.pop_back();
  }
};

}  // namespace program
