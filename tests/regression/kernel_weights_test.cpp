// Product kernels, categorical columns, bandwidths of single points, densities and classifiers, against their definitions
// written out for each pair of points. One file, because the headers take longer to compile than the tests.
#include "nadaraya/regression/complete_rows.hpp"
#include "nadaraya/regression/kernel_classifier.hpp"
#include "nadaraya/regression/kernel_density.hpp"
#include "nadaraya/regression/local_regression.hpp"
#include "nadaraya/regression/plug_in.hpp"
#include "nadaraya/regression/residual_summary.hpp"
#include "nadaraya/regression/self_convolution.hpp"

#include "nadaraya/kernel/gaussian.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/kernel/uniform.hpp"

#include "regression/dense.hpp"
#include "support/catch.hpp"
#include "support/sanitized.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

using namespace nadaraya;
using namespace nadaraya::test;

namespace {

using Kinds = std::vector<ColumnKind>;

/// Two continuous columns, an unordered one of three levels and an ordered one of four; y depends on all but the ordered one.
struct MixedExample {
  Matrix x, y;
  Kinds kinds{ColumnKind::continuous, ColumnKind::unordered, ColumnKind::continuous, ColumnKind::ordered};
  Vector weights, factors;

  explicit MixedExample(Index n, unsigned seed = 3) : x(n, 4), y(n, 1), weights(n), factors(n) {
    Random random(seed);
    for (Index i = 0; i < n; ++i) {
      x.row(i) << random.uniform(), static_cast<double>(random.below(3)), 2 * random.uniform(), static_cast<double>(random.below(4));
      y(i) = std::sin(4 * x(i, 0)) + x(i, 2) * (x(i, 1) == 1 ? -1.0 : 1.0) + 0.2 * random.normal();
      weights(i) = 0.5 + random.uniform();
      factors(i) = 0.7 + 0.8 * random.uniform();
    }
  }
};

/// kappa of a point at q, times its weight, over factor^D; categories at lambda.
template <class K>
double slow_weight(const K& kernel, const Vector& h, const Kinds& kinds, const Vector& point, const Vector& q, double weight,
                   double factor) {
  double square = 0, product = 1, result = weight;
  for (Index d = 0; d < q.size(); ++d) {
    const ColumnKind kind = kinds.empty() ? ColumnKind::continuous : kinds[static_cast<std::size_t>(d)];
    if (kind == ColumnKind::continuous) {
      const double u = (point(d) - q(d)) / (h(d) * factor);
      square += u * u;
      product *= static_cast<double>(reference::profile(detail::factor_of(kernel), static_cast<long double>(u * u)));
      result /= factor;
    } else if (kind == ColumnKind::unordered) {
      result *= point(d) == q(d) ? 1.0 : h(d);
    } else {
      for (double rank = 0; rank < std::abs(point(d) - q(d)); rank += 1) result *= h(d);
    }
  }
  if (detail::is_product<K>) return result * product;
  return result * static_cast<double>(reference::profile(detail::factor_of(kernel), static_cast<long double>(square)));
}

/// The derivative by log h, or lambda, by central differences of fourth order.
template <class Value>
Vector slow_gradient(const Vector& h, const Kinds& kinds, const Value& value) {
  Vector gradient(h.size());
  for (Index d = 0; d < h.size(); ++d) {
    const bool logarithm = kinds.empty() || kinds[static_cast<std::size_t>(d)] == ColumnKind::continuous;
    const auto at = [&](double step) {
      Vector moved = h;
      moved(d) = logarithm ? moved(d) * std::exp(step) : moved(d) + step;
      return value(moved);
    };
    const double step = 1e-3;
    gradient(d) = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
  }
  return gradient;
}

bool agree(const Vector& a, const Vector& b, double tolerance) {
  for (Index i = 0; i < a.size(); ++i) {
    if (!(std::abs(a(i) - b(i)) <= tolerance * (0.1 + std::abs(b(i))))) return false;
  }
  return a.size() == b.size();
}

template <class K>
void check_regression(const K& kernel, const Vector& h, int degree) {
  constexpr Index n = sanitized ? 80 : 150;
  const MixedExample example(n);
  const LocalModel model{.degree = degree, .weights = example.weights, .columns = example.kinds, .factors = example.factors};
  const auto fit_at = [&](const Vector& bandwidths) { return LocalRegression<K>(kernel, bandwidths, example.x, example.y, model); };
  const auto fit = fit_at(h);
  const Vector at_points = fit.predict(example.x).values;
  for (Index i = 0; i < 20; ++i) {
    std::vector<double> w;
    Matrix continuous(n, 2);
    Vector query(2);
    query << example.x(i, 0) / h(0), example.x(i, 2) / h(2);
    for (Index j = 0; j < n; ++j) {
      continuous.row(j) << example.x(j, 0) / h(0), example.x(j, 2) / h(2);
      w.push_back(slow_weight(kernel, h, example.kinds, example.x.row(j), example.x.row(i), example.weights(j), example.factors(j)));
    }
    const auto c = reference::local_fit<double>(degree, model.ridge, query, continuous, w);
    double value = 0;
    for (std::size_t j = 0; j < c.size(); ++j) value += c[j] * example.y(static_cast<Index>(j));
    CAPTURE(i, degree);
    REQUIRE(std::abs(at_points(i) - value) <= 1e-8);
  }
  const auto check = [&](const auto& criterion) {
    const auto value = [&](const Vector& at) { return fit_at(at).criterion(criterion); };
    REQUIRE(agree(fit.criterion_gradient(criterion), slow_gradient(h, example.kinds, value), 1e-6));
  };
  check(LeaveOneOut{});
  check(CorrectedAic{});
}

}  // namespace

