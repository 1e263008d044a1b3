// attend: attention of .npy files, forward and, with --grad-output, backward.
#include "npy.hpp"

#include <nadaraya/nadaraya.hpp>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace nadaraya;

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] void refuse(const std::string& message) { throw UsageError(message); }

struct Options {
  std::string query, key, value, grad_output, output_dir;
  std::string kernel, normalization = "adaptive", similarity = "dot", mask = "none";
  std::optional<double> exponent, alpha, bandwidth, scale;
  std::optional<Index> neighbors, window;
  int threads = 1;
};

/// The mask named on the command line: each is a range of keys.
struct RangeMask {
  std::string name;
  Index window = 0;

  KeyRange range(Index query, const Extent& n) const {
    if (name == "causal") return Causal{}.range(query, n);
    if (name == "strictly-causal") return StrictlyCausal{}.range(query, n);
    if (name == "window") return SlidingWindow{window}.range(query, n);
    return NoMask{}.range(query, n);
  }
};

npy::Array load(const std::string& argument, const std::string& path) {
  try {
    npy::Array array = npy::read(path);
    if (array.shape.size() != 2 && array.shape.size() != 4) {
      throw npy::Error("it must be [N, D] or [batch, heads, N, D], and has " + std::to_string(array.shape.size()) +
                       " dimensions");
    }
    return array;
  } catch (const npy::Error& error) {
    refuse(argument + " " + path + ": " + error.what());
  }
}

std::string text(const std::vector<std::size_t>& shape) {
  std::string result = "[";
  for (std::size_t d = 0; d < shape.size(); ++d) result += (d == 0 ? "" : ", ") + std::to_string(shape[d]);
  return result + "]";
}

/// Four dimensions whatever the rank.
struct Shape {
  Index batch, heads, rows, cols;
  explicit Shape(const npy::Array& a) {
    const auto at = [&](std::size_t d) { return static_cast<Index>(a.shape[d]); };
    const bool four = a.shape.size() == 4;
    batch = four ? at(0) : 1;
    heads = four ? at(1) : 1;
    rows = at(four ? 2 : 0);
    cols = at(four ? 3 : 1);
  }
};

template <class Scalar>
auto head(npy::Array& a, const Shape& s, Index b, Index h) {
  return Eigen::Map<RowMatrix<Scalar>>(a.data<Scalar>() + (b * s.heads + h) * s.rows * s.cols, s.rows, s.cols);
}

struct Problem {
  npy::Array query, key, value, grad_output;
  bool backward = false;
};

struct Result {
  std::vector<std::pair<std::string, npy::Array>> files;
  double support = 0;
  Index empty_rows = 0;
};

template <class Scalar, class Op>
Result compute(Problem& in, const Op& op) {
  const Shape q(in.query), k(in.key), v(in.value);
  std::vector<std::size_t> out_shape = in.query.shape;
  out_shape.back() = in.value.shape.back();
  npy::Array out = npy::zeros<Scalar>(out_shape);
  npy::Array grad_query = npy::zeros<Scalar>(in.query.shape);
  npy::Array grad_key = npy::zeros<Scalar>(in.key.shape);
  npy::Array grad_value = npy::zeros<Scalar>(in.value.shape);
  const Shape o(out);
  Result result;
  for (Index b = 0; b < q.batch; ++b) {
    for (Index h = 0; h < q.heads; ++h) {
      const Index hk = h * k.heads / q.heads;
      const auto tape = op.forward(head<Scalar>(in.query, q, b, h), head<Scalar>(in.key, k, b, hk),
                                   head<Scalar>(in.value, v, b, hk), head<Scalar>(out, o, b, h));
      result.support += tape.mean_support();
      result.empty_rows += tape.empty_rows();
      if (in.backward) {
        const auto grads = op.backward(tape, head<Scalar>(in.grad_output, o, b, h));
        head<Scalar>(grad_query, q, b, h) = grads.query;
        head<Scalar>(grad_key, k, b, hk) += grads.key;
        head<Scalar>(grad_value, v, b, hk) += grads.value;
      }
    }
  }
  if (q.batch * q.heads > 0) result.support /= static_cast<double>(q.batch * q.heads);
  result.files.emplace_back("out", std::move(out));
  if (in.backward) {
    result.files.emplace_back("grad_query", std::move(grad_query));
    result.files.emplace_back("grad_key", std::move(grad_key));
    result.files.emplace_back("grad_value", std::move(grad_value));
  }
  return result;
}

