// The command fit of the program regression: its numbers are the library's, its files are whole, and refusals name the option.
#ifdef NADARAYA_REGRESSION

#include "tests/support/program.hpp"

#include <nadaraya/regression/kernel_classifier.hpp>
#include <nadaraya/regression/local_regression.hpp>
#include <nadaraya/regression/plug_in.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

using namespace nadaraya::test;
using nadaraya::Index;

namespace {

using Matrix = nadaraya::RowMatrix<double>;

/// y of a and b, in a grid that no formula repeats.
Matrix example(Index n = 60) {
  Matrix rows(n, 3);
  for (Index i = 0; i < n; ++i) {
    const double a = static_cast<double>(i) / 10, b = static_cast<double>((i * i * 7) % 31) / 31;
    rows.row(i) << a, b, std::sin(a) + b * b + 0.1 * std::cos(37.0 * static_cast<double>(i));
  }
  return rows;
}

std::string digits(double x) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.17g", x);
  return buffer;
}

std::string file(const Matrix& rows, const std::string& names = "a,b,y\n") {
  std::string text = names;
  for (Index i = 0; i < rows.rows(); ++i) {
    for (Index d = 0; d < rows.cols(); ++d) text += (d == 0 ? "" : ",") + digits(rows(i, d));
    text += "\n";
  }
  return text;
}

std::string fit(const Folder& folder, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "fit");
  const Outcome outcome = run_program(NADARAYA_REGRESSION, folder, arguments);
  INFO(outcome.err);
  REQUIRE(outcome.err == "");
  REQUIRE(outcome.exit_code == 0);
  return outcome.out;
}

std::string fit(const std::string& text, std::vector<std::string> arguments) {
  const Folder folder;
  folder.put("data.csv", text);
  arguments.insert(arguments.begin(), "data.csv");
  return fit(folder, arguments);
}

void refused(const std::string& text, std::vector<std::string> arguments, const std::string& reason) {
  const Folder folder;
  folder.put("data.csv", text);
  arguments.insert(arguments.begin(), {"fit", "data.csv"});
  require_refused(NADARAYA_REGRESSION, folder, arguments, reason);
}

/// The numbers of a file whose first line holds names; NaN for an empty cell.
Matrix numbers(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  std::vector<double> all;
  Index rows = 0;
  for (; std::getline(lines, line); ++rows) {
    std::istringstream cells(line + ",");
    for (std::string cell; std::getline(cells, cell, ',');) all.push_back(cell.empty() ? std::nan("") : std::stod(cell));
  }
  return Eigen::Map<const Matrix>(all.data(), rows, static_cast<Index>(all.size()) / rows);
}

double distance(const Matrix& a, const Matrix& b) {
  REQUIRE(a.rows() == b.rows());
  REQUIRE(a.cols() == b.cols());
  return (a - b).cwiseAbs().maxCoeff<Eigen::PropagateNaN>();
}

}  // namespace

