// Memories of every kernel, and the model made of them: against formulas, fixtures and finite differences.
#include <nadaraya/mosaic/model.hpp>

#include "examples/mosaic/integers.hpp"
#include "tests/mosaic/finite_differences.hpp"
#include "tests/support/close.hpp"
#include "tests/support/executors.hpp"

#include <cmath>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace nadaraya;
using namespace nadaraya::mosaic;
using namespace nadaraya::test;

namespace {

const Serial serial;

/// Every kernel, and the first kernel_beta at which some of its keys are left out.
struct Choice {
  std::string name;
  KernelChoice<double> kernel;
};

const std::vector<Choice>& all_kernels() {
  static const std::vector<Choice> all = {{"softmax", kernel_choice<double>(AdaptiveMemory<Gaussian>{})},
                                          {"epanechnikov", kernel_choice<double>(AdaptiveMemory<Epanechnikov>{})},
                                          {"biweight", kernel_choice<double>(AdaptiveMemory<Biweight>{})},
                                          {"triweight", kernel_choice<double>(AdaptiveMemory<Triweight>{})},
                                          {"learned alpha", kernel_choice<double>(LearnedAlphaMemory<>{})},
                                          {"top-3 softmax", kernel_choice<double>(NearestMemory<Gaussian>{3})},
                                          {"top-3 uniform", kernel_choice<double>(NearestMemory<Uniform>{3})},
                                          {"normalized ReLU", kernel_choice<double>(FixedMemory<Epanechnikov>{})},
                                          {"ReLUmax", kernel_choice<double>(AnchoredMemory<Epanechnikov>{})}};
  return all;
}

const KernelChoice<double>& kernel_of(std::string_view name) {
  for (const Choice& choice : all_kernels()) {
    if (choice.name == name) return choice.kernel;
  }
  throw std::logic_error(std::string(name));
}

/// One head over keys and queries q = k of unit length.
struct OneHead {
  Index tokens = 12;
  RowMatrix<double> key, value, norms, out{tokens, 3};

  OneHead() {
    unit_norm(Random(11).normal<double>(tokens, 3), 1, key, norms, serial);
    value = Random(12).normal<double>(tokens, 3);
  }

  const RowMatrix<double>& read(const KernelChoice<double>& kernel, const KernelShape& shape) {
    const Sequences sequences{1, tokens};
    const auto keys = as_heads(std::as_const(key), sequences, 1);
    kernel.make_pass()->forward(std::vector{shape}, keys, keys, as_heads(std::as_const(value), sequences, 1),
                                as_heads(out, sequences, 1), serial);
    return out;
  }

  /// weight(cosine, largest cosine), divided by their sum, over the keys before each.
  template <class Weight>
  RowMatrix<double> expected(const Weight& weight) const {
    RowMatrix<double> result = RowMatrix<double>::Zero(tokens, 3);
    for (Index i = 1; i < tokens; ++i) {
      const Eigen::VectorXd cosine = key.topRows(i) * key.row(i).transpose();
      const Eigen::VectorXd weights = cosine.unaryExpr([&](double c) { return weight(c, cosine.maxCoeff()); });
      if (weights.sum() > 0) result.row(i) = weights.transpose() * value.topRows(i) / weights.sum();
    }
    return result;
  }
};

npy::Array load(const std::string& method, const std::string& name) {
  return npy::read(NADARAYA_TEST_DATA "/mosaic/" + method + "/" + name + ".npy");
}

std::vector<int> load_tokens(const std::string& method, const std::string& name) {
  return npy::read_integers(NADARAYA_TEST_DATA "/mosaic/" + method + "/" + name + ".npy").values;
}

/// max |a - b| / max |b|: what the fixtures promise is 1e-9.
double relative_error(const double* actual, const npy::Array& expected) {
  double error = 0, scale = 0;
  for (std::size_t i = 0; i < expected.bytes.size() / 8; ++i) {
    const double difference = std::abs(actual[i] - expected.data<double>()[i]);
    if (!(difference <= error)) error = difference;
    scale = std::max(scale, std::abs(expected.data<double>()[i]));
  }
  return error / scale;
}

void require_fixture(const std::string& method, const KernelChoice<double>& kernel, double expected_loss) {
  const Model<double> model({29, 2, 2, 16, 40}, kernel);
  Parameters<double> parameters(model.layout()), grads(model.layout());
  for (const auto& entry : model.layout().entries()) {
    const npy::Array array = load(method, "param." + entry.name);
    REQUIRE(array.shape == std::vector<std::size_t>(entry.shape.begin(), entry.shape.end()));
    std::copy_n(array.data<double>(), entry.slot.size(), parameters[entry.slot].data());
  }
  Model<double>::Tape tape;
  RowMatrix<double> grad;
  model.forward(parameters, load_tokens(method, "tokens"), {2, 24}, tape, serial);
  REQUIRE(std::abs(cross_entropy(tape.logits, load_tokens(method, "targets"), &grad, serial) - expected_loss) <= 1e-9);
  REQUIRE(relative_error(tape.logits.data(), load(method, "logits")) <= 1e-9);
  model.backward(parameters, tape, grad, grads, serial);
  for (const auto& entry : model.layout().entries()) {
    INFO(entry.name);
    REQUIRE(relative_error(grads[entry.slot].data(), load(method, "grad." + entry.name)) <= 1e-9);
  }
}

/// A small model with parameters, and a step of it.
struct Small {
  Model<double> model;
  Parameters<double> parameters;
  std::vector<int> tokens, targets;
  Sequences shape{3, 7};
  Dropout dropout{0.2, 1, 5};

