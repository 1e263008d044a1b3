// One query that equals its only key takes that key's value.
#include <nadaraya/nadaraya.hpp>

int main() {
  using namespace nadaraya;
  const Eigen::MatrixXf query = Eigen::MatrixXf::Identity(3, 3) * 10.0f, value = Eigen::MatrixXf::Identity(3, 3);
  const Eigen::MatrixXf out = attend(Biweight{}, Adaptive{}, query, query, value);
  return (out - value).cwiseAbs().maxCoeff() <= 1e-6f ? 0 : 1;
}
