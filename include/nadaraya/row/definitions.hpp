// The definitions of what row/declarations.hpp declares.
#pragma once

#include "nadaraya/row/alpha_gradient.hpp"
#include "nadaraya/row/kth_largest.hpp"
#include "nadaraya/row/pull_slopes.hpp"
#include "nadaraya/row/row_sums.hpp"
#include "nadaraya/row/self_normalized.hpp"
#include "nadaraya/row/steep.hpp"
#include "nadaraya/row/threshold.hpp"
