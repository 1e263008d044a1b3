// attend: attention of .npy files, forward and, with --grad-output, backward.
#include "npy.hpp"
#include "output.hpp"
#include "problem.hpp"

#include "../support/main.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cmath>
#include <iostream>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace program {
namespace {

const std::vector<std::string> kernels = {"epanechnikov", "biweight", "triweight", "polynomial", "gaussian", "uniform"};

void check_options(const Options& o) {
  const auto belongs = [](bool wanted, bool given, const std::string& flag, const std::string& to) {
    if (wanted && !given) refuse(to + " needs " + flag);
    if (!wanted && given) refuse(flag + " goes with " + to + " only");
  };
  belongs(o.kernel == "polynomial", o.exponent || o.alpha, "--exponent or --alpha", "--kernel polynomial");
  if (o.exponent && o.alpha) refuse("--exponent and --alpha say the same thing; give one");
  belongs(o.normalization == "fixed" || o.normalization == "anchored", o.bandwidth.has_value(), "--bandwidth",
          "--normalization fixed or anchored");
  belongs(o.normalization == "nearest", o.neighbors.has_value(), "--neighbors", "--normalization nearest");
  belongs(o.mask == "window", o.window.has_value(), "--window", "--mask window");

  const auto positive = [](double x) { return x > 0 && std::isfinite(x); };
  if (o.exponent && !positive(*o.exponent)) refuse("--exponent must be positive and finite");
  if (o.alpha && !(*o.alpha > 1 && std::isfinite(*o.alpha))) {
    refuse("--alpha must be finite and exceed 1 (alpha = 1 is --kernel gaussian)");
  }
  if (o.bandwidth && !positive(*o.bandwidth)) refuse("--bandwidth must be positive and finite");
  if (o.scale && !std::isfinite(*o.scale)) refuse("--scale must be finite");
  if (o.scale && o.similarity != "dot" && !positive(*o.scale)) {
    refuse("--scale must be positive with --similarity " + o.similarity);
  }
  if (o.neighbors && *o.neighbors < 1) refuse("--neighbors must be at least 1");
  if (o.window && *o.window < 1) refuse("--window must be at least 1");
  check_threads(o.threads);
}

/// The options that are given as fractions, for a message about them.
std::string fractions(const Options& o) {
  std::ostringstream text;
  const auto add = [&](const char* flag, const std::optional<double>& value) {
    if (value) text << (text.tellp() == 0 ? "" : " ") << flag << ' ' << *value;
  };
  add("--exponent", o.exponent);
  add("--alpha", o.alpha);
  add("--bandwidth", o.bandwidth);
  add("--scale", o.scale);
  return text.str();
}

/// What is a number in double may be none, or 0, in float.
void check_float32(const Options& o) {
  const auto check = [](const char* flag, const std::optional<double>& value, double used) {
    const double size = std::abs(used);
    if (value && used != 0 && (size > static_cast<double>((std::numeric_limits<float>::max)()) || size < static_cast<double>((std::numeric_limits<float>::min)()))) {
      std::ostringstream text;
      text << flag << ' ' << *value << " is out of the range of float32";
      refuse(text.str());
    }
  };
  check("--exponent", o.exponent, o.exponent.value_or(0));
  check("--alpha", o.alpha, o.alpha ? 1 / (*o.alpha - 1) : 0.0);
  check("--scale", o.scale, o.scale.value_or(0));
}

/// The library knows no options: where it refuses their numbers, together or alone, the message gets them.
Result compute(const Problem& in, const Options& o) {
  if (in.query.is_float32()) check_float32(o);
  try {
    return in.query.is_float32() ? run_float32(in, o) : run_float64(in, o);
  } catch (const std::invalid_argument& error) {
    refuse(fractions(o) + ": " + complaint(error));
  }
}

npy::Array load(const std::string& flag, const std::string& path) {
  try {
    npy::Array array = npy::read(path);
    if (array.shape.size() != 2 && array.shape.size() != 4) {
      throw npy::Error("it must be [N, D] or [batch, heads, N, D], and has " + std::to_string(array.shape.size()) +
                       (array.shape.size() == 1 ? " dimension" : " dimensions"));
    }
    return array;
  } catch (const npy::Error& error) {
    refuse(flag + " " + path + ": " + error.what());
  }
}

std::string text(const std::vector<std::size_t>& shape) {
  std::string result = "[";
  for (std::size_t d = 0; d < shape.size(); ++d) result += (d == 0 ? "" : ", ") + std::to_string(shape[d]);
  return result + "]";
}

void check_shapes(const Problem& in) {
  const auto mismatch = [](const std::string& what, const npy::Array& a, const npy::Array& b) {
    refuse(what + ": " + text(a.shape) + " and " + text(b.shape));
  };
  const auto same_kind = [&](const std::string& flag, const npy::Array& other) {
    if (other.item_size != in.query.item_size) refuse("--query and " + flag + " must both be float32 or both float64");
    if (other.shape.size() != in.query.shape.size()) {
      mismatch("--query and " + flag + " must have the same number of dimensions", in.query, other);
    }
  };
  same_kind("--key", in.key);
  same_kind("--value", in.value);
  const Shape q(in.query), k(in.key), v(in.value);
  if (q.batch != k.batch) mismatch("--query and --key must have the same batch size", in.query, in.key);
  if (q.cols != k.cols) mismatch("--query and --key must have the same last dimension", in.query, in.key);
  if (k.batch != v.batch || k.heads != v.heads || k.rows != v.rows) {
    mismatch("--key and --value must agree in all but the last dimension", in.key, in.value);
  }
  if (k.heads == 0 ? q.heads != 0 : q.heads % k.heads != 0) {
    mismatch("the heads of --query must be a multiple of those of --key", in.query, in.key);
  }
  if (!in.grad_output) return;
  same_kind("--grad-output", *in.grad_output);
  std::vector<std::size_t> out = in.query.shape;
  out.back() = in.value.shape.back();
  if (in.grad_output->shape != out) {
    refuse("--grad-output must have the shape of the output, " + text(out) + ", got " + text(in.grad_output->shape));
  }
}

void run(const Options& o) {
  check_options(o);
  Problem in;
  in.query = load("--query", o.query);
  in.key = load("--key", o.key);
  in.value = load("--value", o.value);
  if (o.grad_output) in.grad_output = load("--grad-output", *o.grad_output);
  check_shapes(in);
  Output output(o.output_dir);
  output.open();

  const auto start = std::chrono::steady_clock::now();
  const Result result = compute(in, o);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  for (const auto& [name, array] : result.files) output.stage(name, array);
  // Before the files get their names, so that a failure here leaves no trace either.
  std::cout << nlohmann::json{{"query", in.query.shape},
                              {"key", in.key.shape},
                              {"value", in.value.shape},
                              {"out", result.files.front().second.shape},
                              {"dtype", in.query.is_float32() ? "float32" : "float64"},
                              {"mean_support", result.mean_support},
                              {"empty_rows", result.empty_rows},
                              {"seconds", seconds}}
                   .dump()
            << std::endl;
  if (!std::cout) refuse("standard output cannot be written");
  output.commit();
}

}  // namespace
}  // namespace program

