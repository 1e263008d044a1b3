// Local regression on data: bandwidths, predictions, intervals, derivatives.
#include "operator.hpp"

#include "../../support/chosen_regression.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace binding {
namespace {

using nadaraya::RowMatrix;
using Matrix = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

Eigen::Map<const RowMatrix<double>> map(const Matrix& array) {
  return {array.data(), static_cast<Index>(array.shape(0)), static_cast<Index>(array.shape(1))};
}

nb::object array_of(const RowMatrix<double>& m) {
  const NewArray<double> array({static_cast<std::size_t>(m.rows()), static_cast<std::size_t>(m.cols())});
  std::copy_n(m.data(), m.size(), array.data());
  return array.object;
}

nb::object array_of(const Eigen::VectorXd& v) { return copied(std::vector<double>(v.begin(), v.end())); }

nb::object array_of(const std::vector<Index>& rows) { return copied(std::vector<std::int64_t>(rows.begin(), rows.end())); }

nb::tuple arrays_of(const nadaraya::IntervalPrediction& found) {
  return nb::make_tuple(array_of(found.values), array_of(found.standard_errors), array_of(found.lower), array_of(found.upper),
                        array_of(found.empty_rows));
}

nb::object stacked(const std::vector<RowMatrix<double>>& columns) {
  nb::list all;
  for (const RowMatrix<double>& one : columns) all.append(array_of(one));
  return all;
}

/// The choices of a regression.
struct Parameters {
  std::string kernel;
  std::optional<double> exponent, alpha;
  std::string criterion;
  std::vector<double> bandwidths;
  std::vector<Index> neighbors;
  int degree;
  double ridge;
  std::vector<Index> unordered, ordered;
  std::vector<double> weights;  ///< of the rows; empty: 1 each

  /// For x of that number of columns.
  program::RegressionOptions options(Index columns) const {
    program::RegressionOptions o;
    o.kernel.spelling = nadaraya::OptionSpelling::keyword;
    o.kernel.kernel = kernel;
    o.kernel.exponent = exponent;
    o.kernel.alpha = alpha;
    o.criterion = criterion;
    o.bandwidths = Eigen::Map<const Eigen::VectorXd>(bandwidths.data(), static_cast<Index>(bandwidths.size()));
    o.neighbors = neighbors;
    o.model.degree = degree;
    o.model.ridge = ridge;
    o.model.weights = Eigen::Map<const Eigen::VectorXd>(weights.data(), static_cast<Index>(weights.size()));
    if (!unordered.empty() || !ordered.empty()) {
      o.model.columns.assign(static_cast<std::size_t>(columns), nadaraya::ColumnKind::continuous);
      set(o.model.columns, unordered, nadaraya::ColumnKind::unordered, "unordered");
      set(o.model.columns, ordered, nadaraya::ColumnKind::ordered, "ordered");
    }
    return o;
  }

 private:
  static void set(std::vector<nadaraya::ColumnKind>& kinds, const std::vector<Index>& columns, nadaraya::ColumnKind kind,
                  const char* name) {
    for (const Index column : columns) {
      if (column < 0 || column >= static_cast<Index>(kinds.size())) {
        program::refuse(std::string(name) + " must hold columns of X from 0 to " + std::to_string(kinds.size() - 1) + ", got " +
                        std::to_string(column));
      }
      nadaraya::ColumnKind& one = kinds[static_cast<std::size_t>(column)];
      if (one != nadaraya::ColumnKind::continuous) program::refuse("column " + std::to_string(column) + " is named twice as a category");
      one = kind;
    }
  }
};

class Regression {
 public:
  Regression(const Matrix& x, const Matrix& y, Parameters parameters, const nadaraya::Threads& threads)
      : parameters_(std::move(parameters)) {
    without_gil([&] { return "X " + text(shape_of(x)) + ", y " + text(shape_of(y)); },
                [&] { model_ = program::choose_regression(parameters_.options(static_cast<Index>(x.shape(1))), map(x), map(y), threads); });
  }

  nb::object scales() const { return array_of(model_->scales()); }
  Index neighbors() const { return model_->neighbors(); }

  double criterion(const std::string& name, nb::handle threads) const {
    const auto by = executor(threads);
    double value = 0;
    without_gil([&] { return shapes(); }, [&] { value = model_->criterion(name, by); });
    return value;
  }

  /// (values [Nq, Dy], the queries without any point within the bandwidth)
  nb::tuple predict(const Matrix& queries, nb::handle threads) const {
    const auto by = executor(threads);
    nadaraya::Prediction<double> found;
    without_gil([&] { return shapes(queries); }, [&] { found = model_->predict(map(queries), by); });
    return nb::make_tuple(array_of(found.values), array_of(found.empty_rows));
  }

  /// (values, standard errors, lower, upper, empty rows)
  nb::tuple intervals(const Matrix& queries, double level, nb::handle threads) const {
    const auto by = executor(threads);
    nadaraya::IntervalPrediction found;
    without_gil([&] { return shapes(queries); },
                [&] { found = model_->intervals(map(queries), diagnostics(by), level, by); });
    return arrays_of(found);
  }

  /// Likewise, intervals that hold at all queries together.
  nb::tuple bands(const Matrix& queries, double level, nb::handle threads) const {
    const auto by = executor(threads);
    nadaraya::IntervalPrediction found;
    without_gil([&] { return shapes(queries); }, [&] { found = model_->bands(map(queries), diagnostics(by), level, by); });
    return arrays_of(found);
  }