  explicit Small(const KernelChoice<double>& kernel) : model({5, 2, 2, 6, 4}, kernel), parameters(model.layout()) {
    Random random(21);
    for (const auto& entry : model.layout().entries()) {
      for (Index i = 0; i < entry.slot.size(); ++i) {
        parameters[entry.slot].data()[i] = entry.shape.size() > 1 ? random.normal() : 0.1 + 0.1 * random.uniform();
      }
    }
    for (int t = 0; t < 21; ++t) {
      tokens.push_back(static_cast<int>(random.below(5)));
      targets.push_back(static_cast<int>(random.below(5)));
    }
  }

  double loss(const AnyExecutor& executor, Parameters<double>* grads = nullptr) const {
    Model<double>::Tape tape;
    RowMatrix<double> grad;
    model.forward(parameters, tokens, shape, tape, executor, dropout);
    const double value = cross_entropy(tape.logits, std::span<const int>(targets), &grad, executor);
    if (grads != nullptr) model.backward(parameters, tape, grad, *grads, executor);
    return value;
  }
};

}  // namespace

TEST_CASE("memories of kernels without a fixture follow their formulas", "[mosaic]") {
  OneHead head;
  const double beta = 1.3;
  // h = 1 / beta: [q.k / gamma + b]_+ with gamma = h^2 / 2, b = 1 - 2 / h^2.
  const auto relu = head.expected([&](double c, double) { return std::max(0.0, 2 * beta * beta * c + 1 - 2 * beta * beta); });
  REQUIRE((relu.rowwise().squaredNorm().array() == 0).count() > 1);  // rows that are empty
  REQUIRE(difference(head.read(kernel_of("normalized ReLU"), {beta, 0}), relu, 1e-13) == "");
  const auto relumax = head.expected([&](double c, double top) { return std::max(0.0, 1 + beta * beta * (c - top)); });
  REQUIRE(difference(head.read(kernel_of("ReLUmax"), {beta, 0}), relumax, 1e-13) == "");
  const RowMatrix<double> biweight = head.read(kernel_of("biweight"), {beta, 0});
  REQUIRE(difference(head.read(kernel_of("learned alpha"), {beta, 1.5}), biweight, 1e-13) == "");
  const RowMatrix<double> sparsemax = head.read(kernel_of("epanechnikov"), {beta, 0});
  REQUIRE(difference(head.read(kernel_of("learned alpha"), {beta, 2.0}), sparsemax, 1e-13) == "");
}

