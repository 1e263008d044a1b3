// The points of a regression in units of their bandwidths, and the neighbors of a query among them.
#pragma once

#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// The points within a radius of a query.
struct FoundPoints {
  static constexpr auto slack = static_cast<Index>(engine::pack_slack);

  Index count = 0;
  std::vector<KeyIndex> points;
  Eigen::MatrixXd offsets;  ///< point minus query, in the first `count` rows
  Eigen::VectorXd squares;  ///< of the distances

  /// Room for n points and a pack.
  void reserve(Index n, Index dimension) {
    if (n + slack <= squares.size() && dimension == offsets.cols()) return;
    const Index room = (std::max)(n + slack, 2 * Index(squares.size()));
    points.resize(static_cast<std::size_t>(room));
    offsets.conservativeResize(room, dimension);
    squares.conservativeResize(room);
  }

  /// Drops the points j for which not inside(j).
  template <class Inside>
  void keep(const Inside& inside) {
    Index kept = 0;
    for (Index j = 0; j < count; ++j) {
      if (!inside(j)) continue;
      points[static_cast<std::size_t>(kept)] = points[static_cast<std::size_t>(j)];
      for (Index d = 0; d < offsets.cols(); ++d) offsets(kept, d) = offsets(j, d);
      squares(kept) = squares(j);
      ++kept;
    }
    count = kept;
  }
};

/// Points divided by one number for each column. With cells, points are stored in lines of cells along one axis, sorted
/// by their coordinate on it, and a query scans the lines within its radius; otherwise it scans all. Cells see up to
/// three axes, the longest ones of more.
class ScaledPoints {
 public:
  ScaledPoints() = default;

  /// x [N x D], finite; scales [D], positive. `radius` is a typical radius of search in units of the scales; 0: no
  /// cells.
  ScaledPoints(const RowMatrix<double>& x, const Eigen::VectorXd& scales, double radius)
      : scales_(scales),
        size_(x.rows()),
        axes_(x.rows() + FoundPoints::slack, x.cols()),
        points_(static_cast<std::size_t>(x.rows())) {
    std::iota(points_.begin(), points_.end(), KeyIndex(0));
    const Eigen::MatrixXd scaled = x * scales.cwiseInverse().asDiagonal();
    if (radius > 0 && x.cols() >= 1 && x.rows() > 64) sort_into_lines(scaled, radius);
    places_.resize(points_.size());
    for (std::size_t i = 0; i < points_.size(); ++i) places_[static_cast<std::size_t>(points_[i])] = static_cast<KeyIndex>(i);
    for (Index d = 0; d < x.cols(); ++d) {
      for (Index i = 0; i < size_; ++i) axes_(i, d) = scaled(points_[static_cast<std::size_t>(i)], d);
      axes_.col(d).tail(FoundPoints::slack).setZero();
    }
    points_.resize(points_.size() + engine::pack_slack);
    if (lines_.empty()) lines_.push_back({0, 0, 0, size_});
  }

  Index size() const { return size_; }
  Index dimension() const { return axes_.cols(); }
  double scale(Index d) const { return scales_(d); }

  /// A query in units of the scales.
  template <class Q>
  Eigen::VectorXd scaled(const Q& query) const {
    return query.transpose().cwiseQuotient(scales_);
  }

  /// Finds the points with |point - q|^2 < bound but for `left_out` (-1: none), in an order that depends on the query alone.
  /// An infinite bound finds all.
  void find(const Eigen::VectorXd& q, double bound, Index left_out, FoundPoints& found) const {
    found.count = 0;
    const Index place = left_out >= 0 ? places_[static_cast<std::size_t>(left_out)] : size_;
    if (side_ == 0 || !(bound < std::numeric_limits<double>::infinity())) {
      return scan_but(place, 0, size_, q, bound, found);
    }
    const double radius = std::sqrt(bound) * (1 + 4 * std::numeric_limits<double>::epsilon());
    const double last_third = cell(q, 2, radius), last_second = cell(q, 1, radius), first_second = cell(q, 1, -radius);
    for (double third = cell(q, 2, -radius); third <= last_third;) {
      auto line = std::lower_bound(lines_.begin(), lines_.end(), Line{third, first_second, 0, 0}, before);
      if (line == lines_.end()) return;
      if (line->third > third) {  // no line of points until there
        third = line->third;
        if (line->second > last_second || line->second < first_second) {
          line = std::lower_bound(line, lines_.end(), Line{third, first_second, 0, 0}, before);
        }
        if (third > last_third) return;
      }
      for (; line != lines_.end() && line->third == third && line->second <= last_second; ++line) {
        const double* axis = axes_.col(line_axes_[0]).data();
        const double* low = std::lower_bound(axis + line->begin, axis + line->end, q(line_axes_[0]) - radius);
        const double* high = std::upper_bound(low, axis + line->end, q(line_axes_[0]) + radius);
        scan_but(place, low - axis, high - axis, q, bound, found);
      }
      third += 1;
    }
  }

