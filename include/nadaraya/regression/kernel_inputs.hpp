// What the weights of points are computed from.
#pragma once

#include "nadaraya/regression/any_kernel.hpp"
#include "nadaraya/regression/local_data.hpp"
#include "nadaraya/types.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// A kernel, data and bandwidths: h or lambda of each column, or the scales of a bandwidth by neighbors.
struct KernelInputs {
  AnyKernel kernel;
  const LocalData& data;
  const Eigen::VectorXd& bandwidths;
  Index neighbors = 0;  ///< 0: the bandwidths are fixed
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
