// Tasks on sequences of any length: an answer to a prompt, known in full.
#pragma once

#include "draws.hpp"
#include "../support/usage.hpp"

#include <nadaraya/types.hpp>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace program {

using nadaraya::Index;

/// Tokens are the symbols 0 .. alphabet - 1 and, behind them, these.
enum Mark { begin_mark, separator_mark, end_mark, pair_mark, space_mark, query_mark, marks };

inline int mark(int alphabet, Mark which) { return alphabet + which; }

/// [begin] source [separator], and what should follow: target [end].
struct Example {
  std::vector<int> prompt, answer;
};

namespace detail {

inline std::vector<int> symbols(int alphabet, Index count, Draws& draws) {
  std::vector<int> result(static_cast<std::size_t>(count));
  for (int& symbol : result) symbol = draws.below(alphabet);
  return result;
}

inline Example framed(int alphabet, const std::vector<int>& source, std::vector<int> target) {
  Example example{{mark(alphabet, begin_mark)}, std::move(target)};
  example.prompt.insert(example.prompt.end(), source.begin(), source.end());
  example.prompt.push_back(mark(alphabet, separator_mark));
  example.answer.push_back(mark(alphabet, end_mark));
  return example;
}

inline Example copy(int alphabet, Index length, Draws& draws) {
  const std::vector<int> source = symbols(alphabet, length, draws);
  return framed(alphabet, source, source);
}

inline Example reverse(int alphabet, Index length, Draws& draws) {
  const std::vector<int> source = symbols(alphabet, length, draws);
  return framed(alphabet, source, {source.rbegin(), source.rend()});
}

inline Example sort(int alphabet, Index length, Draws& draws) {
  const std::vector<int> source = symbols(alphabet, length, draws);
  std::vector<int> target = source;
  std::sort(target.begin(), target.end());
  return framed(alphabet, source, std::move(target));
}

/// Multi-query multi-token associative recall: floor(0.8 length / 6) pairs "k k pair v v space" with
/// different keys, each filled up with spaces to floor(length / pairs), and queries "query k k" of 4 of them; the answer
/// is "query v v" four times.
inline Example recall(int alphabet, Index length, Draws& draws) {
  const auto pairs = static_cast<std::size_t>(2 * length / 15);
  if (pairs < 4) refuse("mqmtar needs lengths of at least 30");
  if (pairs > static_cast<std::size_t>(alphabet) * static_cast<std::size_t>(alphabet)) {
    refuse("mqmtar of length " + std::to_string(length) + " needs more different keys than an alphabet of " + std::to_string(alphabet) + " has");
  }
  std::vector<std::vector<int>> keys, values;
  while (keys.size() < pairs) {
    std::vector<int> key = symbols(alphabet, 2, draws);
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(std::move(key));
  }
  std::vector<int> source, target;
  for (std::size_t i = 0; i < pairs; ++i) {
    values.push_back(symbols(alphabet, 2, draws));
    source.insert(source.end(), {keys[i][0], keys[i][1], mark(alphabet, pair_mark), values[i][0], values[i][1]});
    source.resize((i + 1) * (static_cast<std::size_t>(length) / pairs), mark(alphabet, space_mark));
  }
  std::vector<std::size_t> order(pairs);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t query = 0; query < 4; ++query) {
    std::swap(order[query], order[query + draws.below(pairs - query)]);
    const std::size_t i = order[query];
    source.insert(source.end(), {mark(alphabet, query_mark), keys[i][0], keys[i][1]});
    target.insert(target.end(), {mark(alphabet, query_mark), values[i][0], values[i][1]});
  }
  return framed(alphabet, source, std::move(target));
}

}  // namespace detail

/// A task, and the sizes it is known with. Training takes lengths from half the longest on.
struct SequenceTask {
  const char* name;
  Index alphabet, longest;
  Example (*draw)(int alphabet, Index length, Draws& draws);
};

inline constexpr SequenceTask sequence_tasks[] = {{"copy", 32, 64, detail::copy},
                                                  {"reverse", 32, 64, detail::reverse},
                                                  {"sort", 32, 64, detail::sort},
                                                  {"mqmtar", 256, 64, detail::recall}};

/// Null for a name that is none of theirs.
inline const SequenceTask* find_sequence_task(const std::string& name) {
  for (const SequenceTask& task : sequence_tasks) {
    if (name == task.name) return &task;
  }
  return nullptr;
}

}  // namespace program
