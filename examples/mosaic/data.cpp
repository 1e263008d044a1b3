#include "data.hpp"

#include "task_data.hpp"
#include "text.hpp"
#include "../support/usage.hpp"

namespace program {

std::unique_ptr<Data> open_data(const Settings& settings, const std::string& text) {
  if (settings.task == "text") {
    if (text.empty()) refuse("--text is needed, or a --task");
    return std::make_unique<Text>(text, settings.block);
  }
  if (!text.empty()) refuse("--text: the task " + settings.task + " has none");
  return std::make_unique<TaskData>(settings);
}

}  // namespace program
