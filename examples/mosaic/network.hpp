// The model under training, in float: parameters, optimizer, threads. Compiled once, in network.cpp.
#pragma once

#include "batch.hpp"
#include "settings.hpp"

#include <nadaraya/engine/executor.hpp>
#include <nadaraya/mosaic/adamw.hpp>
#include <nadaraya/mosaic/model.hpp>

#include <span>

namespace program {

/// Sums over the tokens of the batches that were looked at.
struct Evaluation {
  double loss = 0;       ///< in nats
  Index targets = 0;     ///< that the loss counts
  double support = 0;    ///< of the contextual memories' rows that see a key
  Index rows = 0;        ///< so many, in all heads and blocks
  Index empty_rows = 0;  ///< of them, without support

  double mean_loss() const { return targets == 0 ? 0.0 : loss / static_cast<double>(targets); }
  double mean_support() const { return rows == 0 ? 0.0 : support / static_cast<double>(rows); }
  double empty_share() const { return rows == 0 ? 0.0 : static_cast<double>(empty_rows) / static_cast<double>(rows); }
};

class Network {
 public:
  /// Its parameters are those that training starts from. Throws UsageError for an unknown kernel.
  Network(const Settings& settings, Index vocabulary, int threads);
  ~Network();

  const nadaraya::mosaic::Layout& layout() const;
  int threads() const;

  nadaraya::mosaic::Parameters<float>& parameters() { return parameters_; }
  nadaraya::mosaic::AdamW::State<float>& optimizer() { return optimizer_; }

  /// One step of training. Returns the loss before it; the step is not taken if that is not finite.
  double train(const Batch& batch);

  /// Whether parameters, the optimizer's state and what follows from them for a batch are finite.
  bool finite(const Batch& batch);

  Evaluation evaluate(std::span<const Batch> batches);

  /// What may follow each token of a batch: [tokens x vocabulary].
  const nadaraya::RowMatrix<float>& logits(const Batch& batch);

  /// Sequences that grow together.
  nadaraya::mosaic::Model<float>::Past past(Index sequences, Index capacity) const { return model_.past(sequences, capacity); }
  /// The same of tokens that follow those of the past, which they join.
  const nadaraya::RowMatrix<float>& logits(std::span<const int> tokens, nadaraya::mosaic::Model<float>::Past& past);

 private:
  Settings settings_;
  nadaraya::Threads threads_;
  nadaraya::mosaic::Model<float> model_;
  nadaraya::mosaic::Parameters<float> parameters_, grads_;
  nadaraya::mosaic::AdamW::State<float> optimizer_;
  nadaraya::mosaic::Model<float>::Tape tape_, evaluation_tape_;
  nadaraya::RowMatrix<float> grad_logits_;
};

}  // namespace program