  /// (derivatives by each column, their standard errors, empty rows)
  nb::tuple slopes(const Matrix& queries, nb::handle threads) const {
    const auto by = executor(threads);
    nadaraya::SlopePrediction found;
    without_gil([&] { return shapes(queries); }, [&] { found = model_->slopes(map(queries), diagnostics(by), by); });
    return nb::make_tuple(stacked(found.values), stacked(found.standard_errors), array_of(found.empty_rows));
  }

  /// Fields of RegressionDiagnostics, in their order.
  nb::tuple diagnose(nb::handle threads) const {
    const auto by = executor(threads);
    const nadaraya::RegressionDiagnostics* found = nullptr;
    without_gil([&] { return shapes(); }, [&] { found = &diagnostics(by); });
    return nb::make_tuple(array_of(found->fitted), array_of(found->residuals), array_of(found->leverage), array_of(found->noise),
                          found->degrees_of_freedom, found->residual_degrees_of_freedom, array_of(found->variance),
                          array_of(found->r_squared));
  }

  nb::tuple state() const {
    const Parameters& p = parameters_;
    // What was chosen is not chosen again.
    const std::vector<double> bandwidths(model_->scales().begin(), model_->scales().end());
    const bool nearest = model_->neighbors() > 0;
    return nb::make_tuple(array_of(model_->x()), array_of(model_->y()), p.kernel, p.exponent, p.alpha, p.criterion,
                          nearest ? std::vector<double>() : bandwidths,
                          nearest ? std::vector<Index>{model_->neighbors()} : std::vector<Index>(), p.degree, p.ridge, p.unordered,
                          p.ordered, p.weights);
  }

 private:
  /// Computed once; without the GIL.
  const nadaraya::RegressionDiagnostics& diagnostics(const nadaraya::Threads& threads) const {
    std::call_once(diagnosed_, [&] { diagnostics_ = model_->diagnose(threads); });
    return diagnostics_;
  }

  std::string shapes() const {
    const auto shape = [](const RowMatrix<double>& m) {
      return text({static_cast<std::size_t>(m.rows()), static_cast<std::size_t>(m.cols())});
    };
    return "X " + shape(model_->x()) + ", y " + shape(model_->y());
  }
  std::string shapes(const Matrix& queries) const { return "queries " + text(shape_of(queries)) + ", " + shapes(); }

  Parameters parameters_;
  std::unique_ptr<program::ChosenRegression> model_;
  mutable std::once_flag diagnosed_;
  mutable nadaraya::RegressionDiagnostics diagnostics_;
};

}  // namespace

void bind_regression(nb::module_& m) {
  nb::class_<Regression>(m, "Regression")
      .def(
          "__init__",
          [](Regression* self, const Matrix& x, const Matrix& y, std::string kernel, std::optional<double> exponent,
             std::optional<double> alpha, std::string criterion, std::vector<double> bandwidths, std::vector<Index> neighbors,
             int degree, double ridge, std::vector<Index> unordered, std::vector<Index> ordered, std::vector<double> weights,
             nb::handle threads) {
            new (self) Regression(x, y,
                                  Parameters{std::move(kernel), exponent, alpha, std::move(criterion), std::move(bandwidths),
                                   std::move(neighbors), degree, ridge, std::move(unordered), std::move(ordered), std::move(weights)},
                                  executor(threads));
          },
          nb::arg("x"), nb::arg("y"), nb::arg("kernel"), nb::arg("exponent").none(), nb::arg("alpha").none(), nb::arg("criterion"),
          nb::arg("bandwidths"), nb::arg("neighbors"), nb::arg("degree"), nb::arg("ridge"), nb::arg("unordered"), nb::arg("ordered"),
          nb::arg("weights"), nb::arg("threads") = nb::none())
      .def("__getstate__", &Regression::state)
      .def("__setstate__",
           [](Regression& self, const nb::tuple& s) {
             new (&self) Regression(nb::cast<Matrix>(s[0]), nb::cast<Matrix>(s[1]),
                                    Parameters{nb::cast<std::string>(s[2]), nb::cast<std::optional<double>>(s[3]),
                                     nb::cast<std::optional<double>>(s[4]), nb::cast<std::string>(s[5]),
                                     nb::cast<std::vector<double>>(s[6]), nb::cast<std::vector<Index>>(s[7]), nb::cast<int>(s[8]),
                                     nb::cast<double>(s[9]), nb::cast<std::vector<Index>>(s[10]), nb::cast<std::vector<Index>>(s[11]),
                                     nb::cast<std::vector<double>>(s[12])},
                                    nadaraya::Threads{1});
           })
      .def_prop_ro("scales", &Regression::scales)
      .def_prop_ro("neighbors", &Regression::neighbors)
      .def("criterion", &Regression::criterion, nb::arg("name"), nb::arg("threads") = nb::none())
      .def("predict", &Regression::predict, nb::arg("queries"), nb::arg("threads") = nb::none())
      .def("intervals", &Regression::intervals, nb::arg("queries"), nb::arg("level"), nb::arg("threads") = nb::none())
      .def("bands", &Regression::bands, nb::arg("queries"), nb::arg("level"), nb::arg("threads") = nb::none())
      .def("slopes", &Regression::slopes, nb::arg("queries"), nb::arg("threads") = nb::none())
      .def("diagnose", &Regression::diagnose, nb::arg("threads") = nb::none());
}

}  // namespace binding
