// A text to learn: nine tenths for training, the rest for validation.
#pragma once

#include "alphabet.hpp"
#include "data.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace program {

class Text final : public Data {
 public:
  /// Throws UsageError for a file that cannot be read, is not UTF-8, or is too short for a block in either part.
  Text(const std::string& path, Index block);

  int vocabulary() const override { return alphabet_.size(); }
  /// The fingerprint is of the file's bytes: FNV-1a in 64 bits, in hexadecimal.
  DataMark mark() const override { return {fingerprint_, alphabet_.utf8()}; }

  /// Sequences from anywhere in the training part, the same for the same seed and step.
  Batch training(std::uint64_t seed, Index step, Index count) const override;

  /// Sequences of the validation part that do not overlap: all, in the order of the text, or
  /// that many of them, evenly spread.
  std::vector<Batch> validation() const override { return validation(blocks()); }
  std::vector<Batch> validation(Index count) const override;

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
