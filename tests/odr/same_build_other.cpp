#include <nadaraya/types.hpp>

Eigen::MatrixXf other();

Eigen::MatrixXf other() { return Eigen::MatrixXf::Zero(3, 3); }
