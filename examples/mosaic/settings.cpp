#include "settings.hpp"

#include "sequence_task.hpp"
#include "../support/usage.hpp"

#include <algorithm>
#include <cmath>

namespace program {
namespace {

/// Tokens of a batch are counted in an int, and so are steps in a checkpoint's tables.
constexpr Index most = Index(1) << 24;

void set_task_sizes(Settings& s) {
  const auto set = [&](Index alphabet, Index longest) {
    if (s.alphabet == 0) s.alphabet = alphabet;
    if (s.longest == 0) s.longest = longest;
  };
  if (s.task == "text") return;
  if (s.task == "automata") return set(18, 49);
  const SequenceTask* task = find_sequence_task(s.task);
  if (task == nullptr) refuse("--task: there is no task " + s.task + "; there are text, copy, reverse, sort, mqmtar, automata");
  set(task->alphabet, task->longest);
  if (s.shortest == 0) s.shortest = (s.longest + 1) / 2;
}

void check_task(const Settings& s) {
  if (s.task == "text") return;
  if (s.alphabet > 1 << 16) refuse("--alphabet must be at most 65536");
  if (s.shortest > s.longest) refuse("--shortest must be at most --longest");
  // The longest sequences: 19 words with a separator each; twice the source, or, around one of mqmtar, 24 tokens more.
  const Index length = s.task == "automata" ? 19 : 2;
  if (s.longest > most || length * (s.longest + 14) > most / s.batch) refuse("--batch times --longest is too large");
  if (s.task == "mqmtar" && s.shortest < 30) refuse("--shortest must be at least 30 for mqmtar");
  if (s.task == "mqmtar" && 2 * s.longest / 15 > s.alphabet * s.alphabet) refuse("--alphabet is too small for mqmtar's keys");
}

}  // namespace

Settings checked(Settings s) {
  const auto at_least = [](Index least, Index value, const char* name) {
    if (value < least) refuse(std::string("--") + name + " must be at least " + std::to_string(least));
  };
  at_least(0, s.alphabet, "alphabet");
  at_least(0, s.shortest, "shortest");
  at_least(0, s.longest, "longest");
  at_least(0, s.examples, "examples");
  at_least(1, s.neighbors, "neighbors");
  at_least(1, s.layers, "layers");
  at_least(1, s.heads, "heads");
  at_least(1, s.width, "width");
  at_least(1, s.pairs, "pairs");
  at_least(2, s.block, "block");  // The first token of a sequence reads nothing.
  at_least(1, s.batch, "batch");
  at_least(1, s.steps, "steps");
  at_least(0, s.warm_up, "warm-up");
  at_least(1, s.validate_every, "validate-every");
  set_task_sizes(s);
  check_task(s);
  if (s.width % s.heads != 0) refuse("--heads must divide --width");
  if (s.block > most / s.batch) refuse("--batch times --block must be at most 16777216");
  if (s.steps > most) refuse("--steps must be at most 16777216");

  const auto finite = [](double value, bool good, const char* what) {
    if (!(good && std::isfinite(value))) refuse(what);
  };
  finite(s.beta, s.beta >= 0, "--beta must be at least 0 and finite");
  finite(s.learning_rate, s.learning_rate > 0, "--learning-rate must be positive and finite");
  finite(s.weight_decay, s.weight_decay >= 0, "--weight-decay must be at least 0 and finite");
  finite(s.clip, s.clip > 0, "--clip must be positive and finite");
  finite(s.dropout, s.dropout >= 0 && s.dropout < 1, "--dropout must be at least 0 and below 1");
  return s;
}

}  // namespace program
