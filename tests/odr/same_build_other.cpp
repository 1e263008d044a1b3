// An object of the program, or a shared library that it uses.
#include <nadaraya/types.hpp>

#ifndef NADARAYA_TEST_EXPORT
#define NADARAYA_TEST_EXPORT
#endif

NADARAYA_TEST_EXPORT Eigen::MatrixXf other();

Eigen::MatrixXf other() { return Eigen::MatrixXf::Zero(3, 3); }