TEST_CASE("products, categories and factors are weights of least squares", "[regression][gradients]") {
  Vector h(4);
  h << 0.9, 0.3, 1.4, 0.6;
  check_regression(RectifiedPolynomial<4>{}, h, 1);
  check_regression(Product{RectifiedPolynomial<4>{}}, h, 1);
  h << 0.3, 0.3, 0.5, 0.6;
  check_regression(Product{Gaussian{}}, h, 0);
}

TEST_CASE("a category that matters keeps its levels apart, another is ignored", "[regression]") {
  const MixedExample example(300);
  const auto model = LocalRegression<Biweight>::fit(Biweight{}, example.x, example.y, LeaveOneOut{}, {.columns = example.kinds});
  REQUIRE(model.scales()(1) < 0.1);
  REQUIRE(model.scales()(3) > 0.6);
  REQUIRE(model.slopes(example.x.topRows(3), model.diagnose()).values.size() == 2);
  // At lambda = 0 a level is fitted alone, at 1 all are one.
  Vector h(4);
  h << 0.4, 0.0, 0.8, 1.0;
  const LocalRegression<Biweight> apart(Biweight{}, h, example.x, example.y, {.columns = example.kinds});
  Matrix x(0, 2), y(0, 1);
  for (Index i = 0; i < 300; ++i) {
    if (example.x(i, 1) != 2) continue;
    x.conservativeResize(x.rows() + 1, 2);
    y.conservativeResize(y.rows() + 1, 1);
    x.row(x.rows() - 1) << example.x(i, 0), example.x(i, 2);
    y.row(y.rows() - 1) = example.y.row(i);
  }
  const LocalRegression<Biweight> alone(Biweight{}, Eigen::Vector2d(0.4, 0.8), x, y);
  Matrix query(1, 4);
  query << 0.4, 2.0, 0.9, 1.0;
  REQUIRE(std::abs(apart.predict(query).values(0) - alone.predict(Eigen::RowVector2d(0.4, 0.9)).values(0)) <= 1e-12);
  // Categories alone: means of the levels, smoothed.
  const Matrix level = example.x.col(1);
  const auto means = LocalRegression<Biweight>::fit(Biweight{}, level, example.y, LeaveOneOut{},
                                                    {.degree = 0, .columns = {ColumnKind::unordered}});
  REQUIRE(means.scales()(0) >= 0);
  REQUIRE(means.scales()(0) < 0.5);
}

