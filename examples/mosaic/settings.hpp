// What decides a run's numbers: the same settings, the same text, the same results.
#pragma once

#include <nadaraya/types.hpp>

#include <cstdint>
#include <string>

namespace program {

using nadaraya::Index;

/// The defaults are nanoGPT's small setting for a CPU (github.com/karpathy/nanoGPT, README) with the
/// optimizer that Memory Mosaics want.
struct Settings {
  std::string task = "text";
  Index alphabet = 0, shortest = 0, longest = 0, examples = 0;
  std::string kernel = "softmax";
  Index neighbors = 16;
  double beta = 0;
  Index layers = 4, heads = 4, width = 128, pairs = 512;
  Index block = 64, batch = 12, steps = 2000;
  double learning_rate = 4e-3;
  Index warm_up = 100;
  double weight_decay = 0.1, clip = 1, dropout = 0;
  std::uint64_t seed = 1;
  Index validate_every = 250;
};

/// visit(name, value, what it is) for each: the one list behind command line, checkpoint and comparison.
template <class S, class Visit>
void for_each_setting(S& s, const Visit& visit) {
  visit("task", s.task, "text, copy, reverse, sort, mqmtar or automata");
  visit("alphabet", s.alphabet, "symbols of a task; 0: as many as it is known with");
  visit("shortest", s.shortest, "shortest source of a task in training, 0: half the longest; shortest word of automata");
  visit("longest", s.longest, "longest source of a task in training, longest word of automata; 0: as it is known with");
  visit("examples", s.examples, "different training examples of a task; 0: always new ones");
  visit("kernel", s.kernel, "kernel of the contextual memories");
  visit("neighbors", s.neighbors, "keys that topk_softmax and topk_uniform keep");
  visit("beta", s.beta, "what the kernels' inverse bandwidths start from; 0: the kernel's own");
  visit("layers", s.layers, "blocks, each a contextual and a persistent memory");
  visit("heads", s.heads, "heads of every memory");
  visit("width", s.width, "numbers that stand for a token");
  visit("pairs", s.pairs, "pairs of keys and values in each head of a persistent memory");
  visit("block", s.block, "tokens of a training sequence of text");
  visit("batch", s.batch, "sequences of a step");
  visit("steps", s.steps, "steps of training");
  visit("learning-rate", s.learning_rate, "highest learning rate; it falls to a tenth along a cosine; --resume may change it");
  visit("warm-up", s.warm_up, "steps before the highest learning rate");
  visit("weight-decay", s.weight_decay, "weight decay of matrices");
  visit("clip", s.clip, "largest norm of a gradient");
  visit("dropout", s.dropout, "share of activations that training drops");
  visit("seed", s.seed, "of first parameters, batches and dropout");
  visit("validate-every", s.validate_every, "steps between validations on a sample");
}

/// The settings with a task's own sizes where none are asked for. Throws UsageError for an unknown task, or a number
/// that is out of its range.
Settings checked(Settings settings);

}  // namespace program
