#include "train.hpp"

#include "checkpoint.hpp"
#include "data.hpp"
#include "interrupt.hpp"
#include "network.hpp"
#include "progress.hpp"
#include "../support/files.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

namespace program {
namespace {

namespace fs = std::filesystem;

/// Sequences of a validation on the way.
constexpr Index sampled_sequences = 200;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The settings of the run: where there is a checkpoint its own, but for a learning rate that the command line gives.
Settings settle(const TrainOptions& o, const std::optional<Checkpoint>& earlier) {
  if (!earlier) return checked(o.settings);
  return resumed(o.settings, o.given, *earlier);
}

std::string folder_of(const TrainOptions& o) { return "--output-dir " + o.output_dir; }

std::optional<Checkpoint> find_earlier(const TrainOptions& o, const std::string& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  if (!o.resume) refuse(folder_of(o) + ": it has a checkpoint; --resume continues it");
  return load_checkpoint(path, folder_of(o) + ": " + path);
}

class Run {
 public:
  Run(const TrainOptions& options, const std::string& path, const std::optional<Checkpoint>& earlier)
      : options_(options),
        path_(path),
        settings_(settle(options, earlier)),
        data_(open_data(settings_, options.text)),
        mark_(data_->mark()),
        network_(settings_, data_->vocabulary(), options.threads),
        sample_(data_->validation(sampled_sequences)) {
    if (!earlier) return;
    if (earlier->data.fingerprint != mark_.fingerprint) refuse("--text " + options.text + ": " + path_ + " was begun with another text");
    restore_parameters(*earlier, network_);
    restore_optimizer(*earlier, network_);
    history_ = earlier->history;
    saved_ = step();
  }

  /// Returns the signal that ended it early, or 0.
  int train() {
    const Index first = step();
    const Index last = std::clamp(options_.stop_at.value_or(settings_.steps), first, settings_.steps);
    Index tokens = 0;
    const Interrupt interrupt;
    Progress progress(first, last);
    if (history_.validation.empty()) validate();
    const double validating_before = validating_;
    const auto start = std::chrono::steady_clock::now();
    while (step() < last && interrupt.signal() == 0) {
      const Batch batch = data_->training(settings_.seed, step(), settings_.batch);
      const double loss = network_.train(batch);
      if (!std::isfinite(loss)) diverged("the loss of step " + std::to_string(step()));
      history_.training.push_back(static_cast<float>(loss));
      tokens += batch.shape.tokens();
      if (step() % settings_.validate_every == 0 || step() == settings_.steps) validate();
      if (step() % options_.save_every == 0 && !finished()) save();
      progress.show(step(), history_.recent_loss(), static_cast<double>(history_.validation.back().loss), static_cast<double>(tokens));
    }
    if (finished()) validate_all();
    seconds_ = seconds_since(start) - (validating_ - validating_before);
    tokens_per_second_ = seconds_ > 0 ? static_cast<double>(tokens) / seconds_ : 0.0;
    if (saved_ != step()) save();
    return interrupt.signal();
  }

  bool finished() const { return history_.training.size() == static_cast<std::size_t>(settings_.steps); }

  nlohmann::json report() {
    nlohmann::json json{{"task", settings_.task},
                        {"kernel", settings_.kernel},
                        {"seed", settings_.seed},
                        {"step", step()},
                        {"steps", settings_.steps},
                        {"parameters", network_.layout().size()},
                        {"training_loss", history_.recent_loss()},
                        {"empty_share_at_first", history_.validation.front().empty_share},
                        {"mean_support_at_first", history_.validation.front().mean_support},
                        {"tokens_per_second", tokens_per_second_},
                        {"seconds", seconds_},
                        {"threads", network_.threads()}};
    if (finished()) {
      json["validation_loss"] = all_.mean_loss();
      json["validation_tokens"] = all_.targets;
      json["mean_support"] = all_.mean_support();
      json["empty_share"] = all_.empty_share();
    }
    return json;
  }

  void draw() const {
    draw_curve(options_.output_dir, (settings_.task == "text" ? "" : settings_.task + ", ") + settings_.kernel + ", seed " + std::to_string(settings_.seed));
  }

 private:
  Index step() { return network_.optimizer().step; }

  void validate() {
    const auto start = std::chrono::steady_clock::now();
    const Evaluation e = network_.evaluate(sample_);
    require_finite(e);
    history_.validation.push_back({static_cast<float>(step()), static_cast<float>(e.mean_loss()),
                                   static_cast<float>(e.mean_support()), static_cast<float>(e.empty_share())});
    validating_ += seconds_since(start);
  }

  void validate_all() {
    const auto start = std::chrono::steady_clock::now();
    all_ = network_.evaluate(data_->validation());
    require_finite(all_);
    validating_ += seconds_since(start);
  }

  void require_finite(const Evaluation& e) {
    if (!std::isfinite(static_cast<float>(e.mean_loss()))) diverged("the validation loss after step " + std::to_string(step()));
  }

  void save() {
    if (!network_.finite(sample_.front())) diverged("the model after step " + std::to_string(step()));
    save_checkpoint(path_, settings_, mark_, history_, network_, folder_of(options_) + ": " + path_);
    write_tables(options_.output_dir, history_);
    saved_ = step();
  }

  /// Ends the run; what was saved is as it was.
  [[noreturn]] void diverged(const std::string& what) {
    std::string advice = "; start with a lower --learning-rate";
    if (saved_) {
      advice = "; " + path_ + " is that of step " + std::to_string(*saved_) + "; --resume continues it, with a lower --learning-rate";
    } else if (step() == 0) {
      advice = "; start with another --beta";
    }
    refuse(what + " is not finite" + advice);
  }

  const TrainOptions& options_;
  std::string path_;
  Settings settings_;
  std::unique_ptr<Data> data_;
  DataMark mark_;
  Network network_;
  std::vector<Batch> sample_;
  History history_;
  std::optional<Index> saved_;  // the step of the checkpoint
  Evaluation all_;              // of a run that is finished, on all of the validation data
  double seconds_ = 0, validating_ = 0, tokens_per_second_ = 0;
};

}  // namespace

int train(const TrainOptions& o) {
  check_threads(o.threads);
  if (o.save_every < 1) refuse("--save-every must be at least 1");
  if (o.stop_at && *o.stop_at < 0) refuse("--stop-at must be at least 0");
  const std::string path = (fs::path(o.output_dir) / "checkpoint.safetensors").string();
  Run run(o, path, find_earlier(o, path));
  make_folder(o.output_dir, folder_of(o));

  const int signal = run.train();
  std::cout << run.report().dump() << std::endl;
  if (!std::cout) refuse("standard output cannot be written");
  run.draw();
  if (signal == 0) return 0;
  std::cerr << "mosaic: interrupted; --resume continues\n";
  return 128 + signal;
}

}  // namespace program