TEST_CASE("predictions and intervals are those of LocalRegression", "[program]") {
  const Matrix rows = example();
  Matrix more = example(20).leftCols(2);
  more.array() += 0.03;
  const Folder folder;
  folder.put("data.csv", file(rows));
  folder.put("new.csv", file(more, "a,b\n"));
  fit(folder, {"data.csv", "--response", "y", "--predictors", "a,b", "--bandwidth", "1.5,0.8", "--degree", "2", "--level", "0.9",
               "--predict", "new.csv", "--output", "out.csv"});
  const std::string out = folder.content("out.csv");
  REQUIRE(out.substr(0, out.find('\n')) == "\"a\",\"b\",fit,standard_error,lower,upper");
  const Matrix table = numbers(out);
  const nadaraya::LocalRegression model(nadaraya::Biweight{}, Eigen::Vector2d(1.5, 0.8), rows.leftCols(2), rows.col(2), {.degree = 2});
  const auto band = model.intervals(more, model.diagnose(), 0.9);
  Matrix expected(20, 6);
  expected << more, band.values, band.standard_errors, band.lower, band.upper;
  REQUIRE(distance(table, expected) <= 1e-9);

  fit(folder, {"data.csv", "--response", "y", "--predictors", "a,b", "--bandwidth", "1.5,0.8", "--degree", "2", "--band", "simultaneous",
               "--predict", "new.csv", "--output", "band.csv"});
  const auto together = model.bands(more, model.diagnose(), 0.95);
  expected.rightCols(2) << together.lower, together.upper;
  REQUIRE(distance(numbers(folder.content("band.csv")), expected) <= 1e-9);
  expected.rightCols(2) << band.lower, band.upper;

  Matrix weighted(60, 4);
  weighted << rows, Eigen::VectorXd::LinSpaced(60, 1.0, 3.0);
  folder.put("weighted.csv", file(weighted, "a,b,y,w\n"));
  fit(folder, {"weighted.csv", "--response", "y", "--weights", "w", "--bandwidth", "1.5,0.8", "--predict", "new.csv", "--output", "weighted_out.csv"});
  const nadaraya::LocalRegression heavier(nadaraya::Biweight{}, Eigen::Vector2d(1.5, 0.8), rows.leftCols(2), rows.col(2),
                                          {.weights = weighted.col(3)});
  const auto of_weights = heavier.intervals(more, heavier.diagnose(), 0.95);
  Matrix expected_weighted(20, 6);
  expected_weighted << more, of_weights.values, of_weights.standard_errors, of_weights.lower, of_weights.upper;
  REQUIRE(distance(numbers(folder.content("weighted_out.csv")), expected_weighted) <= 1e-9);

  // Columns in another order, and quotation marks.
  folder.put("swapped.csv", "\"b\",\"a\"\n\"" + digits(more(3, 1)) + "\"," + digits(more(3, 0)) + "\n");
  fit(folder, {"data.csv", "--response", "y", "--predictors", "a,b", "--bandwidth", "1.5,0.8", "--degree", "2", "--level", "0.9",
               "--predict", "swapped.csv", "--output", "one.csv"});
  REQUIRE(distance(numbers(folder.content("one.csv")), expected.row(3)) <= 1e-9);
}

TEST_CASE("categories are named, or ranked", "[program]") {
  const Matrix rows = example();
  Matrix coded(60, 4);
  std::string text = "a,place,grade,y\n";
  for (Index i = 0; i < 60; ++i) {
    const bool south = i % 3 == 0;
    coded.row(i) << rows(i, 0), (south ? 0.0 : 1.0), static_cast<double>(i % 4), rows(i, 2) + (south ? 2.0 : 0.0);
    text += digits(coded(i, 0)) + "," + (south ? "\"south, far\"" : "north") + "," + digits(coded(i, 2)) + "," + digits(coded(i, 3)) + "\n";
  }
  const Folder folder;
  folder.put("data.csv", text);
  folder.put("new.csv", "a,place,grade\n0.75,north,2\n0.75,\"south, far\",2\n0.75,west,2\n");
  fit(folder, {"data.csv", "--response", "y", "--unordered", "place", "--ordered", "grade", "--bandwidth", "1.5,0.25,0.5", "--predict",
               "new.csv", "--output", "out.csv", "--summary", "fit.json"});
  using nadaraya::ColumnKind;
  const nadaraya::LocalRegression model(nadaraya::Biweight{}, Eigen::Vector3d(1.5, 0.25, 0.5), coded.leftCols(3), coded.col(3),
                                        {.columns = {ColumnKind::continuous, ColumnKind::unordered, ColumnKind::ordered}});
  Matrix queries(3, 3);
  queries << 0.75, 1.0, 2.0, 0.75, 0.0, 2.0, 0.75, 5.0, 2.0;
  const auto expected = model.predict(queries).values;
  std::istringstream lines(folder.content("out.csv"));
  std::string line;
  std::getline(lines, line);
  for (const auto& [place, i] : {std::pair{"\"north\"", 0}, std::pair{"\"south, far\"", 1}, std::pair{"\"west\"", 2}}) {
    std::getline(lines, line);
    const std::string before = std::string("0.75,") + place + ",2,";
    REQUIRE(line.substr(0, before.size()) == before);
    REQUIRE(std::abs(std::stod(line.substr(before.size())) - expected(i, 0)) <= 1e-9);
  }
  REQUIRE(folder.content("fit.json").find("\"unordered\"") != std::string::npos);
}