TEST_CASE("gradients of the contextual memory of every kernel", "[mosaic]") {
  const Sequences shape{2, 7};
  for (const Choice& choice : all_kernels()) {
    INFO(choice.name);
    Problem p;
    const ContextualMemory<double> memory(p.layout, "", Problem::width, Problem::heads, choice.kernel);
    p.draw(shape.tokens(), 31, 0.03);
    ContextualMemory<double>::Tape tape;
    memory.forward(p.parameters, shape, p.x, tape, serial);
    REQUIRE(tape.out.row(0).isZero(0));
    REQUIRE(tape.out.row(7).isZero(0));
    // Every kernel is seen where it matters: it leaves out keys, if it ever does.
    const double visible = (0 + 1 + 2 + 3 + 4 + 5 + 6) / 7.0;
    const SupportStatistics statistics = tape.pass->statistics();
    REQUIRE((choice.name == "softmax" ? statistics.mean_support == visible : statistics.mean_support < visible));
    REQUIRE(statistics.empty_rows >= 4);
    memory.backward(p.parameters, shape, p.x, tape, p.weights, p.grads, p.grad_x, serial);
    p.require_right([&] {
      ContextualMemory<double>::Tape again;
      memory.forward(p.parameters, shape, p.x, again, serial);
      return p.loss(again.out);
    });
    REQUIRE((p.grads[p.layout.find("kernel_beta")->slot](0, 0) == 0) == (choice.name == "top-3 uniform"));
  }
}

TEST_CASE("gradients of the persistent memory", "[mosaic]") {
  const Sequences shape{2, 4};
  Problem p;
  const PersistentMemory<double> memory(p.layout, "", Problem::width, Problem::heads, 5);
  p.draw(shape.tokens(), 41, 0.03);
  PersistentMemory<double>::Tape tape;
  memory.forward(p.parameters, shape, p.x, tape, serial);
  memory.backward(p.parameters, shape, p.x, tape, p.weights, p.grads, p.grad_x, serial);
  p.require_right([&] {
    PersistentMemory<double>::Tape again;
    memory.forward(p.parameters, shape, p.x, again, serial);
    return p.loss(again.out);
  });
}

TEST_CASE("logits, loss and all gradients of the fixtures", "[mosaic]") {
  require_fixture("biweight", kernel_of("biweight"), 3.437957694204675);
  require_fixture("top4_softmax", kernel_choice<double>(NearestMemory<Gaussian>{4}), 3.4286406748796234);
}

TEST_CASE("gradients of the whole model, dropout included", "[mosaic]") {
  Small small(kernel_of("biweight"));
  Parameters<double> grads(small.model.layout());
  small.loss(serial, &grads);
  require_gradients(small.model.layout(), small.parameters, grads, [&] { return small.loss(serial); });
}

TEST_CASE("a prediction depends on what came before it", "[mosaic]") {
  const Small small(kernel_of("biweight"));
  Model<double>::Tape tape, other;
  small.model.forward(small.parameters, small.tokens, small.shape, tape, serial);
  for (std::size_t changed = 0; changed < 21; ++changed) {
    std::vector<int> tokens = small.tokens;
    tokens[changed] = (tokens[changed] + 1) % 5;
    small.model.forward(small.parameters, tokens, small.shape, other, serial);  // on a used tape
    for (std::size_t t = 0; t < 21; ++t) {
      const bool may_differ = t >= changed && t / 7 == changed / 7;
      const auto row = static_cast<Index>(t);
      REQUIRE((may_differ || tape.logits.row(row) == other.logits.row(row)));
      REQUIRE((t != changed || tape.logits.row(row) != other.logits.row(row)));
    }
  }
}

TEST_CASE("a model that reads on says what it says of the whole", "[mosaic]") {
  for (const Choice& choice : all_kernels()) {
    INFO(choice.name);
    const Small small(choice.kernel);
    Model<double>::Tape whole, tape;
    small.model.forward(small.parameters, small.tokens, small.shape, whole, serial);
    Model<double>::Past past = small.model.past(small.shape.count, 9);
    for (const Index n : {1, 1, 3, 2}) {
      const Index first = past.tokens;
      std::vector<int> tokens;
      for (Index s = 0; s < small.shape.count; ++s) {
        const auto from = small.tokens.begin() + s * small.shape.length + first;
        tokens.insert(tokens.end(), from, from + n);
      }
      small.model.extend(small.parameters, tokens, past, tape, serial);
      REQUIRE(past.tokens == first + n);
      for (Index s = 0; s < small.shape.count; ++s) {
        const RowMatrix<double> expected = whole.logits.middleRows(s * small.shape.length + first, n);
        REQUIRE(difference(tape.logits.middleRows(s * n, n), expected, 1e-13) == "");
      }
    }
    REQUIRE(past.tokens == small.shape.length);
  }
}

