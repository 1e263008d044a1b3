// The program mosaic: tasks, their evaluation, and what it refuses.
#ifdef NADARAYA_MOSAIC

#include "tests/support/catch.hpp"
#include "tests/support/folder.hpp"

#include <sys/wait.h>

#include <cstdlib>
#include <string>

using namespace nadaraya::test;

namespace {

struct Outcome {
  int exit_code;
  std::string out, err;
};

Outcome run(const Folder& folder, const std::string& arguments) {
  const Folder streams;
  const std::string command = "cd '" + (folder / "") + "' && '" + NADARAYA_MOSAIC + "' " + arguments + " > '" +
                              (streams / "out") + "' 2> '" + (streams / "err") + "'";
  const int status = std::system(command.c_str());
  return Outcome{WIFEXITED(status) ? WEXITSTATUS(status) : -1, streams.content("out"), streams.content("err")};
}

std::string succeed(const Folder& folder, const std::string& arguments) {
  INFO(arguments);
  const Outcome outcome = run(folder, arguments);
  REQUIRE(outcome.err == "");
  REQUIRE(outcome.exit_code == 0);
  REQUIRE(outcome.out.find('\n') == outcome.out.size() - 1);
  return outcome.out;
}

/// One line that contains `reason`, exit code 2, and nothing in the folder has changed.
void require_refused(const Folder& folder, const std::string& arguments, const std::string& reason) {
  INFO(arguments);
  const auto files = folder.snapshot();
  const Outcome outcome = run(folder, arguments);
  REQUIRE(outcome.err.substr(0, 8) == "mosaic: ");
  REQUIRE(outcome.err.find('\n') == outcome.err.size() - 1);
  REQUIRE_THAT(outcome.err, catch_shim::contains(reason));
  REQUIRE(outcome.out == "");
  REQUIRE(outcome.exit_code == 2);
  REQUIRE(folder.snapshot() == files);
}

const std::string tiny = " --layers 1 --heads 2 --width 8 --pairs 4 --batch 3 --steps 6 ";
const std::string train_copy = "train --task copy --alphabet 5 --longest 4" + tiny;

}  // namespace

TEST_CASE("a task that was interrupted goes on with the same examples", "[mosaic]") {
  for (const std::string task : {"sort --examples 7 --longest 6", "mqmtar --longest 33 --shortest 30 --alphabet 6", "automata --longest 3 --alphabet 4"}) {
    INFO(task);
    const Folder folder;
    const std::string train = "train --task " + task + tiny;
    succeed(folder, train + "--output-dir whole --threads 1");
    succeed(folder, train + "--output-dir parts --stop-at 2 --threads 1");
    succeed(folder, train + "--output-dir parts --resume --threads 2");
    REQUIRE(folder.content("parts/checkpoint.safetensors") == folder.content("whole/checkpoint.safetensors"));
    REQUIRE(folder.content("whole/training.csv").substr(0, 10) == "step,loss\n");
  }
}

TEST_CASE("few examples are learned by heart", "[mosaic]") {
  // With one example the loss of training falls far below that of validation.
  const Folder folder;
  const std::string out = succeed(folder, "train --task copy --alphabet 8 --longest 8 --examples 1 --layers 1 --heads 2 --width 16 --pairs 8 --batch 2 "
                                          "--steps 150 --warm-up 5 --learning-rate 1e-2 --threads 1 --output-dir one");
  const auto number = [&](const std::string& name) { return std::stod(out.substr(out.find(name) + name.size() + 2)); };
  REQUIRE(number("\"training_loss") < 0.5);
  REQUIRE(number("\"validation_loss") > 1.0);
}

TEST_CASE("evaluate reports each length, the same for any number of threads", "[mosaic]") {
  const Folder folder;
  succeed(folder, train_copy + "--output-dir copy");
  const std::string evaluate = "evaluate --checkpoint copy/checkpoint.safetensors --examples 60 ";
  const std::string out = succeed(folder, evaluate + "--lengths 1,3 --threads 1");
  REQUIRE_THAT(out, catch_shim::contains("\"length\":1,"));
  REQUIRE_THAT(out, catch_shim::contains("\"length\":3,"));
  REQUIRE_THAT(out, catch_shim::contains("\"exact_match\":"));
  REQUIRE(succeed(folder, evaluate + "--lengths 1,3 --threads 2") == out);
  const std::string four = succeed(folder, evaluate);
  for (const std::string length : {"4", "8", "16", "32"}) REQUIRE_THAT(four, catch_shim::contains("\"length\":" + length + ","));
}

TEST_CASE("a model that has learned to copy answers without a fault", "[mosaic]") {
  const Folder folder;
  succeed(folder, "train --task copy --alphabet 8 --longest 4 --layers 2 --heads 2 --width 16 --pairs 8 --batch 16 --steps 400 "
                  "--learning-rate 1e-2 --threads 2 --output-dir copy");
  const std::string out = succeed(folder, "evaluate --checkpoint copy/checkpoint.safetensors --lengths 4 --examples 100");
  const std::size_t at = out.find("\"token_accuracy\":");
  REQUIRE(std::stod(out.substr(at + 17)) > 0.9);
}

