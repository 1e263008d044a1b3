// text_memory: a language model without training. Every position of a text is remembered as a key
// (the characters before it) and a value (the next character); the next character of held-out text is
// predicted by kernel regression over that memory.
#include "memory.hpp"

#include "../support/files.hpp"
#include "../support/gnuplot.hpp"
#include "../support/main.hpp"

#include <unistd.h>

#include <Eigen/SparseCore>

#include <chrono>
#include <cstdio>
#include <functional>
#include <future>
#include <iostream>
#include <thread>

namespace {

using namespace nadaraya;
namespace tm = text_memory;

struct Options {
  std::string text = TEXT_MEMORY_DATA;
  std::string output_dir = "text_memory_out";
  Index memory = 200000;
  Index validation = 200;
  Index test = 400;
};

/// The memory, and the positions to predict.
struct Problem {
  RowMatrix<float> key, value;
  RowMatrix<float> validation_query, test_query;
  std::vector<int> validation_next, test_next;
  Eigen::RowVectorXf unigram;
};

struct Score {
  double bits = 0;
  double support = 0;
  Index empty = 0;
};

/// Bits per character of a prediction with 5 % of the unigram mixed in, so that no character is
/// impossible; a query without support falls back to the unigram alone. The queries are shared out
/// over the cores.
template <class Op>
Score evaluate(const Op& op, const Problem& in, const RowMatrix<float>& query, const std::vector<int>& next) {
  const auto cores = static_cast<Index>(std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::future<Score>> parts;
  for (Index part = 0; part < cores; ++part) {
    const Index first = query.rows() * part / cores;
    const Index count = query.rows() * (part + 1) / cores - first;
    parts.push_back(std::async(std::launch::async, [&op, &in, &query, &next, first, count] {
      RowMatrix<float> out;
      const auto tape = op.forward(query.middleRows(first, count), in.key, in.value, out);
      Score score;
      for (Index i = 0; i < count; ++i) {
        const int c = next[static_cast<std::size_t>(first + i)];
        const bool empty = tape.support_size(i) == 0;
        const float p = empty ? in.unigram(c) : 0.95f * out(i, c) + 0.05f * in.unigram(c);
        score.bits -= std::log2(static_cast<double>(p));
        score.support += static_cast<double>(tape.support_size(i));
        score.empty += empty ? 1 : 0;
      }
      return score;
    }));
  }
  Score score;
  for (auto& part : parts) {
    const Score s = part.get();
    score.bits += s.bits / static_cast<double>(query.rows());
    score.support += s.support / static_cast<double>(query.rows());
    score.empty += s.empty;
  }
  return score;
}

/// One line of the table: chooses the parameter on the validation part, then scores the test part.
template <class Make>
auto contest(const std::string& name, const char* parameter, const std::vector<double>& grid, const Make& make,
             const Problem& in) {
  const auto start = std::chrono::steady_clock::now();
  double best = grid.front();
  double best_bits = 1e300;
  for (const double x : grid) {
    if (isatty(STDERR_FILENO) != 0) std::cerr << "\r\033[K" << name << ": " << parameter << " = " << x << std::flush;
    const double bits = evaluate(make(x), in, in.validation_query, in.validation_next).bits;
    if (bits < best_bits) {
      best_bits = bits;
      best = x;
    }
  }
  const auto op = make(best);
  const Score score = evaluate(op, in, in.test_query, in.test_next);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (isatty(STDERR_FILENO) != 0) std::cerr << "\r\033[K" << std::flush;
  std::printf("%-34s %-10s %6g   %6.3f %13.1f %6td %8.1f\n", name.c_str(), parameter, best, score.bits, score.support,
              score.empty, seconds);
  std::fflush(stdout);
  return op;
}

/// The weights of one query, largest first.
template <class Op>
std::vector<std::pair<float, Index>> attended(const Op& op, const Problem& in, Index query) {
  const auto weights = op.weights(in.test_query.row(query), in.key);
  std::vector<std::pair<float, Index>> sorted;
  for (typename std::decay_t<decltype(weights)>::InnerIterator it(weights, 0); it; ++it) {
    sorted.emplace_back(it.value(), it.col());
  }
  std::sort(sorted.rbegin(), sorted.rend());
  return sorted;
}

std::string printable(std::string text) {
  for (char& c : text) c = c == '\n' ? ' ' : c;
  return text;
}

void run(const Options& o) {
  const auto at_least_one = [](Index value, const char* name) {
    if (value < 1) program::refuse(std::string(name) + " must be at least 1");
  };
  at_least_one(o.memory, "--memory");
  at_least_one(o.validation, "--validation");
  at_least_one(o.test, "--test");
  const std::string what = "--text " + o.text;
  std::string text = program::read_file(o.text, what);
  // Each alone first: their sum may be more than an Index holds.
  const auto characters = static_cast<Index>(text.size());
  if (o.memory >= characters || o.validation >= characters || o.test >= characters ||
      o.memory + o.validation + o.test >= characters) {
    program::refuse(what + ": it has " + std::to_string(characters) +
                    " characters, one more is needed than --memory, --validation and --test together; lower --memory");
  }
  const auto needed = static_cast<std::size_t>(o.memory + o.validation + o.test + 1);
  text.resize(needed);
  const std::string output = "--output-dir " + o.output_dir;
  program::make_folder(o.output_dir, output);

  const tm::Symbols symbols(text);
  const RowMatrix<float> keys = tm::keys(symbols);
  Problem in;
  in.key = keys.topRows(o.memory);
  in.value = tm::values(symbols).topRows(o.memory);
  in.unigram = (in.value.colwise().sum().array() + 1.0f).matrix();
  in.unigram /= in.unigram.sum();
  in.validation_query = keys.middleRows(o.memory, o.validation);
  in.test_query = keys.middleRows(o.memory + o.validation, o.test);
  const auto next = [&](Index first, Index count) {
    const auto begin = symbols.symbols.begin() + first + 1;
    return std::vector<int>(begin, begin + count);
  };
  in.validation_next = next(o.memory, o.validation);
  in.test_next = next(o.memory + o.validation, o.test);

  double unigram = 0;
  for (const int c : in.test_next) unigram -= std::log2(static_cast<double>(in.unigram(c))) / static_cast<double>(o.test);
  std::printf("%s: a memory of %td characters, %td to predict\n\n", o.text.c_str(), o.memory, o.test);
  std::printf("%-34s %-10s %6s   %6s %13s %6s %8s\n", "kernel x normalization", "parameter", "chosen", "bits/c",
              "mean support", "empty", "seconds");
  std::printf("%-34s %-10s %6s   %6.3f\n", "unigram", "", "", unigram);

  const std::vector<double> bandwidths{0.2, 0.28, 0.36, 0.44};
  const std::vector<double> anchors{0.12, 0.16, 0.2, 0.25};
  const std::vector<double> counts{16, 32, 64, 128};
  const auto adaptive = [](const auto& kernel) {
    return [kernel](double s) { return NadarayaWatson{kernel, Adaptive{}, DotProduct{s}}; };
  };
  const auto fixed = [](const auto& kernel) {
    return [kernel](double h) { return NadarayaWatson{kernel, FixedBandwidth{h}, SquaredDistance{}}; };
  };
  const auto sparsemax = contest("Epanechnikov adaptive (sparsemax)", "scale", {3, 4, 6, 8}, adaptive(Epanechnikov{}), in);
  const auto entmax15 = contest("biweight adaptive (1.5-entmax)", "scale", {8, 12, 16, 24}, adaptive(Biweight{}), in);
  const auto entmax43 = contest("triweight adaptive (4/3-entmax)", "scale", {12, 18, 24, 32}, adaptive(Triweight{}), in);
  const auto softmax = contest("Gaussian adaptive (softmax)", "scale", {64, 128, 256}, adaptive(Gaussian{}), in);
  contest("Epanechnikov fixed (norm. ReLU)", "bandwidth", bandwidths, fixed(Epanechnikov{}), in);
  contest("biweight fixed", "bandwidth", bandwidths, fixed(Biweight{}), in);
  contest("triweight fixed", "bandwidth", bandwidths, fixed(Triweight{}), in);
  contest("Epanechnikov anchored (ReLUmax)", "bandwidth", anchors,
          [](double h) { return NadarayaWatson{Epanechnikov{}, Anchored{h}, DotProduct{1.0}}; }, in);
  contest("Gaussian nearest (top-k softmax)", "k", counts,
          [](double k) { return NadarayaWatson{Gaussian{}, NearestNeighbors{static_cast<Index>(k)}, DotProduct{16.0}}; },
          in);
  contest("uniform nearest (kNN)", "k", counts,
          [](double k) { return NadarayaWatson{Uniform{}, NearestNeighbors{static_cast<Index>(k)}, DotProduct{1.0}}; },
          in);

  // The weights of one query.
  const Index query = o.test / 2;
  const std::size_t at = static_cast<std::size_t>(o.memory + o.validation + query);
  const auto before = [&](std::size_t position, std::size_t length) {
    const std::size_t from = position + 1 < length ? 0 : position + 1 - length;
    return printable(text.substr(from, position + 1 - from));
  };
  std::printf("\nafter \"...%s\" comes \"%s\"; 4/3-entmax remembers\n", before(at, 24).c_str(),
              printable(text.substr(at + 1, 1)).c_str());
  const auto nearest = attended(entmax43, in, query);
  for (std::size_t j = 0; j < nearest.size() && j < 5; ++j) {
    const auto position = static_cast<std::size_t>(nearest[j].second);
    std::printf("  %5.1f %%  \"...%s\" then \"%s\"\n", 100.0 * static_cast<double>(nearest[j].first),
                before(position, 24).c_str(), printable(text.substr(position + 1, 1)).c_str());
  }

  const auto save = [&](const std::string& name, const auto& op) {
    std::string data;
    const auto sorted = attended(op, in, query);
    double previous = 0;
    for (std::size_t j = 0; j < sorted.size(); ++j) {
      const double rank = std::log10(static_cast<double>(j + 1));
      if (j > 0 && j + 1 < sorted.size() && rank < previous + 0.02) continue;
      previous = rank;
      data += std::to_string(j + 1) + " " + gnuplot::number(static_cast<double>(sorted[j].first)) + "\n";
    }
    // The other keys: exactly zero.
    const auto all = static_cast<std::size_t>(o.memory);
    if (sorted.size() < all) data += std::to_string(sorted.size() + 1) + " 0\n" + std::to_string(all) + " 0\n";
    program::write_file(o.output_dir + "/" + name, data, output + ": " + name);
  };
  save("sparsemax.dat", sparsemax);
  save("entmax15.dat", entmax15);
  save("entmax43.dat", entmax43);
  save("softmax.dat", softmax);
  const std::string script =
      "set output 'attention.svg'\nset terminal svg size 800,480 font 'sans,14' background '#ffffff'\n"
      "set title 'Attention weights of one query (" +
      std::to_string(o.memory) +
      " keys)'\n"
      "set logscale xy\nset format x '10^{%L}'\nset yrange [1e-46:10]\nset xrange [1:" + std::to_string(o.memory) + "]\n"
      "set ytics ('1' 1, '10^{-10}' 1e-10, '10^{-20}' 1e-20, '10^{-30}' 1e-30, '10^{-40}' 1e-40, 'exactly 0' 1e-45)\n"
      "set xlabel 'keys, by weight'\nset ylabel 'weight'\nset key at graph 0.79, 0.6 samplen 2\nset grid lc rgb '#dddddd'\n"
      "weight(w) = w > 0 ? w : 1e-45\n"
      "plot 'sparsemax.dat' using 1:(weight($2)) with lines lw 3 lc rgb '#0072b2' title 'Epanechnikov (sparsemax)', \\\n"
      "  'entmax15.dat' using 1:(weight($2)) with lines lw 3 lc rgb '#009e73' title 'biweight (1.5-entmax)', \\\n"
      "  'entmax43.dat' using 1:(weight($2)) with lines lw 3 lc rgb '#d55e00' title 'triweight (4/3-entmax)', \\\n"
      "  'softmax.dat' using 1:(weight($2)) with lines lw 3 lc rgb '#555555' dt 2 title 'Gaussian (softmax)'\n";
  if (gnuplot::draw(o.output_dir, "attention.gp", script, {"attention.svg"}, output)) {
    std::printf("\npicture: %s\n", (o.output_dir + "/attention.svg").c_str());
  } else {
    std::printf("\nno picture: %s\n", gnuplot::advice(o.output_dir, "attention.gp").c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"A language model without training: kernel regression over the characters of a text."};
  app.add_option("--text", o.text, "text to remember and predict");
  app.add_option("--output-dir", o.output_dir, "folder for the picture and its data");
  app.add_option("--memory", o.memory, "characters to remember");
  app.add_option("--validation", o.validation, "characters to choose parameters on");
  app.add_option("--test", o.test, "characters to predict");
  return program::run_main("text_memory", app, argc, argv, [&] {
    run(o);
    return 0;
  });
}
