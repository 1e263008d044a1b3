#include "model.hpp"

#include "decoder.hpp"
#include "job.hpp"
#include "links.hpp"
#include "measure.hpp"
#include "progress.hpp"

#include "../support/files.hpp"
#include "../support/gnuplot.hpp"
#include "../support/usage.hpp"

#include <nadaraya/sharded/in_process.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

namespace program {
namespace {

/// What one query costs on a number of ranks.
struct Case {
  std::string name;
  int ranks = 1;
  std::vector<Round> rounds;
  bool counted = true;
  std::optional<double> on_job = {};  ///< bytes received, counted on the ranks of the job
};

struct Protocol {
  std::string name;
  Options options;
};

std::vector<Protocol> protocols(const Options& o) {
  Protocol values{o.op.kernel + ", values gathered", o}, sums{o.op.kernel + ", values summed", o}, softmax{"gaussian", o};
  values.options.sum_values = false;
  sums.options.sum_values = true;
  softmax.options.op = nadaraya::OperatorOptions{.spelling = o.op.spelling};
  softmax.options.op.kernel = "gaussian";
  softmax.options.op.scale = o.op.scale;
  softmax.options.sum_values = true;
  return {values, sums, softmax};
}

Cache part(const Options& o, int rank, int size) {
  Cache cache = make_cache(o, rank, size);
  append(cache, o, 0, *o.tokens);
  return cache;
}

/// Counted on threads of this process.
std::vector<Round> in_process(const Options& o, int size) {
  const Decode decode = make_decode(o);
  std::vector<Round> rounds;
  nadaraya::sharded::run_ranks(size, [&](nadaraya::sharded::InProcessRank& rank) {
    Recorder recorder(rank);
    const Measured measured = measure(recorder, o, decode, part(o, rank.rank(), size));
    if (rank.rank() == 0) rounds = measured.rounds;
  });
  return rounds;
}

void print(const Options& o, const std::vector<Case>& cases) {
  std::cout << "A call, of " << unit(o) << ": bytes that a rank receives and rounds, counted; microseconds of its messages on links, computed\n";
  char line[160];
  std::snprintf(line, sizeof line, "%-28s %6s %8s %14s %18s %18s\n", "", "ranks", "rounds", "bytes", links[0].name, links[1].name);
  std::cout << line;
  for (const Case& one : cases) {
    std::snprintf(line, sizeof line, "%-28s %6d %8zu %14.0f %18.0f %18.0f\n", one.name.c_str(), one.ranks, one.rounds.size(),
                  received(one.rounds), 1e6 * seconds(one.rounds, one.ranks, links[0]), 1e6 * seconds(one.rounds, one.ranks, links[1]));
    std::cout << line;
  }
}

nlohmann::json json(const Options& o, const std::vector<Case>& cases) {
  nlohmann::json all{{"tokens", *o.tokens}, {"dim", o.dim}, {"value_dim", o.value_dim}, {"calls", o.calls}, {"batch", o.batch},
                     {"kernel", o.op.kernel}, {"cases", nlohmann::json::array()}};
  for (const Case& one : cases) {
    nlohmann::json entry{{"protocol", one.name}, {"ranks", one.ranks}, {"bytes_received", received(one.rounds)},
                         {"counted", one.counted}, {"rounds", nlohmann::json::array()}};
    for (const Round& round : one.rounds) {
      entry["rounds"].push_back({{"function", round.function}, {"sent", round.sent}, {"received", round.received}});
    }
    if (one.on_job) entry["bytes_received_mpi"] = *one.on_job;
    for (const Link& link : links) entry["seconds"][link.name] = seconds(one.rounds, one.ranks, link);
    all["cases"].push_back(entry);
  }
  return all;
}

void draw(const std::string& folder, const std::vector<Case>& cases) {
  std::vector<std::string> names;
  std::string data, plots;
  for (const Case& one : cases) {
    if (std::find(names.begin(), names.end(), one.name) == names.end()) names.push_back(one.name);
  }
  for (std::size_t n = 0; n < names.size(); ++n) {
    data += "$case" + std::to_string(n) + " << EOD\n";
    for (const Case& one : cases) {
      if (one.name != names[n] || one.ranks == 1) continue;
      data += std::to_string(one.ranks) + ' ' + gnuplot::number(received(one.rounds)) + '\n';
    }
    data += "EOD\n";
    plots += (n == 0 ? "plot " : ", ") + std::string("$case") + std::to_string(n) + " using 1:2 with linespoints lw 2 pt 7 title " +
             gnuplot::label(names[n]) + " noenhanced";
  }
  const std::string script =
      "set terminal svg size 760,460 background 'white' enhanced font 'sans-serif,13'\nset output 'traffic.svg'\n"
      "set logscale xy\nset format y '10^{%T}'\nset xlabel 'ranks'\nset ylabel 'bytes that a rank receives in a call'\n"
      "set key top left\nset grid\nset xrange [1.8:1150]\nset xtics (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)\n" +
      data + plots + '\n';
  if (!gnuplot::draw(folder, "traffic.gnuplot", script, {"traffic.svg"}, "--output-dir " + folder)) {
    refuse("--output-dir " + folder + ": " + gnuplot::advice(folder, "traffic.gnuplot"));
  }
}

}  // namespace

void run_model(Ranks& ranks, const Options& o) {
  std::vector<Case> cases;
  for (const Protocol& protocol : protocols(o)) {
    // The groups of the job, by MPI.
    std::vector<double> on_job;
    for (int size = 1; size <= ranks.size(); size *= 2) {
      Group group(ranks, size);
      agree(ranks, [&] {
        if (group.ranks() == nullptr) return;
        Decode decode;
        std::optional<Cache> cache;
        agree(*group.ranks(), [&] {
          decode = make_decode(protocol.options);
          cache.emplace(part(protocol.options, ranks.rank(), size));
        });
        Recorder recorder(*group.ranks());
        on_job.push_back(received(measure(recorder, protocol.options, decode, *cache).rounds));
      });
    }
    agree(ranks, [&] {
      if (ranks.rank() != 0) return;
      Progress progress(protocol.name + ": ranks counted", o.most_ranks);
      for (int size = 1, n = 0; size <= o.most_ranks; size *= 2, ++n) {
        Case one{protocol.name, size, in_process(protocol.options, size)};
        if (static_cast<std::size_t>(n) < on_job.size()) one.on_job = on_job[static_cast<std::size_t>(n)];
        cases.push_back(one);
        progress.show(size);
      }
    });
  }
  agree(ranks, [&] {
    if (ranks.rank() != 0) return;
    for (int size = 1; size <= o.most_ranks; size *= 2) {
      cases.push_back({"softmax, one tree", size, softmax_tree(size, static_cast<double>(o.batch * (o.value_dim + 2))), false});
    }
    print(o, cases);
    if (o.output_dir.empty()) return;
    make_folder(o.output_dir, "--output-dir " + o.output_dir);
    write_file(o.output_dir + "/traffic.json", json(o, cases).dump(2) + '\n', "--output-dir " + o.output_dir + ": traffic.json");
    draw(o.output_dir, cases);
  });
}

}  // namespace program
