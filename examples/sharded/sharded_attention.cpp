// sharded_attention: attention over keys that are spread over the ranks of an MPI job.
#include "decode.hpp"
#include "files.hpp"
#include "job.hpp"
#include "model.hpp"
#include "options.hpp"

#include "../support/attention_flags.hpp"
#include "../support/main.hpp"
#include "../support/usage.hpp"

#include <nadaraya/sharded/mpi.hpp>

#include <string>
#include <utility>

namespace program {
namespace {

void check(const Options& o) {
  as_usage([&] { o.op.validate(); });
  check_threads(o.threads);
  if (!o.tokens) {
    if (o.model || o.weak_scaling) refuse("--model and --weak-scaling go with --tokens only");
    for (const auto& [name, value] : {std::pair("--query", &o.query), std::pair("--key", &o.key), std::pair("--value", &o.value),
                                      std::pair("--output-dir", &o.output_dir)}) {
      if (value->empty()) refuse(std::string(name) + " is required, or --tokens");
    }
    return;
  }
  if (!o.query.empty() || !o.key.empty() || !o.value.empty() || o.grad_output) refuse("--tokens goes with no arrays of files");
  if (!o.output_dir.empty() && !o.model) refuse("--tokens writes files with --model only");
  if (o.model && o.weak_scaling) refuse("--model and --weak-scaling exclude each other");
  for (const auto& [name, value] : {std::pair("--tokens", *o.tokens), std::pair("--calls", o.calls), std::pair("--batch", o.batch), std::pair("--dim", o.dim),
                                    std::pair("--value-dim", o.value_dim), std::pair("--page", o.page), std::pair("--most-ranks", o.most_ranks)}) {
    if (value < 1) refuse(std::string(name) + " must be at least 1");
  }
  if (o.check < 0) refuse("--check must not be negative");
}

void run(Ranks& ranks, const Options& o) {
  if (!o.tokens) {
    run_files(ranks, o);
  } else if (o.model) {
    run_model(ranks, o);
  } else if (o.weak_scaling) {
    run_weak_scaling(ranks, o);
  } else {
    run_decode(ranks, o);
  }
}

}  // namespace
}  // namespace program

int main(int argc, char** argv) {
  const program::Job job(argc, argv);
  program::Options o;
  CLI::App app{
      "Attention over keys that are spread over the ranks of an MPI job: of arrays in .npy files, as attend computes it, or, "
      "with --tokens, of generated keys, one query after the other."};
  program::add_array_flags(app, o, false, "FILE.npy");
  program::add_operator_flags(app, o.op);
  app.add_option("--threads", o.threads, "threads of each process, default 1");
  app.add_flag("--sum-values", o.sum_values, "let ranks send sums of their values, and not the values of candidates");
  app.add_option("--tokens", o.tokens, "number of keys and values to generate; with --weak-scaling, on every rank");
  app.add_option("--calls", o.calls, "number of calls, one after the other, default 16");
  app.add_option("--batch", o.batch, "generated queries of a call, default 1");
  app.add_option("--dim", o.dim, "length of generated keys, default 64");
  app.add_option("--value-dim", o.value_dim, "length of generated values, default 64");
  app.add_option("--page", o.page, "tokens that follow each other on a rank, default 64");
  app.add_option("--seed", o.seed, "seed of generated numbers, default 1");
  app.add_option("--check", o.check, "calls that rank 0 computes alone as well, with all keys in its memory, default 4");
  app.add_flag("--weak-scaling", o.weak_scaling, "print the time of a query on 1, 2, 4, ... ranks with --tokens keys on each");
  app.add_flag("--model", o.model,
               "count messages on 1, 2, 4, ... ranks, and print their time on links between machines; --output-dir gets a picture "
               "and a JSON file");
  app.add_option("--most-ranks", o.most_ranks, "where --model ends, default 1024");
  return program::run_main("sharded_attention", app, argc, argv, [&] {
    program::check(o);
    program::Ranks ranks(MPI_COMM_WORLD);
    program::as_usage([&] { program::run(ranks, o); });
    return 0;
  });
}