template <class K, class N, class S>
Result with_scalar(Problem& in, const K& kernel, const N& normalization, const S& similarity, const RangeMask& mask) {
  const NadarayaWatson op(kernel, normalization, similarity, mask);
  return in.query.is_float32() ? compute<float>(in, op) : compute<double>(in, op);
}

template <class K, class S>
Result with_similarity(Problem& in, const Options& o, const K& kernel, const S& similarity) {
  const RangeMask mask{o.mask, o.window.value_or(1)};
  constexpr bool metric = MetricSimilarity<S>;
  if (o.normalization == "adaptive") {
    if constexpr (AdaptiveKernel<K>) {
      return with_scalar(in, kernel, Adaptive{}, similarity, mask);
    } else {
      refuse("--kernel uniform has no --normalization adaptive: its profile jumps; use fixed, anchored or nearest");
    }
  }
  if (o.normalization == "anchored") return with_scalar(in, kernel, Anchored{*o.bandwidth}, similarity, mask);
  if (o.normalization == "fixed") {
    if constexpr (metric) {
      return with_scalar(in, kernel, FixedBandwidth{*o.bandwidth}, similarity, mask);
    } else {
      refuse("--normalization fixed compares distances and --similarity dot is none; use cosine or euclidean");
    }
  }
  if constexpr (metric || !NearestNeighbors::borrows_bandwidth<K>) {
    return with_scalar(in, kernel, NearestNeighbors{*o.neighbors}, similarity, mask);
  } else {
    refuse("--normalization nearest takes the bandwidth of --kernel " + o.kernel +
           " from distances and --similarity dot is none; use cosine or euclidean, or kernel gaussian or uniform");
  }
}

template <class K>
Result with_kernel(Problem& in, const Options& o, const K& kernel) {
  if (o.similarity == "cosine") return with_similarity(in, o, kernel, Cosine{o.scale.value_or(1.0)});
  if (o.similarity == "euclidean") return with_similarity(in, o, kernel, SquaredDistance{o.scale.value_or(1.0)});
  return with_similarity(in, o, kernel, DotProduct{o.scale});
}

Result dispatch(Problem& in, const Options& o) {
  if (o.kernel == "epanechnikov") return with_kernel(in, o, Epanechnikov{});
  if (o.kernel == "biweight") return with_kernel(in, o, Biweight{});
  if (o.kernel == "triweight") return with_kernel(in, o, Triweight{});
  if (o.kernel == "gaussian") return with_kernel(in, o, Gaussian{});
  if (o.kernel == "uniform") return with_kernel(in, o, Uniform{});
  return with_kernel(in, o, o.alpha ? RectifiedPower::from_alpha(*o.alpha) : RectifiedPower{*o.exponent});
}

void check_options(const Options& o) {
  const auto pair = [](bool needed, bool given, const std::string& flag, const std::string& by) {
    if (needed && !given) refuse(by + " needs " + flag);
    if (!needed && given) refuse(flag + " goes with " + by + " only");
  };
  pair(o.kernel == "polynomial", o.exponent || o.alpha, "--exponent or --alpha", "--kernel polynomial");
  if (o.exponent && o.alpha) refuse("--exponent and --alpha say the same thing; give one");
  pair(o.normalization == "fixed" || o.normalization == "anchored", o.bandwidth.has_value(), "--bandwidth",
       "--normalization fixed or anchored");
  pair(o.normalization == "nearest", o.neighbors.has_value(), "--neighbors", "--normalization nearest");
  pair(o.mask == "window", o.window.has_value(), "--window", "--mask window");
  if (o.window && *o.window < 1) refuse("--window must be at least 1");
  if (o.neighbors && *o.neighbors < 1) refuse("--neighbors must be at least 1");
  if (o.bandwidth && !(*o.bandwidth > 0)) refuse("--bandwidth must be positive");
  if (o.exponent && !(*o.exponent > 0)) refuse("--exponent must be positive");
  if (o.alpha && !(*o.alpha > 1)) refuse("--alpha must exceed 1 (alpha = 1 is --kernel gaussian)");
  if (o.threads < 1) refuse("--threads must be at least 1");
}