TEST_CASE("evaluate measures the distance to the law of automata", "[mosaic]") {
  const Folder folder;
  succeed(folder, "train --task automata --longest 3 --alphabet 4" + tiny + "--output-dir automata");
  const std::string out = succeed(folder, "evaluate --checkpoint automata/checkpoint.safetensors --examples 5");
  for (const std::string who : {"model", "uniform", "2-gram", "3-gram", "4-gram"}) REQUIRE_THAT(out, catch_shim::contains("\"" + who + "\":{\"by_words\":["));
}

TEST_CASE("a sample goes on the same from any of its characters", "[mosaic]") {
  // What a model reads on from and what it reads at once are the same, within a block of 8 and behind it.
  const Folder folder;
  std::string text;
  for (int i = 0; i < 400; ++i) text += static_cast<char>('a' + i * i % 7);
  folder.put("text", text);
  succeed(folder, "train --text text --block 8 --layers 2 --heads 2 --width 8 --pairs 4 --batch 4 --steps 60 "
                  "--learning-rate 1e-2 --output-dir model");
  const std::string sample = "sample --checkpoint model/checkpoint.safetensors --temperature 0 ";
  const std::string whole = succeed(folder, sample + "--prompt a --characters 29");
  REQUIRE(whole.size() == 31);
  for (std::size_t seen = 2; seen < 30; seen += 3) {
    const std::string rest = std::to_string(30 - seen);
    REQUIRE(succeed(folder, sample + "--prompt " + whole.substr(0, seen) + " --characters " + rest) == whole);
  }
  const std::string drawn = "sample --checkpoint model/checkpoint.safetensors --prompt ab --characters 40 --seed 3 --threads ";
  REQUIRE(succeed(folder, drawn + "1") == succeed(folder, drawn + "2"));
}

TEST_CASE("what tasks refuse", "[mosaic]") {
  const Folder folder;
  const auto refused = [&](const std::string& arguments, const std::string& reason) { require_refused(folder, arguments, reason); };
  refused("train --output-dir o", "--text is needed, or a --task");
  refused("train --task count --output-dir o", "there is no task count; there are text, copy, reverse, sort, mqmtar, automata");
  refused("train --task copy --text t --output-dir o", "--text: the task copy has none");
  refused("train --task copy --alphabet -1 --output-dir o", "--alphabet must be at least 0");
  refused("train --task copy --alphabet 100000 --output-dir o", "--alphabet must be at most 65536");
  refused("train --task copy --longest -1 --output-dir o", "--longest must be at least 0");
  refused("train --task copy --shortest 9 --longest 8 --output-dir o", "--shortest must be at most --longest");
  refused("train --task copy --examples -1 --output-dir o", "--examples must be at least 0");
  refused("train --task copy --longest 100000000000 --output-dir o", "--batch times --longest is too large");
  refused("train --task mqmtar --longest 32 --output-dir o", "--shortest must be at least 30 for mqmtar");
  refused("train --task mqmtar --alphabet 2 --output-dir o", "--alphabet is too small for mqmtar's keys");
  succeed(folder, train_copy + "--output-dir copy");
  refused("train --task sort --resume --output-dir copy", "--task \"sort\": copy/checkpoint.safetensors was begun with \"copy\"");
  refused("train --resume --text t --output-dir copy", "--text: the task copy has none");
  refused("sample --checkpoint copy/checkpoint.safetensors", "copy/checkpoint.safetensors: it is a model of the task copy, not of text");
  const std::string evaluate = "evaluate --checkpoint ";
  const std::string copy = evaluate + "copy/checkpoint.safetensors ";
  refused(copy + "--lengths 0", "--lengths must be from 1 to 1048576");
  refused(copy + "--lengths 4,-2", "--lengths must be from 1 to 1048576");
  refused(copy + "--lengths many", "--lengths");
  refused(copy + "--examples 0", "--examples must be at least 1");
  refused(copy + "--threads 0", "--threads must be at least 1");
  refused(evaluate + "none", "none");
  folder.put("foreign", folder.content("copy/checkpoint.safetensors").substr(0, 1000));
  refused(evaluate + "foreign", "foreign: ");
  succeed(folder, "train --task automata --longest 3" + tiny + "--output-dir automata");
  refused(evaluate + "automata/checkpoint.safetensors --lengths 4", "--lengths: automata have none");
  succeed(folder, "train --task mqmtar --shortest 30 --longest 30 --alphabet 2" + tiny + "--output-dir mqmtar");
  refused(evaluate + "mqmtar/checkpoint.safetensors --lengths 29", "mqmtar needs lengths of at least 30");
  refused(evaluate + "mqmtar/checkpoint.safetensors --lengths 64", "needs more different keys than an alphabet of 2 has");
  std::string text;
  for (int i = 0; i < 200; ++i) text += static_cast<char>('a' + i * i % 7);
  folder.put("text", text);
  succeed(folder, "train --text text --block 8" + tiny + "--output-dir text_model");
  refused(evaluate + "text_model/checkpoint.safetensors", "text_model/checkpoint.safetensors: it is a model of text");
}

#endif
