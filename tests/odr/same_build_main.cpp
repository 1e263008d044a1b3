// Links with same_build_other.cpp if both were compiled alike.
#include <nadaraya/types.hpp>

Eigen::MatrixXf other();

int main() { return other().size() == 9 ? 0 : 1; }