void check_shapes(const Problem& in) {
  const auto mismatch = [](const std::string& what, const npy::Array& a, const npy::Array& b) {
    refuse(what + ": " + text(a.shape) + " and " + text(b.shape));
  };
  const auto same_kind = [&](const std::string& name, const npy::Array& other) {
    if (other.item_size != in.query.item_size) refuse("--query and " + name + " must both be float32 or both float64");
    if (other.shape.size() != in.query.shape.size()) mismatch("--query and " + name + " must have the same rank", in.query, other);
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
  if (!in.backward) return;
  same_kind("--grad-output", in.grad_output);
  const Shape g(in.grad_output);
  if (g.batch != q.batch || g.heads != q.heads || g.rows != q.rows || g.cols != v.cols) {
    std::vector<std::size_t> shape = in.query.shape;
    shape.back() = in.value.shape.back();
    refuse("--grad-output must have the shape of the output, " + text(shape) + ", got " + text(in.grad_output.shape));
  }
}

/// Everything is written under temporary names before the first file gets its own.
void write_all(const std::string& folder, const Result& result) {
  namespace fs = std::filesystem;
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure || !fs::is_directory(folder)) refuse("--output-dir " + folder + ": it cannot be made");
  std::vector<std::pair<fs::path, fs::path>> renames;
  for (const auto& [name, array] : result.files) {
    const fs::path target = fs::path(folder) / (name + ".npy");
    fs::path part = target;
    part += ".part";
    renames.emplace_back(part, target);
    try {
      npy::write(part.string(), array);
    } catch (const npy::Error& error) {
      for (const auto& [written, unused] : renames) fs::remove(written, failure);
      refuse("--output-dir " + folder + ": " + name + ".npy: " + error.what());
    }
  }
  for (const auto& [part, target] : renames) {
    fs::rename(part, target, failure);
    if (failure) refuse("--output-dir " + folder + ": " + target.filename().string() + " cannot be put in place");
  }
}

void run(const Options& o) {
  check_options(o);
  Problem in;
  in.query = load("--query", o.query);
  in.key = load("--key", o.key);
  in.value = load("--value", o.value);
  in.backward = !o.grad_output.empty();
  if (in.backward) in.grad_output = load("--grad-output", o.grad_output);
  check_shapes(in);

  const auto start = std::chrono::steady_clock::now();
  const Result result = dispatch(in, o);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  write_all(o.output_dir, result);
  std::cout << nlohmann::json{{"query", in.query.shape},
                              {"key", in.key.shape},
                              {"value", in.value.shape},
                              {"out", result.files.front().second.shape},
                              {"dtype", in.query.is_float32() ? "float32" : "float64"},
                              {"mean_support", result.support},
                              {"empty_rows", result.empty_rows},
                              {"seconds", seconds}}
                   .dump()
            << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"Attention of .npy files: query, key, value [N, D] or [batch, heads, N, D], float32 or float64."};
  app.add_option("--query", o.query, "query .npy")->required();
  app.add_option("--key", o.key, "key .npy; fewer heads are shared by groups of query heads")->required();
  app.add_option("--value", o.value, "value .npy")->required();
  app.add_option("--grad-output", o.grad_output, "gradient of the output: also write grad_query, grad_key, grad_value");
  app.add_option("--output-dir", o.output_dir, "folder for out.npy and the gradients")->required();
  app.add_option("--kernel", o.kernel, "kernel")
      ->required()
      ->check(CLI::IsMember({"epanechnikov", "biweight", "triweight", "polynomial", "gaussian", "uniform"}));
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
  app.add_option("--threads", o.threads, "threads; the result does not depend on it, and one is used so far");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    std::cerr << "attend: " << error.what() << '\n';
    return 2;
  }
  try {
    run(o);
  } catch (const std::exception& error) {
    std::cerr << "attend: " << error.what() << '\n';
    return 2;
  }
  return 0;
}
