#include "check.hpp"

#include "../support/npy.hpp"
#include "integers.hpp"
#include "kernels.hpp"
#include "../support/files.hpp"

#include <nadaraya/mosaic/cross_entropy.hpp>
#include <nadaraya/mosaic/model.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace program {
namespace {

using nadaraya::Index;
using nadaraya::RowMatrix;
namespace mosaic = nadaraya::mosaic;
namespace fs = std::filesystem;

/// Runs a reader or writer of a file, or what needs its content; what is wrong is told with the file's name.
template <class Work>
auto with_file(const fs::path& path, const Work& work) {
  try {
    return work(path.string());
  } catch (const npy::Error& error) {
    refuse(path.string() + ": " + error.what());
  } catch (const std::invalid_argument& error) {
    refuse(path.string() + ": " + complaint(error));
  }
}

struct Config {
  std::string method;
  mosaic::ModelSize size;
  mosaic::Sequences shape;
};

Config read_config(const fs::path& path) {
  const std::string text = read_file(path.string(), path.string());
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    Config config;
    config.method = json.at("method").get<std::string>();
    config.size = mosaic::ModelSize{json.at("vocab").get<Index>(), json.at("layers").get<Index>(),
                                    json.at("heads").get<Index>(), json.at("embedding").get<Index>(),
                                    json.at("persistent_memory").get<Index>()};
    config.shape = mosaic::Sequences{json.at("batch").get<Index>(), json.at("block").get<Index>()};
    return config;
  } catch (const nlohmann::json::parse_error& error) {
    refuse(path.string() + ": it is no JSON at byte " + std::to_string(error.byte));
  } catch (const nlohmann::json::exception&) {
    refuse(path.string() +
           ": it needs method, a text, and the whole numbers vocab, layers, heads, embedding, persistent_memory, batch and block");
  }
}

mosaic::Model<double> make_model(const fs::path& path, const Config& config) {
  if (config.shape.count < 0 || config.shape.length < 0) refuse(path.string() + ": batch and block must be at least 0");
  return with_file(path, [&](const std::string& name) {
    try {
      return mosaic::Model<double>(config.size, checking_kernel(config.method));
    } catch (const UsageError& error) {
      refuse(name + ": " + error.what());
    }
  });
}

std::vector<int> read_tokens(const fs::path& path, const mosaic::Sequences& shape) {
  const npy::Integers tokens = with_file(path, [](const std::string& name) { return npy::read_integers(name); });
  if (tokens.shape != std::vector<std::size_t>{static_cast<std::size_t>(shape.count), static_cast<std::size_t>(shape.length)}) {
    refuse(path.string() + ": it is not of the batch and block that config.json announces");
  }
  return tokens.values;
}

std::vector<std::size_t> unsigned_shape(const std::vector<Index>& shape) {
  return std::vector<std::size_t>(shape.begin(), shape.end());
}

void read_parameters(const fs::path& folder, const mosaic::Layout& layout, mosaic::Parameters<double>& parameters) {
  for (const mosaic::Layout::Entry& entry : layout.entries()) {
    const fs::path path = folder / ("param." + entry.name + ".npy");
    const npy::Array array = with_file(path, [](const std::string& name) { return npy::read(name); });
    if (array.is_float32() || array.shape != unsigned_shape(entry.shape)) {
      refuse(path.string() + ": it is not float64 of the shape that config.json implies");
    }
    std::copy_n(array.data<double>(), entry.slot.size(), parameters[entry.slot].data());
  }
}

void write(const fs::path& path, const std::vector<std::size_t>& shape, const double* data) {
  with_file(path, [&](const std::string& name) {
    npy::Array array = npy::zeros<double>(shape);
    std::copy_n(data, npy::count(shape, sizeof(double)), array.data<double>());
    npy::write(name, array);
  });
}

}  // namespace

void check(const std::string& fixture, const std::string& output, int threads) {
  const fs::path from(fixture), to(output);
  const Config config = read_config(from / "config.json");
  const mosaic::Model<double> model = make_model(from / "config.json", config);
  const std::vector<int> tokens = read_tokens(from / "tokens.npy", config.shape);
  const std::vector<int> targets = read_tokens(from / "targets.npy", config.shape);
  mosaic::Parameters<double> parameters(model.layout()), grads(model.layout());
  read_parameters(from, model.layout(), parameters);

  const nadaraya::Threads executor{threads};
  mosaic::Model<double>::Tape tape;
  with_file(from / "tokens.npy", [&](const std::string&) { model.forward(parameters, tokens, config.shape, tape, executor); });
  RowMatrix<double> grad_logits;
  const double loss = with_file(from / "targets.npy", [&](const std::string&) {
    return mosaic::cross_entropy(tape.logits, std::span<const int>(targets), &grad_logits, executor);
  });
  model.backward(parameters, tape, grad_logits, grads, executor);

  make_folder(output, output);
  write(to / "logits.npy", unsigned_shape({config.shape.count, config.shape.length, config.size.vocabulary}), tape.logits.data());
  for (const mosaic::Layout::Entry& entry : model.layout().entries()) {
    write(to / ("grad." + entry.name + ".npy"), unsigned_shape(entry.shape), grads[entry.slot].data());
  }
  write(to / "loss.npy", {}, &loss);
  std::cout << nlohmann::json{{"method", config.method}, {"loss", loss}, {"parameters", parameters.size()}}.dump() << std::endl;
  if (!std::cout) refuse("standard output cannot be written");
}

}  // namespace program