TEST_CASE("columns and factors without meaning are refused", "[regression]") {
  using catch_shim::contains;
  const MixedExample example(40);
  const auto make = [&](const Vector& h, const LocalModel& model) {
    return LocalRegression<Biweight>(Biweight{}, h, example.x, example.y, model);
  };
  const Vector ones = Vector::Ones(4);
  REQUIRE_THROWS_WITH(make(ones, {.columns = Kinds(3)}), contains("columns must have one kind for each column of x [40 x 4], got 3"));
  REQUIRE_THROWS_WITH(make(2 * ones, {.columns = example.kinds}), contains("bandwidth 1") && contains("from 0 to 1, got 2"));
  REQUIRE_THROWS_WITH(make(ones, {.factors = Vector::Zero(40)}), contains("factor 0 must be positive"));
  REQUIRE_THROWS_WITH(make(ones, {.factors = ones}), contains("factors must be one for each of 40 rows"));
  REQUIRE_THROWS_WITH((LocalRegression<Biweight>(Biweight{}, NearestNeighbors{5}, example.x, example.y, {.columns = example.kinds})),
                      contains("continuous columns"));
  REQUIRE_THROWS_AS((KernelDensity<Biweight>(Biweight{}, Vector::Zero(4), example.x)), std::invalid_argument);
  REQUIRE_THROWS_WITH((KernelDensity<Biweight>(Biweight{}, ones, example.x, {.factors = Vector::Ones(40)}))
                          .criterion(LeastSquaresCrossValidation{}),
                      contains("takes no factors"));
  REQUIRE_THROWS_WITH((KernelDensity<Biweight>(Biweight{}, ones, example.x)).density(example.y), contains("[40 x 4], got [40 x 1]"));
  REQUIRE_THROWS_WITH((KernelClassifier<Biweight>(Biweight{}, ones, example.x, {1, 2})), contains("one label for each row"));
}

// --- densities ---

TEST_CASE("integrals of kernels", "[regression][density]") {
  const double pi = std::acos(-1.0);
  const auto equal = [](double a, double b) { return std::abs(a - b) <= 1e-12 * b; };
  REQUIRE(equal(kernel_integral(Biweight{}, 1), 16.0 / 15));
  REQUIRE(equal(kernel_integral(Epanechnikov{}, 2), pi / 2));
  REQUIRE(equal(kernel_integral(Uniform{}, 5), 8 * pi * pi / 15));
  REQUIRE(equal(kernel_integral(Gaussian{}, 3), std::pow(2 * pi, 1.5)));
  REQUIRE(equal(kernel_integral(Product{Epanechnikov{}}, 3), 64.0 / 27));
  // Epanechnikov's convolution in one dimension is 3/160 (2 - s)^3 (s^2 + 6 s + 4) (Marron and Wand 1992).
  const auto convolution = detail::SelfConvolution::of(Epanechnikov{}, 1);
  double slope = 0;
  for (const double s : {0.0, 0.3, 1.0, 1.7}) {
    REQUIRE(std::abs(convolution(s, slope) - 3.0 / 160 * std::pow(2 - s, 3) * (s * s + 6 * s + 4)) <= 1e-7);
  }
}

namespace {

/// The integral over continuous columns and sum over levels of the kernel of each point.
template <class K>
Vector slow_normalizers(const K& kernel, const Vector& h, const Matrix& x, const DensityModel& model) {
  const auto kind = [&](Index d) { return model.columns.empty() ? ColumnKind::continuous : model.columns[static_cast<std::size_t>(d)]; };
  Index continuous = 0;
  double widths = 1;
  for (Index d = 0; d < h.size(); ++d) {
    if (kind(d) != ColumnKind::continuous) continue;
    ++continuous;
    widths *= h(d);
  }
  Vector normalizers = Vector::Constant(x.rows(), kernel_integral(kernel, continuous) * widths);
  for (Index d = 0; d < h.size(); ++d) {
    if (kind(d) == ColumnKind::continuous) continue;
    const std::set<double> levels(x.col(d).begin(), x.col(d).end());
    for (Index j = 0; j < x.rows(); ++j) {
      double over_levels = 0;
      for (const double level : levels) {
        const double distance = std::abs(level - x(j, d));
        over_levels += distance == 0 ? 1 : std::pow(h(d), kind(d) == ColumnKind::ordered ? distance : 1);
      }
      normalizers(j) *= over_levels;
    }
  }
  return normalizers;
}

/// f(q) over all points but one.
template <class K>
double slow_density(const K& kernel, const Vector& h, const Matrix& x, const DensityModel& model, const Vector& normalizers, const Vector& q,
                    Index left_out) {
  double sum = 0, total = 0;
  for (Index j = 0; j < x.rows(); ++j) {
    if (j == left_out) continue;
    const double weight = model.weights.size() > 0 ? model.weights(j) : 1.0, factor = model.factors.size() > 0 ? model.factors(j) : 1.0;
    sum += slow_weight(kernel, h, model.columns, x.row(j), q, weight, factor) / normalizers(j);
    total += weight;
  }
  return sum / total;
}

template <class K>
void check_density(const K& kernel, const Vector& h, const Matrix& x, const DensityModel& model, bool least_squares) {
  const KernelDensity<K> density(kernel, h, x, model);
  const Vector values = density.density(x), normalizers = slow_normalizers(kernel, h, x, model);
  double likelihood = 0, total = 0;
  for (Index i = 0; i < x.rows(); ++i) {
    REQUIRE(std::abs(values(i) - slow_density(kernel, h, x, model, normalizers, x.row(i), -1)) <= 1e-10 * values(i));
    const double weight = model.weights.size() > 0 ? model.weights(i) : 1.0;
    likelihood -= weight * std::log(slow_density(kernel, h, x, model, normalizers, x.row(i), i));
    total += weight;
  }
  REQUIRE(std::abs(density.criterion(LikelihoodCrossValidation{}) - likelihood / total) <= 1e-9);
  const auto check = [&](const auto& criterion) {
    const auto value = [&](const Vector& at) { return KernelDensity<K>(kernel, at, x, model).criterion(criterion); };
    REQUIRE(agree(density.criterion_gradient(criterion), slow_gradient(h, model.columns, value), 1e-5));
  };
  check(LikelihoodCrossValidation{});
  if (least_squares) check(LeastSquaresCrossValidation{});
}

}  // namespace

