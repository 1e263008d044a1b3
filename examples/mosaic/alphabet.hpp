// The characters of a text, numbered.
#pragma once

#include "utf8.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace program {

/// In the order of their code points.
class Alphabet {
 public:
  explicit Alphabet(std::u32string text) : characters_(std::move(text)) {
    std::sort(characters_.begin(), characters_.end());
    characters_.erase(std::unique(characters_.begin(), characters_.end()), characters_.end());
  }

  int size() const { return static_cast<int>(characters_.size()); }
  std::string character(int token) const { return to_utf8(characters_[static_cast<std::size_t>(token)]); }

  bool knows(char32_t c) const { return std::binary_search(characters_.begin(), characters_.end(), c); }

  /// All of them, as a text.
  std::string utf8() const {
    std::string text;
    for (const char32_t c : characters_) text += to_utf8(c);
    return text;
  }

  /// Throws UsageError, which begins with `what`, for a character that is not among these.
  std::vector<int> tokens(const std::u32string& text, const std::string& what) const {
    std::vector<int> result;
    for (const char32_t c : text) {
      const auto at = std::lower_bound(characters_.begin(), characters_.end(), c);
      if (at == characters_.end() || *at != c) refuse(what + ": the model has not seen the character '" + to_utf8(c) + "'");
      result.push_back(static_cast<int>(at - characters_.begin()));
    }
    return result;
  }

 private:
  std::u32string characters_;
};

}  // namespace program
