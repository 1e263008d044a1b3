// Kernel regression on data, and the leave-one-out error by which its bandwidth is chosen.
#include "operator.hpp"

#include <nadaraya/regression.hpp>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace binding {
namespace {

using Matrix = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

Eigen::Map<const nadaraya::RowMatrix<double>> map(const Matrix& array) {
  return {array.data(), static_cast<Index>(array.shape(0)), static_cast<Index>(array.shape(1))};
}

std::string shapes_of_data(const Matrix& x, const Matrix& y) {
  return "X " + text(shape_of(x)) + ", y " + text(shape_of(y));
}

nadaraya::OperatorOptions options(std::string kernel, std::optional<double> exponent, std::optional<double> alpha,
                                 double bandwidth) {
  nadaraya::OperatorOptions o{.spelling = nadaraya::OptionSpelling::keyword};
  o.kernel = std::move(kernel);
  o.normalization = "fixed";
  o.similarity = "euclidean";
  o.exponent = exponent;
  o.alpha = alpha;
  o.bandwidth = bandwidth;
  program::as_usage([&] { o.validate(); });
  return o;
}

/// (values [Nq, Dy], the queries without any point within the bandwidth)
nb::tuple regress(const Matrix& queries, const Matrix& x, const Matrix& y, std::string kernel,
                  std::optional<double> exponent, std::optional<double> alpha, double bandwidth, nb::handle threads) {
  const auto o = options(std::move(kernel), exponent, alpha, bandwidth);
  const auto by = executor(threads);
  nadaraya::Prediction<double> prediction;
  without_gil([&] { return "queries " + text(shape_of(queries)) + ", " + shapes_of_data(x, y); },
              [&] {
                nadaraya::with_kernel(o, [&](const auto& shape) {
                  prediction = nadaraya::KernelRegression(shape, bandwidth, map(x), map(y)).predict(map(queries), by);
                });
              });
  const NewArray<double> values({queries.shape(0), y.shape(1)});
  std::copy_n(prediction.values.data(), prediction.values.size(), values.data());
  return nb::make_tuple(values.object,
                        copied(std::vector<std::int64_t>(prediction.empty_rows.begin(), prediction.empty_rows.end())));
}

double leave_one_out_error(const Matrix& x, const Matrix& y, std::string kernel, std::optional<double> exponent,
                           std::optional<double> alpha, double bandwidth, nb::handle threads) {
  const auto o = options(std::move(kernel), exponent, alpha, bandwidth);
  const auto by = executor(threads);
  double error = 0;
  without_gil([&] { return shapes_of_data(x, y); },
              [&] {
                nadaraya::with_kernel(o, [&](const auto& shape) {
                  error = nadaraya::leave_one_out_error(shape, bandwidth, map(x), map(y), by);
                });
              });
  return error;
}

}  // namespace

void bind_regression(nb::module_& m) {
  m.def("regress", &regress, nb::arg("queries"), nb::arg("x"), nb::arg("y"), nb::arg("kernel"),
        nb::arg("exponent").none(), nb::arg("alpha").none(), nb::arg("bandwidth"), nb::arg("threads") = nb::none());
  m.def("leave_one_out_error", &leave_one_out_error, nb::arg("x"), nb::arg("y"), nb::arg("kernel"),
        nb::arg("exponent").none(), nb::arg("alpha").none(), nb::arg("bandwidth"), nb::arg("threads") = nb::none());
}

}  // namespace binding
