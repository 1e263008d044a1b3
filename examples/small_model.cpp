// A one-head attention model that learns to recall, by gradient descent on its projection and bandwidth.
#include <nadaraya/nadaraya.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

// The task: 32 pairs (key, value) are given; the query is a key seen through noise in six of its
// eight coordinates. The answer is that key's value. The model regresses value on key after a
// linear map W of queries and keys, with a fixed bandwidth h; both are learned. It must find out
// which coordinates to trust, and how near is near.
int main() {
  using namespace nadaraya;
  using Matrix = RowMatrix<double>;
  constexpr Index pairs = 32, dimension = 8, trusted = 2;
  std::mt19937 generator(4);
  std::normal_distribution<double> normal;
  const auto random = [&](Index rows, Index cols) {
    return Matrix(Matrix::NullaryExpr(rows, cols, [&]() { return normal(generator); }));
  };
  struct Task {
    Matrix query, key, value;
  };
  const auto draw = [&] {
    Task task{Matrix(), random(pairs, dimension), random(pairs, 1)};
    task.query = task.key;
    task.query.rightCols(dimension - trusted) += 2.0 * random(pairs, dimension - trusted);
    return task;
  };

  Matrix map = Matrix::Identity(dimension, dimension);
  double log_bandwidth = std::log(5.0);  // positive by construction
  const auto model = [&] {
    return NadarayaWatson{Biweight{}, FixedBandwidth{std::exp(log_bandwidth)}, SquaredDistance{}};
  };
  const auto test = [&] {
    double sum = 0;
    for (int k = 0; k < 50; ++k) {
      const Task task = draw();
      sum += (model()(Matrix(task.query * map), Matrix(task.key * map), task.value) - task.value).squaredNorm();
    }
    return sum / (50.0 * pairs);
  };

  const double before = test();
  constexpr int steps = 3000;
  for (int step = 0; step < steps; ++step) {
    const Task task = draw();
    const Matrix query = task.query * map, key = task.key * map;
    const auto head = model();
    Matrix out;
    const auto tape = head.forward(query, key, task.value, out);
    const Matrix residual = (out - task.value) * (2.0 / pairs);
    const auto gradient = head.backward(tape, residual);
    // Clipped: a task whose points are far apart for the bandwidth has a gradient of any size.
    const Matrix slope = task.query.transpose() * gradient.query + task.key.transpose() * gradient.key;
    const double steepness = gradient.bandwidth * std::exp(log_bandwidth);
    const double rate = 0.1 / (1.0 + step / 300.0) / (std::max)(1.0, std::sqrt(slope.squaredNorm() + steepness * steepness));
    map -= rate * slope;
    log_bandwidth -= rate * steepness;
    if (step % 500 == 499) std::printf("step %4d: bandwidth %.3f\n", step + 1, std::exp(log_bandwidth));
  }
  const double after = test();
  const double trust = map.topRows(trusted).norm() / map.bottomRows(dimension - trusted).norm();
  std::printf(
      "mean squared error on new tasks: %.4f before, %.4f after; trusted coordinates weigh %.1f times the rest\n",
      before, after, trust);
  return after < before / 2.0 && trust > 5.0 ? 0 : 1;
}
