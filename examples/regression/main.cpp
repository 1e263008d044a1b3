// regression: local regression of one column of a data file on others (regression fit), and the comparison of five kernels
// on two columns.
#include "classify.hpp"
#include "compare.hpp"
#include "fit.hpp"

#include "../support/main.hpp"
#include "../support/usage.hpp"

int main(int argc, char** argv) {
  CLI::App app{"Kernel regression of a data file. Without a command: of two columns by five kernels, the bandwidth chosen by "
               "leave-one-out."};
  regression::CompareOptions compare;
  app.add_option("--data", compare.data, "comma-separated file; the first row may name the columns");
  app.add_option("--x", compare.x, "column of x, its name or number; default the first of two");
  app.add_option("--y", compare.y, "column of y, its name or number; default the second of two");
  app.add_option("--output-dir", compare.output_dir, "where to draw the picture, as SVG and PNG; needs gnuplot");
  app.require_subcommand(0, 1);

  regression::FitOptions o;
  o.threads = program::default_threads();
  CLI::App& fit = *app.add_subcommand("fit", "local polynomial regression, with intervals, or classification, of one column on others");
  fit.add_option("data", o.data, "comma-separated file; the first row may name the columns")->required();
  fit.add_option("--response", o.response, "column to predict, its name or number")->required();
  fit.add_option("--predictors", o.predictors, "columns to predict from, with commas between them; default all others")->delimiter(',');
  fit.add_option("--unordered", o.unordered, "predictors that hold categories by name, with commas between them")->delimiter(',');
  fit.add_option("--ordered", o.ordered, "predictors that hold categories by rank, a number")->delimiter(',');
  fit.add_option("--weights", o.weights, "column of the observations' weights, positive; default 1 each");
  fit.add_option("--kernel", o.kernel, "biweight, epanechnikov, triweight, polynomial, uniform or gaussian")->capture_default_str();
  fit.add_option("--exponent", o.exponent, "of the kernel polynomial");
  CLI::Option* const degree = fit.add_option("--degree", o.degree, "of the local polynomial, 0 to 3; above 1 for up to 3 predictors")->capture_default_str();
  fit.add_option("--bandwidth", o.bandwidth, "criterion that chooses one for each predictor: loo, gcv or aicc; plugin for a single one; or one number, or one for each: of a category the weight of others, 0 to 1")->capture_default_str();
  fit.add_option("--neighbors", o.neighbors, "the bandwidth reaches beyond that number of points; of several numbers the criterion chooses")
      ->delimiter(',');
  CLI::Option* const ridge = fit.add_option("--ridge", o.ridge, "on the coefficients of the polynomial")->capture_default_str();
  fit.add_option("--missing", o.missing, "what to do with a row that lacks a number: refuse or drop")->capture_default_str();
  CLI::Option* const level = fit.add_option("--level", o.level, "of the confidence intervals")->capture_default_str();
  CLI::Option* const band = fit.add_option("--band", o.band, "pointwise intervals, or simultaneous ones, which hold at all predictions together")->capture_default_str();
  fit.add_option("--predict", o.predict, "comma-separated file of predictors; default the data's own");
  fit.add_option("--output", o.output, "where to write predictions with standard errors and intervals");
  fit.add_option("--summary", o.summary, "where to write the bandwidths and the quality of the fit, as JSON");
  CLI::Option* const plot = fit.add_option("--plot", o.plot, "where to draw the fit with its intervals, .svg or .png; needs gnuplot");
  bool classes = false;
  CLI::Option* const by_class = fit.add_flag("--class", classes, "the response names classes: predict their probabilities");
  for (CLI::Option* const option : {degree, ridge, level, band, plot}) by_class->excludes(option);
  fit.add_option("--threads", o.threads, "threads; default all processors");

  return program::run_main("regression", app, argc, argv, [&] {
    if (classes) {
      regression::classify(o);
    } else if (fit.parsed()) {
      regression::fit(o);
    } else {
      if (compare.data.empty() && app.count("--data") == 0) program::refuse("--data is required");
      regression::compare(compare);
    }
    return 0;
  });
}
