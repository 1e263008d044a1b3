// Built with options that let the compiler change arithmetic: the library's results stay what they are. They are
// compared with loops of this file that no such option hurts, and NaN is looked for by its bits.
#include <nadaraya/attend.hpp>
#include <nadaraya/kernel/gaussian.hpp>
#include <nadaraya/kernel/rectified_polynomial.hpp>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

using Eigen::Index;
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using namespace nadaraya;

namespace {

int failures = 0;

void expect(bool held, const char* what) {
  if (held) return;
  std::printf("failed: %s\n", what);
  ++failures;
}

// A comparison with NaN may be folded away here.
bool is_nan(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return (bits & 0x7fffffffu) > 0x7f800000u;
}

bool close(const Matrix& found, const std::vector<double>& wanted) {
  for (Index i = 0; i < found.size(); ++i) {
    const float x = found.data()[i];
    if (is_nan(x) || std::abs(double(x) - wanted[std::size_t(i)]) > 1e-5) return false;
  }
  return true;
}

/// Attention of weights proportional to profile(z, top of the row, tau), where tau makes their sum one if `solve`.
template <class Profile>
std::vector<double> attention(const Matrix& q, const Matrix& k, const Matrix& v, bool solve, Profile profile) {
  std::vector<double> out;
  for (Index i = 0; i < q.rows(); ++i) {
    std::vector<double> z;
    double top = -1e300;
    for (Index j = 0; j < k.rows(); ++j) {
      double dot = 0;
      for (Index d = 0; d < q.cols(); ++d) dot += double(q(i, d)) * double(k(j, d));
      z.push_back(dot / std::sqrt(double(q.cols())));
      top = z.back() > top ? z.back() : top;
    }
    const auto total = [&](double tau) {
      double sum = 0;
      for (const double one : z) sum += profile(one - top, tau);
      return sum;
    };
    double low = -1, high = 1;
    for (int step = 0; solve && step < 60; ++step) (total((low + high) / 2) > 1 ? low : high) = (low + high) / 2;
    for (Index c = 0; c < v.cols(); ++c) {
      double sum = 0;
      for (Index j = 0; j < k.rows(); ++j) sum += profile(z[std::size_t(j)] - top, low) * double(v(j, c));
      out.push_back(sum / total(low));
    }
  }
  return out;
}

Matrix random(Index rows, Index cols, std::uint32_t seed) {
  Matrix x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) {
    seed = seed * 1664525u + 1013904223u;
    x.data()[i] = float(int(seed >> 8) % 2001 - 1000) / 400.0f;
  }
  return x;
}

/// Both operators on some queries, and the same with NaN in a key, in a hidden key, and infinity in a score.
void check(Index queries) {
  const Index keys = 100;
  const Matrix q = random(queries, 8, 1), k = random(keys, 8, 2), v = random(keys, 3, 3);
  const auto softmax = [](double z, double) { return std::exp(z); };
  const auto entmax = [](double z, double tau) { return z / 2 > tau ? (z / 2 - tau) * (z / 2 - tau) : 0.0; };
  expect(close(attend(Gaussian{}, Adaptive{}, q, k, v), attention(q, k, v, false, softmax)), "softmax");
  expect(close(attend(Biweight{}, Adaptive{}, q, k, v), attention(q, k, v, true, entmax)), "1.5-entmax");

  Matrix bad = k;
  bad(7, 3) = std::numeric_limits<float>::quiet_NaN();
  const Matrix a = attend(Gaussian{}, Adaptive{}, q, bad, v), b = attend(Biweight{}, Adaptive{}, q, bad, v);
  bool all_nan = true;
  for (Index i = 0; i < a.size(); ++i) all_nan = all_nan && is_nan(a.data()[i]) && is_nan(b.data()[i]);
  expect(all_nan, "NaN in a visible key reaches every row");

  bad = k;
  bad(7, 3) = std::numeric_limits<float>::infinity();
  Matrix towards = q, away = q;
  towards.col(3).setConstant(1.0f);
  away.col(3).setConstant(-1.0f);
  const Matrix infinite = attend(Biweight{}, Adaptive{}, towards, bad, v);
  expect(is_nan(infinite(0, 0)), "a score of +infinity makes its row NaN");
  const Matrix none = attend(Biweight{}, Adaptive{}, away, bad, v);
  Matrix rest_k(keys - 1, 8), rest_v(keys - 1, 3);
  rest_k << k.topRows(7), k.bottomRows(keys - 8);
  rest_v << v.topRows(7), v.bottomRows(keys - 8);
  expect(close(none, attention(away, rest_k, rest_v, true, entmax)), "a score of -infinity is no key");
}

}  // namespace

/// The number of failures. NADARAYA_CHECKS is the name of this translation unit's copy.
int NADARAYA_CHECKS();
int NADARAYA_CHECKS() {
  for (const Index queries : {1, 2, 100}) check(queries);
  return failures;
}
