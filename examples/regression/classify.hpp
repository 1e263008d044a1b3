// Classification of one column of a data file, the names of classes, by others: bandwidths by the likelihood of the rows left
// out, probabilities as a data file and a summary as JSON.
#pragma once

#include "fit_options.hpp"

namespace regression {

/// Reads neither the degree, the ridge, the level, the band nor the plot. Throws program::UsageError.
void classify(const FitOptions& options);

}  // namespace regression
