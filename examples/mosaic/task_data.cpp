#include "task_data.hpp"

#include <nadaraya/mosaic/cross_entropy.hpp>

#include <algorithm>

namespace program {
namespace {

constexpr Index validation_examples = 1000;
constexpr Index validated_at_once = 50;
constexpr std::uint64_t validation_seed = 0;

/// A sequence and what should follow each of its tokens.
struct Sequence {
  std::vector<int> tokens, targets;
};

/// Teacher-forced: the answer is in the tokens, but for its last one.
Sequence whole(const Example& example) {
  Sequence all{example.prompt, std::vector<int>(example.prompt.size() - 1, nadaraya::mosaic::no_target)};
  all.tokens.insert(all.tokens.end(), example.answer.begin(), example.answer.end() - 1);
  all.targets.insert(all.targets.end(), example.answer.begin(), example.answer.end());
  return all;
}

Sequence draw(const Settings& s, Draws draws) {
  if (s.task == "automata") {
    AutomatonExample example = draw_automaton(s, draws);
    return {std::move(example.tokens), std::move(example.targets)};
  }
  const Index length = s.shortest + draws.below(s.longest - s.shortest + 1);
  return whole(draw_example(s, length, draws));
}

/// Filled up to the longest: nothing looks at what is behind its last target.
Batch filled(const std::vector<Sequence>& sequences) {
  std::size_t length = 0;
  for (const Sequence& one : sequences) length = std::max(length, one.tokens.size());
  Batch batch{{}, {}, {std::ssize(sequences), static_cast<Index>(length)}};
  for (const Sequence& one : sequences) {
    batch.tokens.insert(batch.tokens.end(), one.tokens.begin(), one.tokens.end());
    batch.targets.insert(batch.targets.end(), one.targets.begin(), one.targets.end());
    batch.tokens.resize(batch.tokens.size() + length - one.tokens.size(), one.tokens.back());
    batch.targets.resize(batch.tokens.size(), nadaraya::mosaic::no_target);
  }
  return batch;
}

}  // namespace

int task_vocabulary(const Settings& s) {
  const auto alphabet = static_cast<int>(s.alphabet);
  if (s.task == "automata") return alphabet + 2;
  return s.task == "mqmtar" ? mark(alphabet, marks) : mark(alphabet, pair_mark);
}

Example draw_example(const Settings& s, Index length, Draws& draws) {
  return find_sequence_task(s.task)->draw(static_cast<int>(s.alphabet), length, draws);
}

AutomatonExample draw_automaton(const Settings& s, Draws& draws) {
  return AutomatonExample(static_cast<int>(s.alphabet), s.shortest, s.longest, draws);
}

Batch TaskData::training(std::uint64_t seed, Index step, Index count) const {
  std::vector<Sequence> sequences;
  for (Index i = 0; i < count; ++i) {
    auto number = static_cast<std::uint64_t>(step * count + i);
    if (settings_.examples > 0) number = example_draws(seed, number, Purpose::choice).below(static_cast<std::uint64_t>(settings_.examples));
    sequences.push_back(draw(settings_, example_draws(seed, number, Purpose::training)));
  }
  return filled(sequences);
}

std::vector<Batch> TaskData::validation() const { return validation(validation_examples); }

std::vector<Batch> TaskData::validation(Index count) const {
  std::vector<Batch> batches;
  for (Index i = 0; i < count; i += validated_at_once) {
    std::vector<Sequence> sequences;
    for (Index j = i; j < std::min(i + validated_at_once, count); ++j) {
      sequences.push_back(draw(settings_, example_draws(validation_seed, static_cast<std::uint64_t>(j), Purpose::validation)));
    }
    batches.push_back(filled(sequences));
  }
  return batches;
}

}  // namespace program
