// Links with alignment_other.cpp if both have the same EIGEN_MAX_ALIGN_BYTES.
#include <nadaraya/types.hpp>

Eigen::MatrixXf other();

int main() { return other().size() == 9 ? 0 : 1; }
