// All that a run is: what continues from a checkpoint equals what was never interrupted.
#pragma once

#include "data.hpp"
#include "history.hpp"
#include "network.hpp"
#include "safetensors.hpp"
#include "settings.hpp"

#include <set>
#include <string>

namespace program {

/// A safetensors file. The tensors are the parameters by name, adamw.first.* and adamw.second.* of the same shapes,
/// history.training and history.validation; the metadata are format, step, settings (JSON), fingerprint and alphabet.
struct Checkpoint {
  std::string path;
  Settings settings;
  DataMark data;
  Index step = 0;
  History history;
  safetensors::File file;
};

/// Throws UsageError, which names the file; an earlier checkpoint is then as it was.
void save_checkpoint(const std::string& path, const Settings& settings, const DataMark& data, const History& history,
                     Network& network);

/// Throws UsageError for a file that is no checkpoint, or not all of one.
Checkpoint load_checkpoint(const std::string& path);

/// Gives the network what the checkpoint holds. Throws UsageError where its tensors are not the network's.
void restore_parameters(const Checkpoint& checkpoint, Network& network);
void restore_optimizer(const Checkpoint& checkpoint, Network& network);

/// Throws UsageError where one of the settings that were given on the command line is not the checkpoint's.
void require_same(const Settings& settings, const std::set<std::string>& given, const Checkpoint& checkpoint);

}  // namespace program
