#include "settings.hpp"

#include "usage.hpp"

#include <cmath>

namespace program {

void check_settings(const Settings& s) {
  const auto at_least = [](Index least, Index value, const char* name) {
    if (value < least) refuse(std::string("--") + name + " must be at least " + std::to_string(least));
  };
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
  if (s.width % s.heads != 0) refuse("--heads must divide --width");
  // Tokens are counted in an int, and so are steps in a checkpoint's tables.
  constexpr Index most = Index(1) << 24;
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
}

}  // namespace program
