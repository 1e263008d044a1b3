// Examples of a task, made as they are wanted.
#pragma once

#include "automaton.hpp"
#include "data.hpp"
#include "sequence_task.hpp"

namespace program {

/// What the choices of an example are drawn for; dropout draws for small numbers.
enum class Purpose : std::uint64_t { training = ~std::uint64_t{16}, choice, validation, evaluation };

/// How many tokens a model of the task knows. Settings were checked.
int task_vocabulary(const Settings& settings);

/// The choices of an example.
inline Draws example_draws(std::uint64_t seed, std::uint64_t number, Purpose purpose) {
  return Draws(seed, number, static_cast<std::uint64_t>(purpose));
}

/// Prompt and answer of one length. Throws UsageError for a length that the task cannot have.
Example draw_example(const Settings& settings, Index length, Draws& draws);

AutomatonExample draw_automaton(const Settings& settings, Draws& draws);

/// The loss of a sequence task counts the answer, that of automata every token.
class TaskData final : public Data {
 public:
  explicit TaskData(const Settings& settings) : settings_(settings) {}

  int vocabulary() const override { return task_vocabulary(settings_); }
  DataMark mark() const override { return {}; }
  Batch training(std::uint64_t seed, Index step, Index count) const override;
  std::vector<Batch> validation() const override;
  std::vector<Batch> validation(Index count) const override;

 private:
  Settings settings_;
};

}  // namespace program
