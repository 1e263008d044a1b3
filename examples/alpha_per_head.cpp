// A layer of causal attention that learns, for each head, how sparse it is: alpha, the scale, and the map of the values.
#include <nadaraya/nadaraya.hpp>

#include <array>
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

// The task: to give the outputs of another layer, the teacher, whose heads have an alpha of 1.15 (nearly softmax), 1.5 and
// 1.9 (nearly sparsemax) and scales of their own. The student sees its inputs and outputs alone.
namespace {

using namespace nadaraya;
using Matrix = RowMatrix<double>;
constexpr Index batch = 4, tokens = 24, heads = 3, dim = 6, width = heads * dim;

struct Layer {
  std::array<double, heads> raw_alpha{};  // alpha = 1 + 1 / (1 + exp(-raw)), between 1 and 2
  std::array<double, heads> log_scale{};
  Matrix values = Matrix::Zero(width, width);

  double alpha(Index h) const { return 1.0 + 1.0 / (1.0 + std::exp(-raw_alpha[static_cast<std::size_t>(h)])); }
  double scale(Index h) const { return std::exp(log_scale[static_cast<std::size_t>(h)]); }

  auto attention() const {
    std::vector<NadarayaWatson<RectifiedPower, Adaptive, DotProduct, Causal>> operators;
    for (Index h = 0; h < heads; ++h) {
      operators.emplace_back(RectifiedPower::with_alpha(alpha(h)), Adaptive{}, DotProduct{.scale = scale(h)}, Causal{});
    }
    return Attention{operators};
  }
};

// [batch * tokens x heads * dim], as a projection gives it.
HeadView<const double> read(const Matrix& x) { return HeadView<const double>::bnhd(x.data(), batch, tokens, heads, dim); }
HeadView<double> write(Matrix& x) { return HeadView<double>::bnhd(x.data(), batch, tokens, heads, dim); }

/// Adam (Kingma & Ba 2015) for one number.
struct Adam {
  double mean = 0, square = 0;
  double step(double gradient, int t, double rate) {
    mean += 0.1 * (gradient - mean);
    square += 0.01 * (gradient * gradient - square);
    return rate * mean / (1.0 - std::pow(0.9, t)) / (std::sqrt(square / (1.0 - std::pow(0.99, t))) + 1e-12);
  }
};

}  // namespace

int main() {
  std::mt19937 generator(5);
  std::normal_distribution<double> normal;
  const auto random = [&](Index rows, Index cols) {
    return Matrix(Matrix::NullaryExpr(rows, cols, [&]() { return normal(generator); }));
  };
  const auto raw = [](double alpha) { return -std::log(1.0 / (alpha - 1.0) - 1.0); };
  const Layer teacher{{raw(1.15), raw(1.5), raw(1.9)}, {-1.0, -0.7, -0.4}, random(width, width) / std::sqrt(double(width))};
  Layer student;

  constexpr int steps = 500;
  std::vector<Adam> of_values(static_cast<std::size_t>(width * width)), of_alpha(heads), of_scale(heads);
  const Workspace<double> workspace;
  double first = 0, last = 0;
  for (int step = 1; step <= steps; ++step) {
    const Matrix x = random(batch * tokens, width);
    const Matrix taught = x * teacher.values, values = x * student.values;
    Matrix target(x), out(x), by_query(x), by_key(x), by_value(x);
    teacher.attention()(read(x), read(x), read(taught), write(target), workspace);
    const auto attention = student.attention();
    const auto tape = attention.forward(read(x), read(x), read(values), write(out), workspace);

    const Matrix residual = (out - target) / double(batch * tokens);
    last = 0.5 * (out - target).squaredNorm() / double(batch * tokens);
    if (step == 1) first = last;
    const auto parameters =
        attention.backward(tape, read(residual), write(by_query), write(by_key), write(by_value), workspace);
    const Matrix by_map = x.transpose() * by_value;

    const double rate = 0.05 * (1.0 - double(step - 1) / steps);
    for (Index i = 0; i < by_map.size(); ++i) {
      student.values.data()[i] -= of_values[static_cast<std::size_t>(i)].step(by_map.data()[i], step, rate);
    }
    for (std::size_t h = 0; h < heads; ++h) {
      const double sigmoid = student.alpha(static_cast<Index>(h)) - 1.0;
      student.raw_alpha[h] -= of_alpha[h].step(parameters[h].alpha * sigmoid * (1.0 - sigmoid), step, 3.0 * rate);
      student.log_scale[h] -= of_scale[h].step(parameters[h].scale * student.scale(static_cast<Index>(h)), step, rate);
    }
    if (step == 1 || step % 100 == 0) {
      std::printf("step %3d: loss %.2e, alpha %.3f %.3f %.3f, keys with weight %.1f of %.1f\n", step, last, student.alpha(0),
                  student.alpha(1), student.alpha(2), tape.mean_support(), 0.5 * double(tokens + 1));
    }
  }

  bool found = last < 1e-3 * first;
  for (Index h = 0; h < heads; ++h) found = found && std::abs(student.alpha(h) - teacher.alpha(h)) < 0.02;
  std::printf("the teacher's alpha %.3f %.3f %.3f\n", teacher.alpha(0), teacher.alpha(1), teacher.alpha(2));
  return found ? 0 : 1;
}
