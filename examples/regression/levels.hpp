// The categories of a column, by name.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace regression {

/// Names and their numbers, counted from 0 in the order in which they were met.
class Levels {
 public:
  /// Of a new name, the next number.
  double number(const std::string& name) {
    const auto at = std::find(names_.begin(), names_.end(), name);
    if (at != names_.end()) return static_cast<double>(at - names_.begin());
    names_.push_back(name);
    return static_cast<double>(names_.size() - 1);
  }

  /// By number.
  const std::vector<std::string>& names() const { return names_; }
  const std::string& name(double number) const { return names_[static_cast<std::size_t>(number)]; }

 private:
  std::vector<std::string> names_;
};

}  // namespace regression
