// attend: attention of arrays in files, forward and, with --grad-output, backward.
#include "input.hpp"
#include "problem.hpp"
#include "weights.hpp"

#include "../support/attention_arrays.hpp"
#include "../support/attention_flags.hpp"
#include "../support/main.hpp"
#include "../support/npy.hpp"
#include "../support/output.hpp"

#include <nlohmann/json.hpp>

#include <iostream>
#include <string>

namespace program {
namespace {

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
  check_shapes(in.query, in.key, in.value, in.grad_output);
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
  program::add_array_flags(app, o, true, "ARRAY");
  program::add_operator_flags(app, o.op);
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
