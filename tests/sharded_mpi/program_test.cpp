// The program sharded_attention under mpirun: the same files for any number of ranks, and jobs that end when a rank fails.
#include "examples/support/npy.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/program.hpp"
#include "tests/support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <vector>

using namespace nadaraya::test;

namespace {

using Words = std::vector<std::string>;
using Sizes = std::vector<std::size_t>;

Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

template <class Scalar>
void put(const Folder& folder, const std::string& name, const Sizes& shape, std::uint64_t seed) {
  Random random(seed);
  npy::Array array = npy::zeros<Scalar>(shape);
  for (std::size_t i = 0; i < npy::count(shape, 1); ++i) array.data<Scalar>()[i] = static_cast<Scalar>(random.normal());
  npy::write(folder / name, array);
}

template <class Scalar>
void put_inputs(const Folder& folder, const Sizes& query, const Sizes& key, std::size_t value_cols) {
  Sizes value = key, out = query;
  value.back() = out.back() = value_cols;
  put<Scalar>(folder, "q.npy", query, 1);
  put<Scalar>(folder, "k.npy", key, 2);
  put<Scalar>(folder, "v.npy", value, 3);
  put<Scalar>(folder, "g.npy", out, 4);
}

const Words arrays = {"--query", "q.npy", "--key", "k.npy", "--value", "v.npy"};
const Words gradient = {"--grad-output", "g.npy"};

Words ranks(int count, const Words& arguments) { return Words{"-n", std::to_string(count), NADARAYA_SHARDED} + arguments; }

/// What a run of mpirun leaves in the folder `out`.
std::map<std::string, std::string> files(const Folder& folder, const std::string& program, const Words& arguments) {
  const Outcome outcome = run_program(program, folder, arguments + Words{"--output-dir", "out"});
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.exit_code == 0);
  REQUIRE_THAT(outcome.out, catch_shim::contains("\"mean_support\":"));
  std::map<std::string, std::string> result;
  for (const auto& [name, content] : folder.snapshot()) {
    if (name.substr(0, 4) == "out/") result[name] = content;
  }
  fs::remove_all(folder / "out");
  return result;
}

npy::Array array(const std::string& file) {
  std::istringstream stream(file);
  return npy::read(stream);
}

int count(const std::string& text, const std::string& part) {
  int result = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++result;
  return result;
}

}  // namespace

TEST_CASE("any number of ranks writes the same files: heads in groups, causal, float32, gradients", "[mpi]") {
  const Folder folder;
  put_inputs<float>(folder, {1, 4, 37, 8}, {1, 2, 41, 8}, 5);
  const Words options = arrays + gradient + Words{"--kernel", "biweight", "--mask", "causal", "--scale", "0.7"};
  const auto one = files(folder, NADARAYA_MPIEXEC, ranks(1, options));
  REQUIRE(one.size() == 4);
  for (const int count : {2, 3, 4}) {
    INFO(count << " ranks");
    REQUIRE((files(folder, NADARAYA_MPIEXEC, ranks(count, options + Words{"--threads", std::to_string(count)})) == one));
  }
  // attend finds other candidates, whose last bits its thresholds depend on.
  for (const auto& [name, content] : files(folder, NADARAYA_ATTEND, options)) {
    INFO(name);
    const npy::Array expected = array(content), got = array(one.at(name));
    REQUIRE(got.shape == expected.shape);
    for (std::size_t i = 0; i < npy::count(got.shape, 1); ++i) {
      REQUIRE(std::abs(got.data<float>()[i] - expected.data<float>()[i]) <= 1e-5f);
    }
  }
}

