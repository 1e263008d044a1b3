// What counting says of the next symbol: the baseline of learning in context.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace program {

/// Probabilities of what follows the text, of `kinds` symbols: how often each has followed, in this same text, the
/// text's last `order` - 1 symbols; where these are new, the last `order` - 2, and so on; where all is new, the
/// same for each. Cost: order times the length of the text.
inline std::vector<double> n_gram_law(std::span<const int> text, std::size_t order, std::size_t kinds) {
  std::vector<double> counts(kinds, 0.0);
  for (std::size_t context = std::min(order - 1, text.size());; --context) {
    const auto last = text.last(context);
    double total = 0;
    for (std::size_t at = context; at < text.size(); ++at) {
      if (!std::equal(last.begin(), last.end(), text.begin() + static_cast<std::ptrdiff_t>(at - context))) continue;
      counts[static_cast<std::size_t>(text[at])] += 1;
      total += 1;
    }
    if (total > 0) {
      for (double& count : counts) count /= total;
      return counts;
    }
    if (context == 0) return std::vector<double>(kinds, 1.0 / static_cast<double>(kinds));
  }
}

}  // namespace program
