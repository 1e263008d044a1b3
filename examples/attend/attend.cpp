// attend: attention of arrays in files, forward and, with --grad-output, backward.
#include "input.hpp"
#include "npy.hpp"
#include "output.hpp"
#include "problem.hpp"
#include "weights.hpp"

#include "../support/main.hpp"

#include <nlohmann/json.hpp>

#include <iostream>
#include <string>
#include <vector>

namespace program {
namespace {

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

void check_plot(const Problem& in, const Options& o) {
  const Shape q(in.query), k(in.key);
  const Index heads = q.batch * q.heads, head = o.plot_head.value_or(0);
  if (head < 0 || head >= heads) {
    refuse("--plot-head must lie between 0 and " + std::to_string(heads - 1) + ", of " + std::to_string(heads) + " heads, got " +
           std::to_string(head));
  }
  if (q.rows == 0 || k.rows == 0) refuse("--plot " + *o.plot + ": there are no weights to draw");
}

std::string plot(const Problem& in, const Options& o, const Weights& weights) {
  const Index queries = Shape(in.query).rows, head = o.plot_head.value_or(0);
  return picture(weights, head * queries, queries, o.op.kernel + ", head " + std::to_string(head), "--plot " + *o.plot);
}

void run(const Options& o) {
  as_usage([&] { o.op.validate(); });
  check_threads(o.threads);
  if (o.plot_head && !o.plot) refuse("--plot-head goes with --plot only");
  Problem in;
  in.query = load("--query", o.query);
  in.key = load("--key", o.key);
  in.value = load("--value", o.value);
  if (o.grad_output) in.grad_output = load("--grad-output", *o.grad_output);
  check_shapes(in);
  if (o.plot) check_plot(in, o);
  Output output(o.output_dir);
  output.open();

  const Result result = as_usage([&] { return in.query.is_float32() ? run_float32(in, o) : run_float64(in, o); });
  for (const auto& [name, array] : result.files) output.stage(name, array);
  if (o.weights) output.stage("--weights", *o.weights, npz(*result.weights));
  if (o.plot) output.stage("--plot", *o.plot, plot(in, o, *result.weights));
  // Before the files get their names, so that a failure here leaves no trace either.
  std::cout << nlohmann::json{{"query", in.query.shape},
                              {"key", in.key.shape},
                              {"value", in.value.shape},
                              {"out", result.files.front().second.shape},
                              {"dtype", in.query.is_float32() ? "float32" : "float64"},
                              {"mean_support", result.mean_support},
                              {"empty_rows", result.empty_rows},
                              {"seconds", result.seconds}}
                   .dump()
            << std::endl;
  if (!std::cout) refuse("standard output cannot be written");
  output.commit();
}

}  // namespace
}  // namespace program

int main(int argc, char** argv) {
  program::Options o;
  CLI::App app{
      "Attention of arrays: query, key, value [N, D] or [batch, heads, N, D], float32 or float64, float16 or bfloat16 (as "
      "float32). An ARRAY is FILE.npy, or FILE.safetensors:NAME."};
  app.add_option("--query", o.query, "query")->required()->type_name("ARRAY");
  app.add_option("--key", o.key, "key; fewer heads are shared by groups of query heads")->required()->type_name("ARRAY");
  app.add_option("--value", o.value, "value")->required()->type_name("ARRAY");
  app.add_option("--grad-output", o.grad_output, "gradient of the output: also write grad_query, grad_key, grad_value")
      ->type_name("ARRAY");
  app.add_option("--output-dir", o.output_dir, "folder for out.npy and the gradients")->required();
  app.add_option("--kernel", o.op.kernel, "kernel")->required()->check(CLI::IsMember(nadaraya::OperatorOptions::kernels));
  app.add_option("--exponent", o.op.exponent, "exponent of the polynomial kernel");
  app.add_option("--alpha", o.op.alpha, "alpha of the polynomial kernel, 1 + 1/exponent");
  app.add_option("--normalization", o.op.normalization, "normalization, default adaptive")
      ->check(CLI::IsMember(nadaraya::OperatorOptions::normalizations));
  app.add_option("--bandwidth", o.op.bandwidth, "bandwidth for fixed, anchored and unnormalized");
  app.add_option("--mass", o.op.mass, "what unnormalized divides by, default 1");
  app.add_option("--neighbors", o.op.neighbors, "number of neighbours for nearest");
  app.add_option("--similarity", o.op.similarity, "similarity, default dot")
      ->check(CLI::IsMember(nadaraya::OperatorOptions::similarities));
  app.add_option("--scale", o.op.scale, "scale of the similarity; dot: default 1/sqrt(D), others 1");
  app.add_option("--mask", o.op.mask, "mask, default none")
      ->check(CLI::IsMember(nadaraya::OperatorOptions::masks));
  app.add_option("--window", o.op.window, "number of keys that mask window leaves visible");
  app.add_option("--threads", o.threads, "threads that share the work, default one for each processor; the result does not depend on it");
  app.add_option("--weights", o.weights,
                 "also write the weights of all heads as FILE.npz for scipy.sparse.load_npz: a row for each query of each head, "
                 "a column for each key")
      ->type_name("FILE.npz");
  app.add_option("--plot", o.plot, "also draw the weights of a head, by gnuplot")->type_name("FILE.svg");
  app.add_option("--plot-head", o.plot_head, "the head to draw, counted through all batch entries, default 0");
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
