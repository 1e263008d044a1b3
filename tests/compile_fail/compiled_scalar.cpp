// expect first: include <nadaraya/definitions.hpp> for a scalar other than float and double
// With the compiled library, another scalar needs the definitions.
#ifndef FAIL
#include "nadaraya/definitions.hpp"
#endif
#include "nadaraya/attend.hpp"
#include "nadaraya/kernel/gaussian.hpp"

using namespace nadaraya;
using Matrix = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>;

Matrix weigh(const Matrix& Q, const Matrix& K, const Matrix& V) { return attend(Gaussian{}, Adaptive{}, Q, K, V); }
