// The program mosaic: tasks, their evaluation, and what it refuses.
#ifdef NADARAYA_MOSAIC

#include "tests/support/program.hpp"
#include "tests/support/sanitized.hpp"

#include <sys/wait.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

using namespace nadaraya::test;

namespace {

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

/// The program fails as `require_refused` has it, but that it may have made a folder.
void require_diverged(const Folder& folder, const std::string& arguments, const std::string& reason) {
  INFO(arguments);
  const Outcome outcome = run(folder, arguments);
  REQUIRE(outcome.err.find('\n') == outcome.err.size() - 1);
  REQUIRE_THAT(outcome.err, catch_shim::contains(reason));
  REQUIRE(outcome.out == "");
  REQUIRE(outcome.exit_code == 2);
}

std::string some_text() {
  std::string text;
  for (int i = 0; i < 400; ++i) text += static_cast<char>('a' + i * i % 7);
  return text;
}

const std::string sizes = " --layers 1 --heads 2 --pairs 4 --batch 3 ";
const std::string tiny = sizes + "--width 8 --steps 6 ";
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

TEST_CASE("training that diverges is an error, and the last good checkpoint stays", "[mosaic]") {
  const Folder folder;
  folder.put("text", some_text());
  const std::string train = "train --text text --block 8" + sizes + "--width 8 --warm-up 0 --threads 1 --output-dir ";
  // After the last step, before a checkpoint on the way, before the one of --stop-at, and in the middle.
  const std::string none = "; start with a lower --learning-rate";
  require_diverged(folder, train + "o --learning-rate 100 --steps 1", "the validation loss after step 1 is not finite" + none);
  for (const std::string more : {"--validate-every 1", "--save-every 1 --validate-every 9", "--stop-at 1 --validate-every 9", "--validate-every 9"}) {
    require_diverged(folder, train + "o --steps 6 --learning-rate 100 " + more, " is not finite" + none);
  }
  REQUIRE(!fs::exists(folder / "o/checkpoint.safetensors"));
  require_diverged(folder, train + "o --beta 1e300 --kernel norm_relu --steps 1 --learning-rate 1e30", " is not finite");

  succeed(folder, train + "good --steps 6 --stop-at 2");
  const std::string resume = "train --text text --resume --threads 1 --output-dir good ";
  const auto files = folder.snapshot();
  require_diverged(folder, resume + "--learning-rate 1e30",
                   "is not finite; good/checkpoint.safetensors is that of step 2; --resume continues it, with a lower --learning-rate");
  REQUIRE(folder.snapshot() == files);
  // What the message advises.
  REQUIRE_THAT(succeed(folder, resume + "--learning-rate 1e-4"), catch_shim::contains("\"step\":6,"));
}

TEST_CASE("a run that is resumed with another learning rate goes on with it", "[mosaic]") {
  const Folder folder;
  const std::string train = train_copy + "--threads 1 --output-dir ";
  succeed(folder, train + "same");
  succeed(folder, train + "parts --stop-at 2");
  succeed(folder, train + "parts --resume --stop-at 3 --learning-rate 1e-3");
  const std::string at = folder.content("parts/checkpoint.safetensors");
  REQUIRE_THAT(at, catch_shim::contains("\\\"learning-rate\\\":0.001"));
  succeed(folder, train + "parts --resume");
  REQUIRE_THAT(folder.content("parts/checkpoint.safetensors"), catch_shim::contains("\\\"learning-rate\\\":0.001"));
  REQUIRE(folder.content("parts/checkpoint.safetensors") != folder.content("same/checkpoint.safetensors"));
  require_refused(folder, train + "parts --resume --learning-rate nan", "--learning-rate must be positive and finite");
}

TEST_CASE("a model that is not finite is not used", "[mosaic]") {
  const Folder folder;
  folder.put("text", some_text());
  succeed(folder, "train --text text --block 8" + tiny + "--output-dir text_model");
  succeed(folder, train_copy + "--output-dir copy");
  const auto put = [&](const std::string& name, const std::string& from, const std::string& number, std::size_t count) {
    std::string content = folder.content(from + "/checkpoint.safetensors");
    std::uint64_t header = 0;
    std::memcpy(&header, content.data(), 8);
    for (std::size_t i = 0; i < count; ++i) content.replace(8 + header + 4 * i, 4, number);
    fs::create_directory(folder / name);
    folder.put(name + "/checkpoint.safetensors", content);
  };
  const std::string nan("\0\0\xc0\x7f", 4), infinity("\0\0\x80\x7f", 4), greatest("\xff\xff\x7f\x7f", 4);
  for (const std::string& number : {nan, infinity}) {
    put("text_bad", "text_model", number, 1);
    put("copy_bad", "copy", number, 1);
    const std::string reason = " is not finite: the training diverged";
    require_refused(folder, "sample --checkpoint text_bad/checkpoint.safetensors", "--checkpoint text_bad/checkpoint.safetensors: its tensor ");
    require_refused(folder, "sample --checkpoint text_bad/checkpoint.safetensors", reason);
    require_refused(folder, "evaluate --checkpoint copy_bad/checkpoint.safetensors", reason);
    require_refused(folder, "train --text text --resume --output-dir text_bad", reason);
  }
  // Finite, but not what is made of them.
  put("text_bad", "text_model", greatest, 24);
  put("copy_bad", "copy", greatest, 24);
  require_refused(folder, "sample --checkpoint text_bad/checkpoint.safetensors", "its logits are not finite");
  require_refused(folder, "evaluate --checkpoint copy_bad/checkpoint.safetensors", "its logits are not finite");
}

TEST_CASE("a sample without a prompt begins with a line break, or with what the model knows", "[mosaic]") {
  const Folder folder;
  const std::string with = "c" + some_text() + "\n";
  folder.put("with", with + with);
  folder.put("without", some_text());
  folder.put("blanks", "b a" + some_text());
  for (const auto& [name, first] : {std::pair<std::string, char>{"with", '\n'}, {"without", 'a'}, {"blanks", ' '}}) {
    succeed(folder, "train --text " + name + " --block 8" + tiny + "--output-dir m_" + name);
    const std::string sample = "sample --checkpoint m_" + name + "/checkpoint.safetensors --characters ";
    for (const std::string count : {"0", "5"}) {
      const Outcome outcome = run(folder, sample + count);
      REQUIRE(outcome.err == "");
      REQUIRE(outcome.out.size() == 2 + std::stoul(count));
      REQUIRE(outcome.out[0] == first);
    }
  }
  require_refused(folder, "sample --checkpoint m_without/checkpoint.safetensors --prompt x", "--prompt: the model has not seen the character 'x'");
  require_refused(folder, "sample --checkpoint m_without/checkpoint.safetensors --prompt ''", "--prompt must have a character");
}

TEST_CASE("mosaic draws in a folder of any name", "[mosaic]") {
  if (!installed("gnuplot")) return;
  for (const std::string& name : {std::string("it's"), std::string("`touch pwned`\n$(touch pwned)")}) {
    INFO(name);
    const Folder folder;
    const Outcome outcome = run_program(NADARAYA_MOSAIC, folder,
                                        {"train", "--task=copy", "--alphabet=5", "--longest=4", "--layers=1", "--heads=2", "--width=8", "--pairs=4", "--batch=3",
                                         "--steps=6", "--kernel=topk_softmax", "--neighbors=2", "--output-dir=" + name});
    REQUIRE(outcome.err == "");
    REQUIRE(outcome.exit_code == 0);
    REQUIRE_THAT(folder.content(name + "/loss.svg"), catch_shim::contains("<text>copy, topk_softmax, seed 1</text>"));
    REQUIRE(folder.snapshot().size() == 6);
  }
}

TEST_CASE("mosaic names the option and the file that it cannot use", "[mosaic]") {
  const Folder folder;
  const auto refused = [&](const std::string& arguments, const std::string& reason) { require_refused(folder, arguments, reason); };
  folder.put("text", some_text());
  folder.put("file", "x");
  fs::create_directories(folder / "folder/config.json");
  fs::create_directories(folder / "fixture");
  fs::create_directories(folder / "broken/checkpoint.safetensors");
  const std::string train = "train --block 8" + tiny;
  refused(train + "--output-dir o --text missing", "--text missing: it cannot be opened: No such file or directory");
  refused(train + "--output-dir o --text folder", "--text folder: it cannot be read: Is a directory");
  refused(train + "--text text --output-dir file", "--output-dir file: it cannot be made, or is no folder");
  refused(train + "--text text --output-dir file/below", "--output-dir file/below: it cannot be made, or is no folder: Not a directory");
  refused(train + "--text text --output-dir ''", "--output-dir : it cannot be made");
  refused(train + "--text text --output-dir broken --resume", "--output-dir broken: broken/checkpoint.safetensors: it cannot be read: Is a directory");
  refused(train + "--text text --output-dir o --kernel median", "--kernel: there is no kernel median; there are softmax,");
  refused(train + "--task count --output-dir o", "--task: there is no task count; there are text,");
  refused(train + "--text text --output-dir o --threads 5000", "--threads must be at most 4096");
  refused("train --text text --block 8" + sizes + "--output-dir o --width 1000000000000000000", "--width, --layers or --pairs is too large");
  for (const std::string command : {"sample", "evaluate"}) {
    refused(command + " --checkpoint missing", "--checkpoint missing: it cannot be opened: No such file or directory");
    refused(command + " --checkpoint folder", "--checkpoint folder: it cannot be read: Is a directory");
    refused(command + " --checkpoint file", "--checkpoint file: it is no safetensors file, or truncated");
    refused(command + " --checkpoint file/below", "--checkpoint file/below: it cannot be opened: Not a directory");
  }
  refused("check missing o", "missing/config.json: it cannot be opened: No such file or directory");
  refused("check folder o", "folder/config.json: it cannot be read: Is a directory");
  folder.put("fixture/config.json", "{\"method\": ");
  refused("check fixture o", "fixture/config.json: it is no JSON at byte ");
  folder.put("fixture/config.json", "{\"method\": 3}");
  refused("check fixture o", "fixture/config.json: it needs method, a text, and the whole numbers vocab");
  const auto config = [&](const std::string& method, const std::string& vocab) {
    folder.put("fixture/config.json", "{\"method\": \"" + method + "\", \"vocab\": " + vocab +
                                          ", \"layers\": 1, \"heads\": 1, \"embedding\": 2, \"persistent_memory\": 1, \"batch\": 1, \"block\": 2}");
  };
  config("biweight", "0");
  refused("check fixture o", "fixture/config.json: vocabulary must be at least 1");
  config("median", "2");
  refused("check fixture o", "fixture/config.json: there is no kernel median");
  config("biweight", "2");
  refused("check fixture o", "fixture/tokens.npy: it cannot be opened: No such file or directory");
  fs::create_directory(folder / "fixture/tokens.npy");
  refused("check fixture o", "fixture/tokens.npy: it cannot be read: Is a directory");
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
  std::string text;
  for (int i = 0; i < 200; ++i) text += static_cast<char>('a' + i * i % 7);
  folder.put("text", text);
  succeed(folder, "train --text text --block 8" + tiny + "--output-dir text_model");
  refused(evaluate + "text_model/checkpoint.safetensors", "text_model/checkpoint.safetensors: it is a model of text");
  if (sanitized) return;  // they take most of the time to train, and are asked in the same way
  succeed(folder, "train --task automata --longest 3" + tiny + "--output-dir automata");
  refused(evaluate + "automata/checkpoint.safetensors --lengths 4", "--lengths: automata have none");
  succeed(folder, "train --task mqmtar --shortest 30 --longest 30 --alphabet 2" + tiny + "--output-dir mqmtar");
  refused(evaluate + "mqmtar/checkpoint.safetensors --lengths 29", "mqmtar needs lengths of at least 30");
  refused(evaluate + "mqmtar/checkpoint.safetensors --lengths 64", "needs more different keys than an alphabet of 2 has");
}

#endif
