// mosaic: Memory Mosaics, networks made of kernel regressions.
#include "check.hpp"
#include "evaluate.hpp"
#include "sample.hpp"
#include "train.hpp"

#include "../support/main.hpp"

#include <functional>
#include <string>

namespace {

void add_threads(CLI::App& command, int& threads) {
  threads = program::default_threads();
  command.add_option("--threads", threads, "threads that share the work, default all; the result does not depend on it");
}

/// A command, and what it does once its options are read. Returns an exit code.
using Command = std::function<int()>;

Command add_train(CLI::App& command, program::TrainOptions& o) {
  command.add_option("--text", o.text, "text to learn, UTF-8; its last tenth is for validation");
  command.add_option("--output-dir", o.output_dir, "folder for the checkpoint, tables of losses and their picture")->required();
  command.add_flag("--resume", o.resume, "continue from the folder's checkpoint if there is one");
  command.add_option("--save-every", o.save_every, "steps between checkpoints")->capture_default_str();
  command.add_option("--stop-at", o.stop_at, "step at which to save and end, for --resume to continue");
  add_threads(command, o.threads);
  for_each_setting(o.settings, [&](const std::string& name, auto& value, const char* what) {
    command.add_option("--" + name, value, what)->capture_default_str();
  });
  return [&] {
    for_each_setting(o.settings, [&](const std::string& name, const auto&, const char*) {
      if (command.count("--" + name) > 0) o.given.insert(name);
    });
    return program::train(o);
  };
}

Command add_sample(CLI::App& command, program::SampleOptions& o) {
  command.add_option("--checkpoint", o.checkpoint, "checkpoint of a model of text")->required();
  command.add_option("--prompt", o.prompt, "what the text begins with, default a line break where the model knows one");
  command.add_option("--characters", o.characters, "characters to add")->capture_default_str();
  command.add_option("--temperature", o.temperature, "0: always the likeliest character; 1: as the model thinks")->capture_default_str();
  command.add_option("--seed", o.seed, "of the choices")->capture_default_str();
  add_threads(command, o.threads);
  return [&] {
    program::sample(o);
    return 0;
  };
}

Command add_evaluate(CLI::App& command, program::EvaluateOptions& o) {
  command.add_option("--checkpoint", o.checkpoint, "checkpoint of a model of a task")->required();
  command.add_option("--lengths", o.lengths, "lengths of sources, default 1, 2, 4 and 8 times the longest of training")->delimiter(',');
  command.add_option("--examples", o.examples, "examples of each length")->capture_default_str();
  command.add_option("--seed", o.seed, "of the examples")->capture_default_str();
  add_threads(command, o.threads);
  return [&] {
    program::evaluate(o);
    return 0;
  };
}

struct CheckOptions {
  std::string fixture, output;
  int threads = 1;
};

Command add_check(CLI::App& command, CheckOptions& o) {
  command.add_option("fixture", o.fixture, "folder with config.json, tokens.npy, targets.npy and param.*.npy")->required();
  command.add_option("output", o.output, "folder for logits.npy, loss.npy and grad.*.npy")->required();
  add_threads(command, o.threads);
  return [&] {
    program::check_threads(o.threads);
    program::check(o.fixture, o.output, o.threads);
    return 0;
  };
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Memory Mosaics: networks made of kernel regressions."};
  app.require_subcommand(1);
  program::TrainOptions train_options;
  program::EvaluateOptions evaluate_options;
  program::SampleOptions sample_options;
  CheckOptions check_options;
  CLI::App& train = *app.add_subcommand("train", "a model of a text's characters, or of a task");
  CLI::App& evaluate = *app.add_subcommand("evaluate", "how well a trained model does its task");
  CLI::App& sample = *app.add_subcommand("sample", "text from a trained model");
  CLI::App& check = *app.add_subcommand("check", "logits, loss and gradients of a model that is given in .npy files");
  const Command run_train = add_train(train, train_options);
  const Command run_evaluate = add_evaluate(evaluate, evaluate_options);
  const Command run_sample = add_sample(sample, sample_options);
  const Command run_check = add_check(check, check_options);
  return program::run_main("mosaic", app, argc, argv, [&] {
    return train.parsed() ? run_train() : evaluate.parsed() ? run_evaluate() : sample.parsed() ? run_sample() : run_check();
  });
}
