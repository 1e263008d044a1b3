#include "evaluate.hpp"

#include "checkpoint.hpp"
#include "n_gram.hpp"
#include "network.hpp"
#include "task_data.hpp"
#include "../support/usage.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <iostream>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace program {
namespace {

/// Tokens that are read together, so that long sequences take no more memory, and sequences at most.
constexpr Index tokens_at_once = 1 << 16;
constexpr Index sequences_at_once = 50;

void require_finite(const nadaraya::RowMatrix<float>& logits, const EvaluateOptions& o) {
  if (!logits.allFinite()) {
    refuse("--checkpoint " + o.checkpoint + ": its logits are not finite: the training diverged; train again with a lower --learning-rate");
  }
}

int most_probable(const nadaraya::RowMatrix<float>& logits, Index row) {
  Index best = 0;
  logits.row(row).maxCoeff(&best);
  return static_cast<int>(best);
}

/// What the model says after prompts of one length: so many tokens for each, always the most probable one.
std::vector<std::vector<int>> answers(Network& network, const std::vector<Example>& examples, const EvaluateOptions& o) {
  const Index count = std::ssize(examples), prompt = std::ssize(examples[0].prompt), answer = std::ssize(examples[0].answer);
  std::vector<int> tokens;
  for (const Example& one : examples) tokens.insert(tokens.end(), one.prompt.begin(), one.prompt.end());
  auto past = network.past(count, prompt + answer - 1);
  std::vector<std::vector<int>> result(examples.size());
  for (Index said = 0; said < answer; ++said) {
    const auto& logits = network.logits(tokens, past);
    require_finite(logits, o);
    const Index length = logits.rows() / count;
    tokens.clear();
    for (Index i = 0; i < count; ++i) {
      tokens.push_back(most_probable(logits, (i + 1) * length - 1));
      result[static_cast<std::size_t>(i)].push_back(tokens.back());
    }
  }
  return result;
}

nlohmann::json evaluate_length(Network& network, const Settings& settings, Index length, const EvaluateOptions& o) {
  Index right = 0, right_tokens = 0, tokens = 0;
  const Index at_once = std::clamp<Index>(tokens_at_once / (2 * length), 1, sequences_at_once);
  for (Index first = 0; first < o.examples; first += at_once) {
    std::vector<Example> examples;
    for (Index i = first; i < std::min(first + at_once, o.examples); ++i) {
      Draws draws = example_draws(o.seed, static_cast<std::uint64_t>(i), Purpose::evaluation);
      examples.push_back(draw_example(settings, length, draws));
    }
    const std::vector<std::vector<int>> said = answers(network, examples, o);
    for (std::size_t i = 0; i < examples.size(); ++i) {
      const std::vector<int>& answer = examples[i].answer;
      const Index same = std::inner_product(answer.begin(), answer.end(), said[i].begin(), Index(0), std::plus<>(),
                                            [](int a, int b) { return a == b ? 1 : 0; });
      right += same == std::ssize(answer) ? 1 : 0;
      right_tokens += same;
      tokens += std::ssize(answer);
    }
  }
  return {{"length", length},
          {"exact_match", static_cast<double>(right) / static_cast<double>(o.examples)},
          {"token_accuracy", static_cast<double>(right_tokens) / static_cast<double>(tokens)}};
}

nlohmann::json evaluate_lengths(Network& network, const Settings& settings, const EvaluateOptions& o) {
  std::vector<Index> lengths = o.lengths;
  if (lengths.empty()) lengths = {settings.longest, 2 * settings.longest, 4 * settings.longest, 8 * settings.longest};
  nlohmann::json results = nlohmann::json::array();
  for (const Index length : lengths) results.push_back(evaluate_length(network, settings, length, o));
  return results;
}

/// Half the sum of differences: the largest difference that the two laws have for any event. `law` may have symbols less.
double total_variation(std::span<const double> law, std::span<const double> said) {
  double sum = 0;
  for (std::size_t i = 0; i < said.size(); ++i) sum += std::abs(said[i] - (i < law.size() ? law[i] : 0.0));
  return sum / 2;
}

std::vector<double> softmax(const nadaraya::RowMatrix<float>& logits, Index row) {
  const Eigen::ArrayXd z = logits.row(row).transpose().array().cast<double>();
  const Eigen::ArrayXd w = (z - z.maxCoeff()).exp() / (z - z.maxCoeff()).exp().sum();
  return std::vector<double>(w.begin(), w.end());
}

/// Sums and counts of a distance, by the words seen before.
class Distances {
 public:
  void add(std::size_t word, double distance) {
    if (sums_.size() <= word) {
      sums_.resize(word + 1, 0.0);
      counts_.resize(word + 1, 0.0);
    }
    sums_[word] += distance;
    counts_[word] += 1;
  }

