#include "network.hpp"

#include "kernels.hpp"
#include "../support/usage.hpp"

#include <nadaraya/mosaic/clip.hpp>
#include <nadaraya/mosaic/cosine_schedule.hpp>
#include <nadaraya/mosaic/cross_entropy.hpp>
#include <nadaraya/mosaic/dropout.hpp>
#include <nadaraya/mosaic/initialize.hpp>

#include <cmath>
#include <new>
#include <stdexcept>
#include <string>

namespace program {

namespace mosaic = nadaraya::mosaic;

namespace {

[[noreturn]] void refuse_size() { refuse("--width, --layers or --pairs is too large: there is not enough memory for the parameters"); }

mosaic::KernelChoice<float> kernel(const Settings& s) {
  try {
    return training_kernel(s.kernel, s.neighbors);
  } catch (const UsageError& error) {
    refuse(std::string("--kernel: ") + error.what());
  }
}

}  // namespace

Network::Network(const Settings& s, Index vocabulary, int threads) try
    : settings_(s),
      threads_{threads},
      model_(mosaic::ModelSize{vocabulary, s.layers, s.heads, s.width, s.pairs}, kernel(s)),
      parameters_(model_.layout()),
      grads_(model_.layout()),
      optimizer_(model_.layout()) {
  const double beta = s.beta > 0 ? s.beta : first_beta(s.kernel);
  mosaic::initialize(model_.layout(), s.layers, s.seed, mosaic::InitialWidth{std::log(beta) / 10, 0.0}, parameters_);
} catch (const std::bad_alloc&) {
  refuse_size();
} catch (const std::length_error&) {
  refuse_size();
} catch (const std::invalid_argument&) {
  refuse_size();
}

Network::~Network() = default;

const mosaic::Layout& Network::layout() const { return model_.layout(); }
int Network::threads() const { return threads_.count; }

double Network::train(const Batch& batch) {
  const Index step = optimizer_.step;
  const mosaic::Dropout dropout{settings_.dropout, settings_.seed, static_cast<std::uint64_t>(step)};
  model_.forward(parameters_, batch.tokens, batch.shape, tape_, threads_, dropout);
  const double loss = mosaic::cross_entropy(tape_.logits, std::span<const int>(batch.targets), &grad_logits_, threads_);
  if (!std::isfinite(loss)) return loss;
  grads_.set_zero();
  model_.backward(parameters_, tape_, grad_logits_, grads_, threads_);
  mosaic::clip(grads_, settings_.clip, threads_);
  const mosaic::CosineSchedule rate{settings_.learning_rate, settings_.learning_rate / 10, settings_.warm_up, settings_.steps};
  mosaic::AdamW adamw;
  adamw.weight_decay = settings_.weight_decay;
  adamw.step(model_.layout(), rate(step), grads_, optimizer_, parameters_, threads_);
  return loss;
}

bool Network::finite(const Batch& batch) {
  const auto all = [](const mosaic::Parameters<float>& numbers) { return numbers.vector().isFinite().all(); };
  return all(parameters_) && all(optimizer_.first) && all(optimizer_.second) && logits(batch).allFinite();
}

Evaluation Network::evaluate(std::span<const Batch> batches) {
  Evaluation sum;
  for (const Batch& batch : batches) {
    model_.forward(parameters_, batch.tokens, batch.shape, evaluation_tape_, threads_);
    Index targets = 0;
    for (const int target : batch.targets) targets += target == mosaic::no_target ? 0 : 1;
    sum.loss += static_cast<double>(targets) * mosaic::cross_entropy<float>(evaluation_tape_.logits, batch.targets, nullptr, threads_);
    sum.targets += targets;
    // The first token of a sequence sees no key.
    const Index first_rows = batch.shape.count * settings_.heads;
    const Index all_rows = batch.shape.tokens() * settings_.heads;
    for (const auto& block : evaluation_tape_.blocks) {
      const mosaic::SupportStatistics rows = block.contextual.pass->statistics();
      sum.support += rows.mean_support * static_cast<double>(all_rows);
      sum.rows += all_rows - first_rows;
      sum.empty_rows += rows.empty_rows - first_rows;
    }
  }
  return sum;
}

const nadaraya::RowMatrix<float>& Network::logits(const Batch& batch) {
  model_.forward(parameters_, batch.tokens, batch.shape, evaluation_tape_, threads_);
  return evaluation_tape_.logits;
}

const nadaraya::RowMatrix<float>& Network::logits(std::span<const int> tokens, mosaic::Model<float>::Past& past) {
  model_.extend(parameters_, tokens, past, evaluation_tape_, threads_);
  return evaluation_tape_.logits;
}

}  // namespace program