TEST_CASE("any number of ranks writes the files of attend where rows do not depend on keys without weight", "[mpi]") {
  const Folder folder;
  put_inputs<float>(folder, {1, 2, 37, 8}, {1, 2, 41, 8}, 5);
  const std::vector<Words> rules = {
      {"--kernel", "gaussian", "--normalization", "nearest", "--neighbors", "5"},
      {"--kernel", "biweight", "--normalization", "fixed", "--bandwidth", "3", "--similarity", "euclidean", "--mask", "causal"},
      {"--kernel", "epanechnikov", "--normalization", "fixed", "--bandwidth", "3", "--similarity", "euclidean", "--mix", "linear", "--ridge", "0.1"},
  };
  for (const Words& rule : rules) {
    const Words options = arrays + gradient + rule;
    const auto expected = files(folder, NADARAYA_ATTEND, options);
    REQUIRE(expected.size() == 4);
    for (const int count : {1, 3}) REQUIRE((files(folder, NADARAYA_MPIEXEC, ranks(count, options)) == expected));
  }
}

TEST_CASE("any number of ranks writes the same files: more ranks than keys, float64", "[mpi]") {
  const Folder folder;
  put_inputs<double>(folder, {2, 6}, {3, 6}, 4);
  const Words options = arrays + Words{"--kernel", "gaussian"};
  const auto one = files(folder, NADARAYA_MPIEXEC, ranks(1, options));
  REQUIRE(one.size() == 1);
  REQUIRE((files(folder, NADARAYA_MPIEXEC, ranks(4, options)) == one));
}

TEST_CASE("generated tokens are decoded as on one rank", "[mpi]") {
  const Folder folder;
  const Outcome outcome =
      run_program(NADARAYA_MPIEXEC, folder, ranks(3, {"--tokens", "5000", "--calls", "3", "--batch", "2", "--kernel", "biweight"}));
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.exit_code == 0);
  REQUIRE_THAT(outcome.out, catch_shim::contains("\n  scores and floor "));
  REQUIRE_THAT(outcome.out, catch_shim::contains("checked: 3 calls give the same bits as on one rank\n"));
}

TEST_CASE("a rank that cannot read its file ends the job with one message", "[mpi]") {
  const Folder folder;
  put_inputs<float>(folder, {9, 4}, {20, 4}, 3);
  const std::string whole = folder.content("k.npy");
  folder.put("cut.npy", whole.substr(0, whole.size() - 1));
  const Words rest = {"--value", "v.npy", "--kernel", "biweight", "--output-dir", "out"};
  const Outcome outcome = run_program(NADARAYA_MPIEXEC, folder, ranks(2, Words{"--query", "q.npy", "--key", "k.npy"} + rest) +
                                                                    Words{":"} + ranks(1, Words{"--query", "q.npy", "--key", "cut.npy"} + rest));
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 2);
  REQUIRE(outcome.out == "");
  REQUIRE(count(outcome.err, "sharded_attention: rank 2: --key cut.npy: it is truncated\n") == 1);
  REQUIRE(count(outcome.err, "sharded_attention: ") == 1);
  REQUIRE(!fs::exists(folder / "out"));
}

TEST_CASE("a mix of rows in which all keys have weight is refused", "[mpi]") {
  const Folder folder;
  const Outcome outcome =
      run_program(NADARAYA_MPIEXEC, folder, ranks(2, {"--tokens", "100", "--kernel", "gaussian", "--mix", "linear"}));
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 2);
  REQUIRE(count(outcome.err, "--mix linear has to know all keys of a support, and --kernel gaussian gives weight to all of them on all ranks\n") == 1);
}

TEST_CASE("a rank that is killed ends the job, with a message", "[mpi]") {
  const Folder folder;
  const std::string endless = " --tokens 100 --calls 1000000000 --kernel biweight";
  const auto shell = [&](const std::string& before) {
    return Words{"-n", "1", "sh", "-c", before + "exec " + NADARAYA_SHARDED + endless};
  };
  const Outcome outcome =
      run_program(NADARAYA_MPIEXEC, folder, shell("") + Words{":"} + shell("(sleep 0.7; kill -9 $$) & "));
  INFO(outcome.err);
  REQUIRE(outcome.exit_code != 0);
  REQUIRE_THAT(outcome.err, catch_shim::contains("signal 9 (Killed)"));
}