TEST_CASE("densities, their criteria and gradients", "[regression][density][gradients]") {
  const MixedExample example(80);
  Vector h(4);
  h << 0.9, 0.3, 1.9, 0.6;
  check_density(RectifiedPolynomial<4>{}, h, example.x, {.weights = example.weights, .columns = example.kinds}, true);
  check_density(Product{RectifiedPolynomial<4>{}}, h, example.x, {example.weights, example.kinds, example.factors}, false);
  check_density(Product{RectifiedPolynomial<4>{}}, h, example.x, {example.weights, example.kinds, {}}, true);
  check_density(Gaussian{}, Vector::Constant(1, 0.2), example.x.col(0), {}, true);
  check_density(Gaussian{}, Eigen::Vector2d(0.2, 0.4), example.x.leftCols(1) * Eigen::RowVector2d(1, -1) + example.x.rightCols(2), {}, true);
}

TEST_CASE("a density integrates to one, and its square to the criterion's", "[regression][density]") {
  const MixedExample example(40);
  Matrix x(40, 2);
  x << example.x.col(0), example.x.col(3);
  const DensityModel model{.weights = example.weights, .columns = {ColumnKind::continuous, ColumnKind::ordered}};
  const KernelDensity<Biweight> density(Biweight{}, Eigen::Vector2d(0.4, 0.3), x, model);
  const Index steps = 4000;
  double integral = 0, square = 0, left_out = 0;
  for (double level = 0; level < 4; ++level) {
    Matrix at(steps, 2);
    at.col(0) = Vector::LinSpaced(steps, -1.0, 2.0);
    at.col(1).setConstant(level);
    const Vector f = density.density(at);
    integral += f.sum() * 3.0 / (steps - 1);
    square += f.squaredNorm() * 3.0 / (steps - 1);
  }
  REQUIRE(std::abs(integral - 1) <= 1e-6);
  const Eigen::Vector2d h(0.4, 0.3);
  const Vector normalizers = slow_normalizers(Biweight{}, h, x, model);
  for (Index i = 0; i < 40; ++i) left_out += example.weights(i) * slow_density(Biweight{}, h, x, model, normalizers, x.row(i), i);
  REQUIRE(std::abs(density.criterion(LeastSquaresCrossValidation{}) - (square - 2 * left_out / example.weights.sum())) <= 1e-6);
}

