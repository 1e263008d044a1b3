// A local regression of one column of a data file on others: bandwidths by a criterion, predictions with intervals as a data
// file, a summary as JSON and a picture drawn by gnuplot.
#pragma once

#include "fit_options.hpp"

namespace regression {

/// Throws program::UsageError.
void fit(const FitOptions& options);

}  // namespace regression
