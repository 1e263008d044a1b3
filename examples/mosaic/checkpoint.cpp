#include "checkpoint.hpp"

#include "../support/usage.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace program {
namespace {

namespace mosaic = nadaraya::mosaic;

constexpr const char* format = "nadaraya mosaic 1";
constexpr std::size_t validation_columns = 4;
static_assert(sizeof(Validation) == validation_columns * sizeof(float));

nlohmann::json to_json(const Settings& settings) {
  nlohmann::json json;
  for_each_setting(settings, [&](const char* name, const auto& value, const char*) { json[name] = value; });
  return json;
}

void append(const std::string& prefix, const mosaic::Layout& layout, const mosaic::Parameters<float>& numbers,
            std::vector<safetensors::View>& tensors) {
  for (const mosaic::Layout::Entry& entry : layout.entries()) {
    tensors.push_back({prefix + entry.name, entry.shape, {numbers[entry.slot].data(), static_cast<std::size_t>(entry.slot.size())}});
  }
}

const safetensors::Tensor& tensor(const Checkpoint& checkpoint, std::string_view tensor_name) {
  const std::string name(tensor_name);
  const auto at = checkpoint.file.tensors.find(name);
  if (at == checkpoint.file.tensors.end()) refuse(checkpoint.what + ": it has no tensor " + name);
  return at->second;
}

void restore(const Checkpoint& checkpoint, const std::string& prefix, const mosaic::Layout& layout,
             mosaic::Parameters<float>& numbers) {
  for (const mosaic::Layout::Entry& entry : layout.entries()) {
    const safetensors::Tensor& from = tensor(checkpoint, prefix + entry.name);
    if (from.shape != entry.shape) refuse(checkpoint.what + ": its tensor " + prefix + entry.name + " does not fit its settings");
    if (!std::all_of(from.values.begin(), from.values.end(), [](float x) { return std::isfinite(x); })) {
      refuse(checkpoint.what + ": its tensor " + prefix + entry.name + " is not finite: the training diverged; train again with a lower --learning-rate");
    }
    std::copy(from.values.begin(), from.values.end(), numbers[entry.slot].data());
  }
}

}  // namespace

void save_checkpoint(const std::string& path, const Settings& settings, const DataMark& data, const History& history,
                     Network& network, const std::string& what) {
  std::vector<safetensors::View> tensors;
  append("", network.layout(), network.parameters(), tensors);
  append("adamw.first.", network.layout(), network.optimizer().first, tensors);
  append("adamw.second.", network.layout(), network.optimizer().second, tensors);
  tensors.push_back({"history.training", {std::ssize(history.training)}, history.training});
  const std::size_t rows = history.validation.size();
  const float* const numbers = rows == 0 ? nullptr : &history.validation.front().step;
  tensors.push_back({"history.validation", {static_cast<Index>(rows), Index(validation_columns)}, {numbers, rows * validation_columns}});
  safetensors::write(path,
                     {{"format", format},
                      {"step", std::to_string(network.optimizer().step)},
                      {"settings", to_json(settings).dump()},
                      {"fingerprint", data.fingerprint},
                      {"alphabet", data.alphabet}},
                     tensors, what);
}

Checkpoint load_checkpoint(const std::string& path, const std::string& what) {
  Checkpoint result;
  result.path = path;
  result.what = what;
  result.file = safetensors::read(path, what);
  const std::map<std::string, std::string>& metadata = result.file.metadata;
  if (!metadata.contains("format") || metadata.at("format") != format) refuse(what + ": it is no checkpoint of this program");
  try {
    const nlohmann::json settings = nlohmann::json::parse(metadata.at("settings"));
    for_each_setting(result.settings, [&](const char* name, auto& value, const char*) { settings.at(name).get_to(value); });
    result.data = DataMark{metadata.at("fingerprint"), metadata.at("alphabet")};
    result.step = nlohmann::json::parse(metadata.at("step")).get<Index>();
    result.settings = checked(result.settings);
  } catch (const std::exception&) {
    refuse(what + ": its metadata are damaged");
  }
  const safetensors::Tensor& training = tensor(result, "history.training");
  const safetensors::Tensor& validation = tensor(result, "history.validation");
  if (result.step < 0 || result.step > result.settings.steps || training.shape != std::vector<Index>{result.step} ||
      validation.shape.size() != 2 || validation.shape[1] != Index(validation_columns)) {
    refuse(what + ": its history does not fit its step");
  }
  result.history.training = training.values;
  for (auto at = validation.values.begin(); at != validation.values.end(); at += validation_columns) {
    result.history.validation.push_back(Validation{at[0], at[1], at[2], at[3]});
  }
  return result;
}

void restore_parameters(const Checkpoint& checkpoint, Network& network) {
  restore(checkpoint, "", network.layout(), network.parameters());
}

void restore_optimizer(const Checkpoint& checkpoint, Network& network) {
  restore(checkpoint, "adamw.first.", network.layout(), network.optimizer().first);
  restore(checkpoint, "adamw.second.", network.layout(), network.optimizer().second);
  network.optimizer().step = checkpoint.step;
}

Settings resumed(const Settings& settings, const std::set<std::string>& given, const Checkpoint& checkpoint) {
  const nlohmann::json wanted = to_json(settings), found = to_json(checkpoint.settings);
  Settings result = checkpoint.settings;
  for (const std::string& name : given) {
    if (name == "learning-rate") {
      result.learning_rate = settings.learning_rate;
    } else if (wanted.at(name) != found.at(name)) {
      refuse("--" + name + " " + wanted.at(name).dump() + ": " + checkpoint.path + " was begun with " + found.at(name).dump());
    }
  }
  return checked(result);
}

}  // namespace program
