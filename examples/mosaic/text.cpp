#include "text.hpp"

#include "../support/files.hpp"

#include <nadaraya/mosaic/counter_random.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <limits>

namespace program {
namespace {

/// Of the numbers that dropout draws, none has this.
constexpr std::uint64_t batch_site = ~std::uint64_t{0};

/// Sequences that a validation looks at together.
constexpr Index validated_at_once = 16;

std::string read(const std::string& path) {
  const std::string bytes = read_file(path, "--text " + path);
  if (bytes.empty()) refuse("--text " + path + ": it is empty");
  return bytes;
}

std::string hash(const std::string& bytes) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(h));
  return text;
}

}  // namespace

Text::Text(const std::string& path, Index block) : block_(block) {
  const std::string bytes = read(path);
  const std::u32string text = from_utf8(bytes, "--text " + path);
  alphabet_ = Alphabet(text);
  fingerprint_ = hash(bytes);
  split_ = text.size() - text.size() / 10;
  const auto needed = static_cast<std::size_t>(block) + 1;
  if (text.size() - split_ < needed) {
    refuse("--text " + path + ": it has " + std::to_string(text.size()) + " characters; a tenth, for validation, must be more than --block " +
           std::to_string(block));
  }
  tokens_ = alphabet_.tokens(text, "--text " + path);
}

void Text::append(std::size_t start, Batch& batch) const {
  const auto from = tokens_.begin() + static_cast<std::ptrdiff_t>(start);
  batch.tokens.insert(batch.tokens.end(), from, from + block_);
  batch.targets.insert(batch.targets.end(), from + 1, from + 1 + block_);
  batch.shape.count += 1;
  batch.shape.length = block_;
}

Batch Text::training(std::uint64_t seed, Index step, Index count) const {
  const nadaraya::mosaic::CounterRandom random(seed, static_cast<std::uint64_t>(step), batch_site);
  Batch batch{{}, {}, {0, 0}};
  const std::uint64_t starts = split_ - static_cast<std::uint64_t>(block_);
  for (Index i = 0; i < count; ++i) append(static_cast<std::size_t>(random[static_cast<std::uint64_t>(i)] % starts), batch);
  return batch;
}

std::vector<Batch> Text::validation(Index count) const {
  count = std::min(count, blocks());
  std::vector<Batch> batches;
  for (Index i = 0; i < count; ++i) {
    if (i % validated_at_once == 0) batches.push_back(Batch{{}, {}, {0, 0}});
    append(split_ + static_cast<std::size_t>(i * blocks() / count * block_), batches.back());
  }
  return batches;
}

}  // namespace program