TEST_CASE("bandwidths of densities", "[regression][density]") {
  Random random(5);
  constexpr Index n = sanitized ? 150 : 400;
  const Matrix x = random.normal<double>(n, 1);
  const Vector sigma = detail::column_deviations(x);
  REQUIRE(std::abs(silverman_bandwidths(Gaussian{}, x)(0) - sigma(0) * std::pow(4.0 / 3 / n, 0.2)) <= 1e-6);
  REQUIRE(std::abs(scott_bandwidths(Gaussian{}, x)(0) - sigma(0) * std::pow(double(n), -0.2)) <= 1e-6);
  const auto check = [&](const auto& criterion) {
    const auto density = KernelDensity<Gaussian>::fit(Gaussian{}, x, criterion);
    const double best = density.criterion(criterion);
    for (double h = 0.1; h < 1; h *= 1.2) {
      REQUIRE(best <= KernelDensity<Gaussian>(Gaussian{}, Vector::Constant(1, h), x).criterion(criterion) + 1e-9);
    }
    REQUIRE(density.bandwidths()(0) > 0.1);
    REQUIRE(density.bandwidths()(0) < 1);
  };
  check(LikelihoodCrossValidation{});
  check(LeastSquaresCrossValidation{});

  const Vector h = silverman_bandwidths(Biweight{}, x), factors = abramson_factors(Biweight{}, h, x);
  REQUIRE(std::abs(factors.array().log().sum()) <= 1e-10);
  const Vector pilot = KernelDensity<Biweight>(Biweight{}, h, x).density(x);
  REQUIRE(std::abs(factors(3) / factors(4) - std::sqrt(pilot(4) / pilot(3))) <= 1e-12);
  // A lone point counts as 1 / N^2 over the range.
  Matrix lone = Matrix::Zero(4, 1);
  lone(3) = 2;
  const double far = KernelDensity<Epanechnikov>(Epanechnikov{}, Vector::Constant(1, 0.5), lone).criterion(LikelihoodCrossValidation{});
  const double together = 0.75 / 0.5 * 2 / 3;
  REQUIRE(std::abs(far + (3 * std::log(together) + std::log(1 / (16 * 2.0))) / 4) <= 1e-12);
  REQUIRE(KernelDensity<Epanechnikov>(Epanechnikov{}, Vector::Constant(1, 0.5), lone).log_density(Vector::Constant(1, 9.0))(0) ==
          -std::numeric_limits<double>::infinity());
}

// --- classification ---

TEST_CASE("class probabilities are shares of weights", "[regression][classification]") {
  const MixedExample example(120);
  std::vector<Index> labels;
  for (Index i = 0; i < 120; ++i) labels.push_back(example.y(i) > 0.5 ? 7 : (example.y(i) > -0.5 ? -2 : 3));
  Vector h(4);
  h << 0.7, 0.4, 1.1, 0.8;
  const ClassifierModel model{.weights = example.weights, .columns = example.kinds};
  const auto at = [&](const Vector& bandwidths) {
    return KernelClassifier<RectifiedPolynomial<4>>(RectifiedPolynomial<4>{}, bandwidths, example.x, labels, model);
  };
  const auto classifier = at(h);
  REQUIRE(classifier.classes() == std::vector<Index>{-2, 3, 7});
  const auto prediction = classifier.predict(example.x);
  double likelihood = 0, errors = 0;
  for (Index i = 0; i < 120; ++i) {
    Vector all = Vector::Zero(3), left = Vector::Zero(3);
    for (Index j = 0; j < 120; ++j) {
      const Index c = labels[static_cast<std::size_t>(j)] == -2 ? 0 : (labels[static_cast<std::size_t>(j)] == 3 ? 1 : 2);
      const double w = slow_weight(classifier.kernel(), h, example.kinds, example.x.row(j), example.x.row(i), example.weights(j), 1);
      all(c) += w;
      if (j != i) left(c) += w;
    }
    REQUIRE(largest(prediction.probabilities.row(i).transpose() - all / all.sum()) <= 1e-12);
    const std::size_t row = static_cast<std::size_t>(i);
    const Index own = labels[row] == -2 ? 0 : (labels[row] == 3 ? 1 : 2);
    Index best = 0;
    left.maxCoeff(&best);
    likelihood -= example.weights(i) * std::log(119.0 / 120 * left(own) / left.sum() + 1.0 / 360);
    errors += best == own ? 0 : example.weights(i);
    all.maxCoeff(&best);
    REQUIRE(prediction.labels[row] == classifier.classes()[static_cast<std::size_t>(best)]);
  }
  REQUIRE(std::abs(classifier.criterion(ClassLikelihood{}) - likelihood / example.weights.sum()) <= 1e-12);
  REQUIRE(std::abs(classifier.criterion(ClassErrors{}) - errors / example.weights.sum()) <= 1e-12);
  const auto value = [&](const Vector& bandwidths) { return at(bandwidths).criterion(ClassLikelihood{}); };
  REQUIRE(agree(classifier.criterion_gradient(ClassLikelihood{}), slow_gradient(h, example.kinds, value), 1e-6));

  using Classifier = KernelClassifier<RectifiedPolynomial<4>>;
  const auto fitted = Classifier::fit(RectifiedPolynomial<4>{}, example.x, labels, ClassLikelihood{}, model);
  REQUIRE(fitted.criterion(ClassLikelihood{}) <= classifier.criterion(ClassLikelihood{}));
  REQUIRE(Classifier::fit(RectifiedPolynomial<4>{}, example.x, labels, ClassErrors{}, model).criterion(ClassErrors{}) <= 0.4);
  const auto threaded = Classifier::choose(RectifiedPolynomial<4>{}, example.x, labels, ClassLikelihood{}, model, {}, Threads{2});
  REQUIRE(threaded.bandwidths == fitted.scales());

  // Nowhere near: the shares of the classes.
  Matrix far = Matrix::Constant(1, 4, 90.0);
  const auto empty = classifier.predict(far);
  REQUIRE(empty.empty_rows == std::vector<Index>{0});
  REQUIRE(std::abs(empty.probabilities.sum() - 1) <= 1e-12);
  const Matrix continuous = example.x.col(0);
  const auto nearest = Classifier::fit_neighbors(RectifiedPolynomial<4>{}, continuous, labels, {5, 20, 60}, ClassLikelihood{});
  REQUIRE(nearest.neighbors() > 0);
  REQUIRE(std::abs(nearest.predict(far.leftCols(1)).probabilities.sum() - 1) <= 1e-12);
}

