// A text to learn: nine tenths for training, the rest for validation.
#pragma once

#include "alphabet.hpp"
#include "batch.hpp"
#include "settings.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace program {

class Text {
 public:
  /// Throws UsageError for a file that cannot be read, is not UTF-8, or is too short for a block in either part.
  Text(const std::string& path, Index block);

  const Alphabet& alphabet() const { return alphabet_; }
  /// Of the file's bytes: FNV-1a in 64 bits, in hexadecimal.
  const std::string& fingerprint() const { return fingerprint_; }

  /// Sequences from anywhere in the training part, the same for the same seed and step.
  Batch training(std::uint64_t seed, Index step, Index count) const;

  /// Sequences of the validation part that do not overlap: all, in the order of the text, or
  /// that many of them, evenly spread.
  std::vector<Batch> validation() const { return validation(blocks()); }
  std::vector<Batch> validation(Index count) const;

 private:
  Index blocks() const { return static_cast<Index>(tokens_.size() - split_ - 1) / block_; }
  void append(std::size_t start, Batch& batch) const;

  Alphabet alphabet_{{}};
  std::string fingerprint_;
  Index block_;
  std::vector<int> tokens_;
  std::size_t split_ = 0;
};

}  // namespace program