TEST_CASE("classes have the probabilities of KernelClassifier, and the accuracy of the rows left out", "[program]") {
  const Matrix rows = example();
  std::vector<Index> labels;
  std::string text = "a,b,kind\n";
  for (Index i = 0; i < rows.rows(); ++i) {
    labels.push_back(rows(i, 2) > 0.5 ? 0 : rows(i, 2) < -0.3 ? 2 : 1);
    text += digits(rows(i, 0)) + "," + digits(rows(i, 1)) + ",";
    text += std::vector<std::string>{"\"high, up\"", "middle", "low"}[static_cast<std::size_t>(labels.back())] + "\n";
  }
  // Classes are numbered as they are met.
  std::vector<Index> order;
  for (const Index label : labels) {
    if (std::find(order.begin(), order.end(), label) == order.end()) order.push_back(label);
  }
  REQUIRE(order.size() == 3);
  Matrix more(3, 2);
  more << 0.55, 0.3, 4.05, 0.7, 90.0, 0.5;
  const Folder folder;
  folder.put("data.csv", text);
  folder.put("new.csv", file(more, "a,b\n"));
  const auto check = [&](const auto& model, std::vector<std::string> options) {
    options.insert(options.begin(), {"data.csv", "--response", "kind", "--class", "--predict", "new.csv", "--output", "out.csv", "--summary", "s.json"});
    const std::string said = fit(folder, options);
    REQUIRE_THAT(said, catch_shim::contains("60 rows; biweight kernel, 3 classes\n"));
    char line[80];
    std::snprintf(line, sizeof line, "leave-one-out accuracy       %12.5g\n", 1 - model.criterion(nadaraya::ClassErrors{}));
    REQUIRE_THAT(said, catch_shim::contains(line));
    std::snprintf(line, sizeof line, "leave-one-out loss           %12.5g\n", model.criterion(nadaraya::ClassLikelihood{}));
    REQUIRE_THAT(said, catch_shim::contains(line));
    REQUIRE_THAT(folder.content("s.json"), catch_shim::contains("\"accuracy\""));
    const auto expected = model.predict(more);
    std::istringstream lines(folder.content("out.csv"));
    std::string one;
    std::getline(lines, one);
    REQUIRE_THAT(one, catch_shim::contains("\"probability of high, up\""));
    for (Index i = 0; i < 2; ++i) {
      std::getline(lines, one);
      std::vector<double> probabilities;
      std::istringstream cells(one.substr(one.rfind('"') + 2));
      for (std::string cell; std::getline(cells, cell, ',');) probabilities.push_back(std::stod(cell));
      REQUIRE(probabilities.size() == 3);
      for (std::size_t c = 0; c < 3; ++c) REQUIRE(std::abs(probabilities[c] - expected.probabilities(i, order[c])) <= 1e-9);
      const std::string name[] = {"\"high, up\"", "\"middle\"", "\"low\""};
      REQUIRE_THAT(one, catch_shim::contains(name[expected.labels[static_cast<std::size_t>(i)]]));
    }
    std::getline(lines, one);
    REQUIRE(one == "90,0.5,,,,");
    REQUIRE_THAT(said, catch_shim::contains("1 predictions are empty"));
  };
  const nadaraya::Biweight kernel;
  const Matrix x = rows.leftCols(2);
  check(nadaraya::KernelClassifier(kernel, Eigen::Vector2d(1.5, 0.8), x, labels), {"--bandwidth", "1.5,0.8"});
  check(nadaraya::KernelClassifier<nadaraya::Biweight>::fit(kernel, x, labels, nadaraya::ClassLikelihood{}), {});
  refused(text, {"--response", "kind", "--class", "--degree", "0"}, "--degree excludes --class");
  refused(text, {"--response", "kind", "--class", "--bandwidth", "aicc"}, "--bandwidth aicc is for a response of numbers");
  refused("a,kind\n1,x\n2,x\n3,x\n", {"--response", "kind", "--class"}, "--response kind: all rows are of class x");
}