// --- a plug-in bandwidth, bands, summaries, missing values ---

TEST_CASE("the direct plug-in bandwidth", "[regression]") {
  // Against dpill of KernSmooth 2.23-20, whose Gaussian is cut at 4 deviations.
  Vector x(400), y(400);
  for (Index i = 0; i < 400; ++i) {
    x(i) = (static_cast<double>(i) + 0.5) / 400;
    y(i) = std::sin(6 * x(i)) + 0.3 * std::cos(1.7 * static_cast<double>(i + 1));
  }
  const double h = plug_in_bandwidth(Gaussian{}, x, y);
  REQUIRE(std::abs(h - 0.0346442807656) <= 1e-3 * h);
  // R / s^4 is 5/7 7^2 for the biweight, 1 / (2 sqrt(pi)) for the Gaussian.
  const double ratio = std::pow(35 * 2 * std::sqrt(std::acos(-1.0)), 0.2);
  REQUIRE(std::abs(plug_in_bandwidth(Biweight{}, x, y) - ratio * h) <= 1e-6 * h);
  Vector u(500), v(500);
  for (Index i = 0; i < 500; ++i) {
    const auto n = static_cast<double>(i + 1);
    u(i) = n * 0.6180339887498949 - std::floor(n * 0.6180339887498949);
    v(i) = std::exp(2 * u(i)) * u(i) + 0.5 * std::sin(n * n * 0.37);
  }
  REQUIRE(std::abs(plug_in_bandwidth(Gaussian{}, u, v) - 0.0356663748722) <= 1e-3 * 0.0357);
  const double start = plug_in_bandwidth(Biweight{}, x, y);
  const auto choice = LocalRegression<Biweight>::choose(Biweight{}, x, y, LeaveOneOut{}, {}, {.starts = 1, .start = Vector::Constant(1, start)});
  REQUIRE(choice.criterion <= LocalRegression<Biweight>(Biweight{}, Vector::Constant(1, start), x, y).criterion(LeaveOneOut{}));
  REQUIRE_THROWS_AS(plug_in_bandwidth(Biweight{}, x, Vector::Zero(400)), std::invalid_argument);
  REQUIRE_THROWS_AS(plug_in_bandwidth(Biweight{}, x, x), std::invalid_argument);
  REQUIRE_THROWS_AS(plug_in_bandwidth(Biweight{}, x.head(9), y.head(9)), std::invalid_argument);
  REQUIRE_THROWS_AS(plug_in_bandwidth(Biweight{}, Vector::Ones(400), y), std::invalid_argument);
}

