// Compares nothing itself: computes a fixture's logits, loss and gradients in float64.
#pragma once

#include <string>

namespace program {

/// Reads config.json, tokens.npy, targets.npy and param.*.npy from a folder; writes logits.npy, loss.npy and
/// grad.*.npy to another, and prints the loss. Throws UsageError, or npy::Error for a file it names.
void check(const std::string& fixture, const std::string& output, int threads);

}  // namespace program