  nlohmann::json report() const {
    std::vector<double> means;
    for (std::size_t i = 0; i < sums_.size(); ++i) means.push_back(sums_[i] / counts_[i]);
    const double all = std::accumulate(sums_.begin(), sums_.end(), 0.0) / std::accumulate(counts_.begin(), counts_.end(), 0.0);
    return {{"distance", all}, {"by_words", means}};
  }

 private:
  std::vector<double> sums_, counts_;
};

nlohmann::json evaluate_automata(Network& network, const Settings& settings, const EvaluateOptions& o) {
  std::map<std::string, Distances> distances;
  const auto kinds = static_cast<std::size_t>(settings.alphabet) + 1;
  const std::vector<double> uniform(kinds, 1.0 / static_cast<double>(kinds));
  for (Index i = 0; i < o.examples; ++i) {
    Draws draws = example_draws(o.seed, static_cast<std::uint64_t>(i), Purpose::evaluation);
    const AutomatonExample example = draw_automaton(settings, draws);
    const auto& logits = network.logits(Batch{example.tokens, example.targets, {1, std::ssize(example.tokens)}});
    require_finite(logits, o);
    // To whoever counts, the beginning is one more separator.
    std::vector<int> text = example.tokens;
    text[0] = static_cast<int>(settings.alphabet);
    for (std::size_t t = 0; t < text.size(); ++t) {
      const auto add = [&](const std::string& who, const std::vector<double>& said) {
        distances[who].add(static_cast<std::size_t>(example.word[t]), total_variation(example.law[t], said));
      };
      add("model", softmax(logits, static_cast<Index>(t)));
      add("uniform", uniform);
      for (const std::size_t order : {std::size_t(2), std::size_t(3), std::size_t(4)}) {
        add(std::to_string(order) + "-gram", n_gram_law(std::span<const int>(text).first(t + 1), order, kinds));
      }
    }
  }
  nlohmann::json results;
  for (const auto& [who, distance] : distances) results[who] = distance.report();
  return results;
}

}  // namespace

void evaluate(const EvaluateOptions& o) {
  const std::string what = "--checkpoint " + o.checkpoint;
  check_threads(o.threads);
  if (o.examples < 1) refuse("--examples must be at least 1");
  const Checkpoint checkpoint = load_checkpoint(o.checkpoint, what);
  const Settings& settings = checkpoint.settings;
  if (settings.task == "text") refuse(what + ": it is a model of text, which has no task to do; mosaic train reports its loss");
  const bool automata = settings.task == "automata";
  if (automata && !o.lengths.empty()) refuse("--lengths: automata have none");
  for (const Index length : o.lengths) {
    if (length < 1 || length > Index(1) << 20) refuse("--lengths must be from 1 to 1048576");
  }
  Network network(settings, task_vocabulary(settings), o.threads);
  restore_parameters(checkpoint, network);
  const nlohmann::json json{{"task", settings.task},
                            {"kernel", settings.kernel},
                            {"seed", settings.seed},
                            {"step", checkpoint.step},
                            {"examples", o.examples},
                            {"results", automata ? evaluate_automata(network, settings, o) : evaluate_lengths(network, settings, o)}};
  std::cout << json.dump() << std::endl;
  if (!std::cout) refuse("standard output cannot be written");
}

}  // namespace program