TEST_CASE("what a model that reads on refuses, and then has not read", "[mosaic]") {
  const Small small(kernel_of("softmax"));
  Model<double>::Tape tape, expected;
  Model<double>::Past past = small.model.past(2, 3), other = past;
  const auto refused = [&](const std::vector<int>& tokens, const std::string& why) {
    REQUIRE_THROWS_WITH(small.model.extend(small.parameters, tokens, past, tape, serial), "nadaraya::mosaic::Model::" + why);
  };
  refused({}, "extend: there are 0 tokens for 2 sequences");
  refused({1, 2, 3}, "extend: there are 3 tokens for 2 sequences");
  refused({1, 2, 3, 4, 1, 2, 3, 4}, "extend: there are 0 and 4 tokens for a capacity of 3");
  refused({1, 5}, "extend: token 1 is 5, and the vocabulary has 5");
  small.model.extend(small.parameters, std::vector{1, 2, 3, 4}, past, tape, serial);
  refused({1, 2, 3, 4}, "extend: there are 2 and 2 tokens for a capacity of 3");
  small.model.extend(small.parameters, std::vector{1, 2, 3, 4}, other, expected, serial);
  small.model.extend(small.parameters, std::vector{0, 4}, past, tape, serial);
  small.model.extend(small.parameters, std::vector{0, 4}, other, expected, serial);
  REQUIRE(tape.logits == expected.logits);
  REQUIRE_THROWS_WITH(small.model.past(-1, 3), catch_shim::contains("there are -1 sequences of at most 3 tokens"));
}

TEST_CASE("the same bits with any number of threads", "[mosaic]") {
  // Wide enough that every module has several pieces of work.
  Small small(kernel_of("biweight"));
  small.shape = {9, 21};
  small.tokens.clear();
  for (int t = 0; t < 189; ++t) small.tokens.push_back(t * t % 5);
  small.targets = small.tokens;
  Parameters<double> expected(small.model.layout());
  const double loss = small.loss(serial, &expected);
  const auto require_same = [&](const AnyExecutor& executor) {
    Parameters<double> grads(small.model.layout());
    REQUIRE(small.loss(executor, &grads) == loss);
    REQUIRE((grads.vector() == expected.vector()).all());
  };
  for (const int threads : {2, 3, 4, 8}) {
    const test::EachOf each{threads};
    for (int repetition = 0; repetition < 5; ++repetition) require_same(each);
  }
  const Threads threads{3};
  require_same(threads);
}

TEST_CASE("what a model refuses", "[mosaic]") {
  const KernelChoice<double>& kernel = kernel_of("softmax");
  REQUIRE_THROWS_WITH(Model<double>({5, 1, 4, 6, 2}, kernel), "nadaraya::mosaic::Model: heads must divide width, got 4 and 6");
  REQUIRE_THROWS_WITH(Model<double>({5, 0, 2, 6, 2}, kernel), "nadaraya::mosaic::Model: layers must be at least 1, got 0");
  const Model<double> model({5, 1, 2, 6, 2}, kernel);
  Parameters<double> parameters(model.layout()), none;
  Model<double>::Tape tape;
  REQUIRE_THROWS_WITH(model.forward(parameters, std::vector{1, 2, 3}, {2, 2}, tape, serial),
                      "nadaraya::mosaic::Model::forward: there are 3 tokens for 2 sequences of 2");
  REQUIRE_THROWS_WITH(model.forward(parameters, std::vector{1, 5}, {1, 2}, tape, serial),
                      "nadaraya::mosaic::Model::forward: token 1 is 5, and the vocabulary has 5");
  REQUIRE_THROWS_WITH(model.forward(parameters, std::vector{-1, 4}, {1, 2}, tape, serial),
                      "nadaraya::mosaic::Model::forward: token 0 is -1, and the vocabulary has 5");
  REQUIRE_THROWS_WITH(model.forward(none, std::vector{1, 4}, {1, 2}, tape, serial),
                      catch_shim::contains("there are 0 numbers for"));
  REQUIRE_THROWS_WITH(model.forward(parameters, std::vector{1, 4}, {1, 2}, tape, serial, Dropout{1.5}),
                      catch_shim::contains("Dropout: rate must be in [0, 1)"));
}
