// What a model learns from: a text, or examples of a task.
#pragma once

#include "batch.hpp"
#include "settings.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace program {

/// What data is known by: the fingerprint and the characters of a text. A task has neither: its settings say all.
struct DataMark {
  std::string fingerprint, alphabet;
};

class Data {
 public:
  virtual ~Data() = default;

  virtual int vocabulary() const = 0;
  virtual DataMark mark() const = 0;

  /// A step's batch, the same for the same seed and step.
  virtual Batch training(std::uint64_t seed, Index step, Index count) const = 0;

  /// What training does not see, the same for every seed: all of it, or so many sequences at most.
  virtual std::vector<Batch> validation() const = 0;
  virtual std::vector<Batch> validation(Index count) const = 0;
};

/// The data of settings that were checked; `text` names a file, for the task "text". Throws UsageError.
std::unique_ptr<Data> open_data(const Settings& settings, const std::string& text);

}  // namespace program