TEST_CASE("the criterion chooses; the summary says what", "[program]") {
  const Matrix rows = example();
  const auto model = nadaraya::LocalRegression<nadaraya::Biweight>::fit({}, rows.leftCols(2), rows.col(2), nadaraya::LeaveOneOut{});
  for (const std::string names : {"a,b,y\n", ""}) {
    const Folder folder;
    folder.put("data.csv", file(rows, names));
    const std::string out = fit(folder, {"data.csv", "--response", names.empty() ? "3" : "y", "--summary", "s.json"});
    char line[80];
    std::snprintf(line, sizeof line, "bandwidth of %-15s %12.5g\n", names.empty() ? "column 1" : "a", model.scales()(0));
    REQUIRE_THAT(out, catch_shim::contains("60 rows; biweight kernel, degree 1\n"));
    REQUIRE_THAT(out, catch_shim::contains(line));
    const std::string json = folder.content("s.json");
    REQUIRE_THAT(json, catch_shim::contains("\"response\": \"" + std::string(names.empty() ? "column 3" : "y") + "\""));
    REQUIRE_THAT(json, catch_shim::contains("\"name\": \"loo\""));
    REQUIRE_THAT(json, catch_shim::contains("\"chosen_by\": \"loo\""));
  }
  const std::string single = fit(file(rows), {"--response", "y", "--predictors", "a", "--bandwidth", "plugin"});
  char plugin[80];
  std::snprintf(plugin, sizeof plugin, "bandwidth of a %26.5g\n", nadaraya::plug_in_bandwidth(nadaraya::Biweight{}, rows.col(0), rows.col(2)));
  REQUIRE_THAT(single, catch_shim::contains(plugin));
  const std::string by_count = fit(file(rows), {"--response", "y", "--neighbors", "8,16,32", "--bandwidth", "gcv", "--kernel", "epanechnikov"});
  REQUIRE_THAT(by_count, catch_shim::contains("neighbors"));
  REQUIRE_THAT(by_count, catch_shim::contains("cross-validation (gcv)"));
  REQUIRE_THAT(fit(file(rows), {"--response", "y", "--bandwidth", "aicc", "--kernel", "gaussian"}), catch_shim::contains("corrected AIC"));
}

TEST_CASE("the fit is that of the numbers, at any offset and in any unit", "[program]") {
  const auto predictions = [](const Matrix& rows, double unit) {
    const Folder folder;
    folder.put("data.csv", file(rows));
    fit(folder, {"data.csv", "--response", "y", "--output", "out.csv"});
    return Matrix(numbers(folder.content("out.csv")).rightCols(4) / unit);
  };
  const Matrix plain = predictions(example(), 1);
  for (const double unit : {0x1p-531, 0x1p530}) REQUIRE(distance(predictions(example() * unit, unit), plain) == 0.0);
  Matrix later = example();
  later.leftCols(2).array() += 1048576;  // rounds the data to 2^-32
  REQUIRE(distance(predictions(later, 1), plain) <= 1e-4);
}

TEST_CASE("rows that lack a number are refused, or dropped and named", "[program]") {
  const std::string text = file(example()) + "NA,1,2\n1,,3\n";
  refused(text, {"--response", "y"}, "data.csv: line 62, a: NA, where a number is needed; --missing drop leaves such rows out");
  const std::string out = fit(text, {"--response", "y", "--missing", "drop"});
  REQUIRE_THAT(out, catch_shim::contains("60 rows, 2 left out; biweight"));
  REQUIRE_THAT(out, catch_shim::contains("  line 62, a: NA\n  line 63, b: empty\n"));
  // A column that is not used may lack numbers.
  REQUIRE_THAT(fit(text, {"--response", "y", "--predictors", "b", "--missing", "drop"}), catch_shim::contains("61 rows, 1 left out"));
  refused(file(example()) + "1,x,2\n", {"--response", "y", "--missing", "drop"}, "data.csv: line 62, b: \"x\" is no number");
}

TEST_CASE("a prediction without a point is an empty cell", "[program]") {
  const Folder folder;
  folder.put("data.csv", file(example()));
  folder.put("new.csv", "a\n1\n90\n");
  const std::string out = fit(folder, {"data.csv", "--response", "y", "--predictors", "a", "--predict", "new.csv", "--output", "out.csv"});
  REQUIRE_THAT(folder.content("out.csv"), catch_shim::contains("\n90,,,,\n"));
  REQUIRE_THAT(out, catch_shim::contains("1 predictions are empty: no point is within the bandwidth\n"));
}