 private:
  /// Points that share their cells along the last two axes.
  struct Line {
    double third, second;
    Index begin, end;
  };
  static bool before(const Line& a, const Line& b) {
    return a.third < b.third || (a.third == b.third && a.second < b.second);
  }

  /// Of the second axis of the cells, or the third.
  double cell(const Eigen::VectorXd& q, std::size_t axis, double offset) const {
    return static_cast<Index>(axis) < dimension() ? std::floor((q(line_axes_[axis]) + offset) / side_) : 0.0;
  }

  /// The longest first, where there are more than cells see.
  void choose_axes(const Eigen::MatrixXd& scaled) {
    if (scaled.cols() <= 3) return;
    const Eigen::VectorXd lengths = (scaled.colwise().maxCoeff() - scaled.colwise().minCoeff()).transpose();
    std::vector<Index> axes(static_cast<std::size_t>(scaled.cols()));
    std::iota(axes.begin(), axes.end(), Index(0));
    std::stable_sort(axes.begin(), axes.end(), [&](Index a, Index b) { return lengths(a) > lengths(b); });
    std::copy_n(axes.begin(), line_axes_.size(), line_axes_.begin());
  }

  void sort_into_lines(const Eigen::MatrixXd& scaled, double radius) {
    side_ = radius / 2;
    choose_axes(scaled);
    const Index d = scaled.cols();
    const auto line_of = [&](KeyIndex j) {
      return Line{d > 2 ? std::floor(scaled(j, line_axes_[2]) / side_) : 0.0,
                  d > 1 ? std::floor(scaled(j, line_axes_[1]) / side_) : 0.0, 0, 0};
    };
    std::vector<Line> of(points_.size());
    std::transform(points_.begin(), points_.end(), of.begin(), line_of);
    std::sort(points_.begin(), points_.end(), [&](KeyIndex a, KeyIndex b) {
      const Line &left = of[static_cast<std::size_t>(a)], &right = of[static_cast<std::size_t>(b)];
      if (before(left, right) || before(right, left)) return before(left, right);
      const double along_a = scaled(a, line_axes_[0]), along_b = scaled(b, line_axes_[0]);
      return along_a < along_b || (along_a == along_b && a < b);
    });
    for (std::size_t i = 0; i < points_.size(); ++i) {
      const Line& line = of[static_cast<std::size_t>(points_[i])];
      const Index at = static_cast<Index>(i);
      if (lines_.empty() || before(lines_.back(), line)) lines_.push_back({line.third, line.second, at, at});
      lines_.back().end = at + 1;
    }
  }

  /// Points at begin to end, but for the one at `place`.
  void scan_but(Index place, Index begin, Index end, const Eigen::VectorXd& q, double bound, FoundPoints& found) const {
    if (begin <= place && place < end) {
      scan(begin, place, q, bound, found);
      begin = place + 1;
    }
    scan(begin, end, q, bound, found);
  }

  void scan(Index begin, Index end, const Eigen::VectorXd& q, double bound, FoundPoints& found) const {
    if (begin >= end) return;
    found.reserve(found.count + (end - begin), dimension());
    found.count += engine::loops<double, engine::ColumnLoops>().points_within(
        axes_.data() + begin, axes_.rows(), dimension(), points_.data() + begin, end - begin, q.data(), bound,
        found.points.data() + found.count, found.squares.data() + found.count, found.offsets.data() + found.count,
        found.offsets.rows());
  }

  Eigen::VectorXd scales_;
  Index size_ = 0;
  double side_ = 0;                          ///< of a cell; 0: one line holds all points
  std::array<Index, 3> line_axes_{0, 1, 2};  ///< that lines run along, and that tell lines apart
  std::vector<Line> lines_;
  Eigen::MatrixXd axes_;           ///< [N x D] and a pack, in the order of the lines
  std::vector<KeyIndex> points_;  ///< in that order, and a pack
  std::vector<KeyIndex> places_;  ///< in it, of each point
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
