// All that a run is: what continues from a checkpoint equals what was never interrupted.
#pragma once

#include "data.hpp"
#include "history.hpp"
#include "network.hpp"
#include "../support/safetensors.hpp"
#include "settings.hpp"

#include <set>
#include <string>

namespace program {

/// A safetensors file. The tensors are the parameters by name, adamw.first.* and adamw.second.* of the same shapes,
/// history.training and history.validation; the metadata are format, step, settings (JSON), fingerprint and alphabet.
struct Checkpoint {
  std::string path;
  std::string what;  ///< what messages call it: the option and the path
  Settings settings;
  DataMark data;
  Index step = 0;
  History history;
  safetensors::File file;
};

/// Throws UsageError, which begins with `what`; an earlier checkpoint is then as it was.
void save_checkpoint(const std::string& path, const Settings& settings, const DataMark& data, const History& history,
                     Network& network, const std::string& what);

/// Throws UsageError, which begins with `what`, for a file that is no checkpoint, or not all of one.
Checkpoint load_checkpoint(const std::string& path, const std::string& what);

/// Gives the network what the checkpoint holds. Throws UsageError where its tensors are not the network's, or not finite.
void restore_parameters(const Checkpoint& checkpoint, Network& network);
void restore_optimizer(const Checkpoint& checkpoint, Network& network);

/// The checkpoint's settings, with the learning rate that the command line gives. Throws UsageError where another of the
/// settings given there is not the checkpoint's.
Settings resumed(const Settings& settings, const std::set<std::string>& given, const Checkpoint& checkpoint);

}  // namespace program