TEST_CASE("95 % bands cover all of a curve in 92 to 98 % of simulations", "[regression]") {
  constexpr Index n = 120;
  constexpr int trials = 300;
  Random random(11);
  Vector x(n);
  Matrix y(n, trials);  // an output for each, all fitted at once
  for (Index i = 0; i < n; ++i) x(i) = (static_cast<double>(i) + 0.5) / n;
  const Vector at = Vector::LinSpaced(30, 0.02, 0.98);
  for (int trial = 0; trial < trials; ++trial) {
    for (Index i = 0; i < n; ++i) y(i, trial) = x(i) + (0.2 + 0.2 * x(i)) * random.normal();
  }
  const LocalRegression<Biweight> all(Biweight{}, Vector::Constant(1, 0.25), x, y);
  const auto of_all = all.diagnose();
  const auto inside = [&](const IntervalPrediction& band) {
    const Matrix curve = at.replicate(1, trials);
    const Index all_inside = (band.lower.array() <= curve.array() && band.upper.array() >= curve.array()).colwise().all().count();
    return static_cast<double>(all_inside);
  };
  const double covered = inside(all.bands(at, of_all, 0.95, {.count = 400})), covered_pointwise = inside(all.intervals(at, of_all, 0.95));
  CAPTURE(covered, covered_pointwise);
  REQUIRE(covered >= 0.92 * trials);
  REQUIRE(covered <= 0.98 * trials);
  REQUIRE(covered_pointwise <= 0.85 * trials);
  // At one query a band is an interval, but for the draws.
  const LocalRegression<Biweight> model(Biweight{}, Vector::Constant(1, 0.25), x, y.col(0));
  const auto diagnostics = model.diagnose();
  const auto one = model.bands(at.head(1), diagnostics, 0.9, {.count = 20000}), interval = model.intervals(at.head(1), diagnostics, 0.9);
  REQUIRE(std::abs((one.upper(0) - one.values(0)) / (interval.upper(0) - interval.values(0)) - 1) <= 0.03);
  REQUIRE(model.bands(at, diagnostics, 0.9, {}, Threads{2}).upper == model.bands(at, diagnostics, 0.9).upper);
  REQUIRE_THROWS_AS(model.bands(at, diagnostics, 0.9, {.count = 10}), std::invalid_argument);
}

TEST_CASE("rows with a missing value are dropped on request", "[regression]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Matrix x(4, 2), y(4, 1);
  x << 1, 2, nan, 3, 4, 5, 6, 7;
  y << 1, 2, nan, 4;
  const CompleteRows complete = complete_rows(x, y);
  REQUIRE(complete.kept == std::vector<Index>{0, 3});
  REQUIRE(complete.dropped == std::vector<Index>{1, 2});
  REQUIRE(complete.x.row(1) == x.row(3));
  REQUIRE(complete.y(1) == 4);
  REQUIRE_THROWS_AS(complete_rows(x, y.topRows(2)), std::invalid_argument);
}

TEST_CASE("residuals in a few numbers", "[regression]") {
  RegressionDiagnostics diagnostics;
  diagnostics.residuals.resize(5, 1);
  diagnostics.residuals << 3, -2, 0, 10, 1;
  const ResidualSummary summary = summarize_residuals(diagnostics);
  REQUIRE(summary.least == -2);
  REQUIRE(summary.lower_quartile == 0);
  REQUIRE(summary.median == 1);
  REQUIRE(summary.upper_quartile == 3);
  REQUIRE(summary.most == 10);
  REQUIRE(std::abs(summary.root_mean_square - std::sqrt(114.0 / 5)) <= 1e-12);
  REQUIRE_THROWS_AS(summarize_residuals(diagnostics, 1), std::invalid_argument);
}

TEST_CASE("a Gaussian far from its points is not cut off", "[regression]") {
  const LocalExample example(300, 2, 1);
  const Vector h = Vector::Constant(2, 0.05);
  const LocalRegression<Gaussian> model(Gaussian{}, h, example.x, example.y, example.model);
  Matrix queries(3, 2);
  queries << 0.5, 1.0, 2.0, 1.0, 30.0, -40.0;
  const auto prediction = model.predict(queries);
  REQUIRE(prediction.empty_rows.empty());
  for (Index i = 0; i < 2; ++i) {
    // The oracle's weights, which the library has up to a factor, must not underflow.
    const Vector c = dense_weights(Gaussian{}, h, example.x, example.model, queries.row(i).transpose(), -1);
    REQUIRE(largest(prediction.values.row(i) - c.transpose() * example.y) <= 1e-6 * c.cwiseAbs().sum());
  }
  REQUIRE(std::isfinite(prediction.values.sum()));
}
