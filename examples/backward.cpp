// The gradient of a loss through attention, and a finite difference that confirms it.
#include <nadaraya/nadaraya.hpp>

#include <cmath>
#include <cstdio>
#include <random>

int main() {
  using namespace nadaraya;
  using Matrix = RowMatrix<double>;
  std::mt19937 generator(2);
  std::normal_distribution<double> normal;
  const auto random = [&](Index rows, Index cols) {
    return Matrix(Matrix::NullaryExpr(rows, cols, [&]() { return normal(generator); }));
  };
  Matrix query = random(5, 4);
  const Matrix key = random(12, 4), value = random(12, 3), target = random(5, 3);

  const NadarayaWatson attention{Biweight{}, Adaptive{}, DotProduct{.scale = 0.5}};
  const auto loss = [&](const Matrix& out) { return 0.5 * (out - target).squaredNorm(); };

  Matrix out;
  const auto tape = attention.forward(query, key, value, out);
  const auto gradient = attention.backward(tape, out - target);  // dL/dout = out - target
  std::printf("loss %.6f, |dL/dquery| %.6f, |dL/dkey| %.6f, |dL/dvalue| %.6f, dL/dscale %.6f\n", loss(out),
              gradient.query.norm(), gradient.key.norm(), gradient.value.norm(), gradient.scale);

  // Move one number of the query up and down. The tape refers to the query: it is not used again.
  constexpr double step = 1e-6;
  const double before = query(2, 1);
  query(2, 1) = before + step;
  const double above = loss(attention(query, key, value));
  query(2, 1) = before - step;
  const double below = loss(attention(query, key, value));
  const double slope = (above - below) / (2.0 * step);
  std::printf("dL/dquery(2, 1): %.9f, by finite difference %.9f\n", gradient.query(2, 1), slope);
  return std::abs(slope - gradient.query(2, 1)) <= 1e-7 ? 0 : 1;
}
