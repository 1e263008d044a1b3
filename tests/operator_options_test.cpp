// Options are read, changed and checked, and messages spell them as their user has.
#include <nadaraya/operator_options.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/message.hpp"

#include <string>
#include <utility>

using namespace nadaraya;
using catch_shim::contains;
using test::message;

TEST_CASE("options are read from name=value", "[options]") {
  const auto o = OperatorOptions::parse(
      " kernel=polynomial\talpha=1.5 mask=window window=3\nnormalization=nearest neighbors=7 similarity=cosine scale=2e-3 ");
  REQUIRE(o.kernel == "polynomial");
  REQUIRE(o.normalization == "nearest");
  REQUIRE(o.similarity == "cosine");
  REQUIRE(o.mask == "window");
  REQUIRE(o.alpha == 1.5);
  REQUIRE(o.scale == 2e-3);
  REQUIRE(o.neighbors == Index{7});
  REQUIRE(o.window == Index{3});
  REQUIRE(!o.exponent);
  REQUIRE(o.fractions() == "alpha=1.5 scale=0.002");
}

TEST_CASE("a number that cannot be set leaves the options as they were", "[options]") {
  auto o = OperatorOptions::parse("kernel=biweight mask=window window=3");
  o.set("window", 4);
  o.set("scale", -2);
  for (const auto& change : {std::pair{"window", 0.0}, {"window", 2.5}, {"window", 1e300}, {"bandwidth", 1.0}, {"exponent", 1.0},
                             {"kernel", 1.0}}) {
    const char* const name = change.first;
    const double value = change.second;
    INFO(name << ' ' << value);
    REQUIRE(message([&] { o.set(name, value); }) != "nothing was thrown");
    REQUIRE(o.window == Index{4});
    REQUIRE(o.scale == -2.0);
    REQUIRE(!o.bandwidth);
    REQUIRE(!o.exponent);
  }
}

TEST_CASE("messages spell options as their user has", "[options]") {
  OperatorOptions o{.kernel = "polynomial"};
  const auto complaint = [&](const OptionSpelling& spelling) {
    o.spelling = spelling;
    return message([&] { o.validate(); });
  };
  REQUIRE_THAT(complaint(OptionSpelling::assignment), contains(": kernel=polynomial needs exponent or alpha"));
  REQUIRE_THAT(complaint(OptionSpelling::command_line), contains(": --kernel polynomial needs --exponent or --alpha"));
  REQUIRE_THAT(complaint(OptionSpelling::keyword), contains(": kernel polynomial needs exponent or alpha"));
  o.alpha = 0.5;
  REQUIRE_THAT(complaint(OptionSpelling::command_line), contains(": --alpha must be finite and exceed 1"));
}

TEST_CASE("a ridge goes with the mixes that fit", "[options]") {
  auto o = OperatorOptions::parse("kernel=biweight mix=linear ridge=1e-3");
  REQUIRE(o.mix == "linear");
  REQUIRE(o.ridge == 1e-3);
  o.set("ridge", 0.5);
  REQUIRE(o.fractions() == "ridge=0.5");
  REQUIRE_THAT(message([&] { o.set("ridge", 0); }), contains("ridge must be positive and finite, got 0"));
  REQUIRE(o.ridge == 0.5);
  o.spelling = OptionSpelling::command_line;
  o.mix = "constant";
  REQUIRE_THAT(message([&] { o.validate(); }), contains(": --ridge goes with --mix linear, quadratic or cubic only"));
  o.mix = "square";
  REQUIRE_THAT(message([&] { o.validate(); }), contains("--mix must be one of constant, linear, quadratic, cubic; got 'square'"));
  REQUIRE(OperatorOptions::parse("kernel=biweight").mix == "constant");
  OperatorOptions::parse("kernel=biweight mix=cubic").validate();
}

TEST_CASE("the checks of a similarity and of a mask read nothing else", "[options]") {
  OperatorOptions o{.kernel = "none such", .similarity = "cosine", .mask = "causal"};
  o.validate_similarity();
  o.validate_mask();
  o.scale = 0.0;
  o.window = 3;
  REQUIRE_THAT(message([&] { o.validate_similarity(); }), contains("scale must be positive with similarity=cosine, got 0"));
  REQUIRE_THAT(message([&] { o.validate_mask(); }), contains("window goes with mask=window only"));
}