int main(int argc, char** argv) {
  program::Options o;
  CLI::App app{"Attention of .npy files: query, key, value [N, D] or [batch, heads, N, D], float32 or float64."};
  app.add_option("--query", o.query, "query .npy")->required();
  app.add_option("--key", o.key, "key .npy; fewer heads are shared by groups of query heads")->required();
  app.add_option("--value", o.value, "value .npy")->required();
  app.add_option("--grad-output", o.grad_output, "gradient of the output: also write grad_query, grad_key, grad_value");
  app.add_option("--output-dir", o.output_dir, "folder for out.npy and the gradients")->required();
  app.add_option("--kernel", o.kernel, "kernel")->required()->check(CLI::IsMember(program::kernels));
  app.add_option("--exponent", o.exponent, "exponent of the polynomial kernel");
  app.add_option("--alpha", o.alpha, "alpha of the polynomial kernel, 1 + 1/exponent");
  app.add_option("--normalization", o.normalization, "normalization, default adaptive")
      ->check(CLI::IsMember({"adaptive", "fixed", "anchored", "nearest"}));
  app.add_option("--bandwidth", o.bandwidth, "bandwidth for fixed and anchored");
  app.add_option("--neighbors", o.neighbors, "number of neighbours for nearest");
  app.add_option("--similarity", o.similarity, "similarity, default dot")
      ->check(CLI::IsMember({"dot", "cosine", "euclidean"}));
  app.add_option("--scale", o.scale, "scale of the similarity; dot: default 1/sqrt(D), others 1");
  app.add_option("--mask", o.mask, "mask, default none")
      ->check(CLI::IsMember({"none", "causal", "strictly-causal", "window"}));
  app.add_option("--window", o.window, "number of keys that mask window leaves visible");
  app.add_option("--threads", o.threads, "threads that share the work, default 1; the result does not depend on it");
  return program::run_main("attend", app, argc, argv, [&] {
    try {
      program::run(o);
    } catch (const npy::Error& error) {
      // Of an array that was to be made: errors of files have been given the file's name.
      program::refuse(std::string("a result is too large: ") + error.what());
    }
    return 0;
  });
}