TEST_CASE("the picture has a panel for each predictor", "[program]") {
  if (!installed("gnuplot")) return;
  for (const std::string predictors : {"a", "a,b"}) {
    for (const std::string picture : {"fit.svg", "new/fit.png"}) {
      const Folder folder;
      folder.put("data.csv", file(example()));
      std::filesystem::create_directory(folder / "new");
      fit(folder, {"data.csv", "--response", "y", "--predictors", predictors, "--plot", picture});
      REQUIRE(std::filesystem::file_size(folder / picture) > 1000);
    }
  }
}

TEST_CASE("the command fit names the option that it cannot use", "[program]") {
  const std::string text = file(example());
  refused(text, {}, "--response is required");
  refused(text, {"--response", "z"}, "--response z: data.csv has no such column (a, b, y)");
  refused(text, {"--response", "y", "--predictors", "a,z"}, "--predictors z: data.csv has no such column");
  refused(text, {"--response", "y", "--predictors", "a,y"}, "--predictors: y is named twice, or is the response or the weights");
  refused("y\n1\n2\n3\n", {"--response", "y"}, "--predictors: data.csv has no column but the response");
  refused("x,y\n1,1\n1,2\n1,3\n", {"--response", "y"}, "--predictors: all rows have the same x");
  refused("x,y\n1,1\n2,2\n", {"--response", "y"}, "data.csv: it has 2 complete rows, and at least 3 are needed");
  refused(text, {"--response", "y", "--kernel", "box"}, "--kernel must be one of");
  refused(text, {"--response", "y", "--kernel", "polynomial"}, "--kernel polynomial needs");
  refused(text, {"--response", "y", "--bandwidth", "best"}, "--bandwidth best: it must be loo, gcv, aicc, plugin, or numbers");
  refused(text, {"--response", "y", "--bandwidth", "plugin"}, "--bandwidth plugin is for one predictor, got 2");
  refused(text, {"--response", "y", "--bandwidth", "1,2,3"}, "--bandwidth 1,2,3: one number is needed, or one for each of the 2 predictors");
  refused(text, {"--response", "y", "--bandwidth", "-1"}, "--bandwidth -1: a bandwidth must be positive");
  refused(text, {"--response", "y", "--bandwidth", "1", "--neighbors", "5"}, "exclude each other");
  refused(text, {"--response", "y", "--neighbors", "59"}, "neighbors must be from 1 to N - 2");
  refused(text, {"--response", "y", "--neighbors", "5", "--kernel", "gaussian"}, "neighbors need a compact kernel, got gaussian");
  refused(text, {"--response", "y", "--degree", "4"}, "the degree must be 0 to 3");
  refused(text, {"--response", "y", "--ridge", "-1"}, "ridge");
  refused(text, {"--response", "y", "--unordered", "y"}, "--unordered y: it is no predictor");
  refused(text, {"--response", "y", "--unordered", "a", "--ordered", "a"}, "--ordered a: it is named twice as a category");
  refused(text, {"--response", "y", "--ordered", "a", "--bandwidth", "0.5"}, "--bandwidth 0.5: one number is needed for each of the 2 predictors");
  refused(text, {"--response", "y", "--ordered", "a", "--bandwidth", "2,1"}, "--bandwidth 2,1: that of a category must be from 0 to 1");
  refused(text, {"--response", "y", "--ordered", "a,b", "--plot", "fit.svg"}, "--plot fit.svg: a picture needs a predictor without categories");
  refused(text, {"--response", "y", "--level", "1"}, "--level must be between 0 and 1");
  refused(text, {"--response", "y", "--band", "wide"}, "--band wide: it must be pointwise or simultaneous");
  refused(text, {"--response", "y", "--missing", "keep"}, "--missing keep: it must be refuse or drop");
  refused(text, {"--response", "y", "--predict", "data.csv"}, "--predict needs --output");
  refused(text, {"--response", "y", "--predict", "missing.csv", "--output", "o.csv"}, "--predict missing.csv: it cannot be opened");
  refused(text, {"--response", "y", "--output", "no/o.csv"}, "--output no/o.csv: it cannot be written");
  refused(text, {"--response", "y", "--plot", "fit.pdf"}, "--plot fit.pdf: it must end in .svg or .png");
  refused(text, {"--response", "y", "--threads", "0"}, "--threads must be at least 1");
}

#endif
