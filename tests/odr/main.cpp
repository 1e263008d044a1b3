// Links two translation units that were built for different machines, and compares their results.
#include <Eigen/Core>

#include <cstdio>

Eigen::MatrixXf attend_baseline(const Eigen::MatrixXf& query, const Eigen::MatrixXf& key, const Eigen::MatrixXf& value);
Eigen::MatrixXf attend_native(const Eigen::MatrixXf& query, const Eigen::MatrixXf& key, const Eigen::MatrixXf& value);

int main() {
  const Eigen::Index n = 37, d = 19;
  Eigen::MatrixXf x(n, d);
  for (Eigen::Index i = 0; i < n; ++i)
    for (Eigen::Index j = 0; j < d; ++j) x(i, j) = static_cast<float>((7 * i + 5 * j * j) % 23) / 16.0f - 0.7f;

  const Eigen::MatrixXf baseline = attend_baseline(x, x, x);
  const Eigen::MatrixXf native = attend_native(x, x, x);
  // Fused multiply-adds move a sum of d products by at most about d roundings, and a gradient sums twice.
  const float tolerance = 1e-5f * (1.0f + baseline.cwiseAbs().maxCoeff());
  const float error = (baseline - native).cwiseAbs().maxCoeff();
  if (!(error <= tolerance)) {
    std::fprintf(stderr, "baseline and native differ by %g, allowed %g\n", static_cast<double>(error),
                 static_cast<double>(tolerance));
    return 1;
  }
  return 0;
}
