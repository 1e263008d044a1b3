// What the regions of a call cost, so that it uses no more threads than pay.
#pragma once

#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/record.hpp"
#include "nadaraya/types.hpp"

#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Estimates in multiply-adds of the float product loop, some 45 of which take a nanosecond. They decide how many
/// threads are used, and never the result.
template <class Scalar>
struct CostModel {
  /// Elements of other scalars take that many times as long.
  static constexpr double scalar = vectorized<Scalar> ? double(sizeof(Scalar)) / sizeof(float) : 64.0;
  /// A query's lists, its threshold and its row of the result.
  static constexpr double query = 10'000;
  /// A query's fit by a mix: 1.1 us for a local line through 21 keys of 64 columns. Backward fits again and pulls back.
  static constexpr double fit = 50'000;
  /// A pair's comparison and its share of the row's threshold; a similarity of the user's is evaluated pair by pair.
  static double pair(const Head<Scalar>& head) { return head.is_product() ? 8 : 64; }
  /// An element that is copied and looked at.
  static constexpr double element = 4;
  /// A supported pair's element in backward, which is fetched and not streamed.
  static constexpr double fetched = 4;

  /// A query, with `fits` times its fit where there is a mix.
  static double fitted_query(const Head<Scalar>& head, double fits) {
    return query + (head.policies.mix == nullptr ? 0.0 : fits * fit);
  }

  static double rows(Index queries) { return scalar * query * double(queries); }
  static double copies(Index rows, Index cols) { return scalar * element * double(rows) * double(cols); }

  /// The forward pass of a head whose queries see `seen` keys on average; 0 where a grid finds them. Each block reads
  /// all keys, which a few queries do not hide.
  static double forward(const Head<Scalar>& head, double seen) {
    // A few queries read keys and values as fast as memory gives them, unless they are screened.
    const bool screened = head.keys->screened() && screening_of(head.policies) != Screening::never;
    const bool streamed = !head.keys->scored().in_panels() && !screened;
    const double cols = (streamed ? element : 1) * 0.5 * double(head.query.cols + head.value().cols) + pair(head);
    return scalar * (double(head.query.rows) * (fitted_query(head, 1) + seen * cols) + double(head.blocks()) * seen * cols);
  }

  /// Backward of a head, without the gradients of its keys and values: through the recorded pairs, and through the `seen` keys of
  /// a query where they are formed again.
  static double backward(const Head<Scalar>& head, std::span<const Record<Scalar>> records, double seen) {
    const double cols = double(head.query.cols + head.value().cols) + pair(head);
    double sum = 0;
    for (const auto& record : records) {
      const double pairs = record.recompute ? 2 * seen * double(record.rows()) : fetched * double(record.keys.size());
      sum += fitted_query(head, 2) * double(record.rows()) + pairs * cols;
    }
    return scalar * sum;
  }

  /// The gradients of a head's keys and values, from the recorded pairs and `sums` copies of the gradients.
  static double gather(const Head<Scalar>& head, std::span<const Record<Scalar>> records, Index sums) {
    const double cols = double(head.key().cols + head.value().cols);
    double pairs = 0;
    for (const auto& record : records) pairs += double(record.keys.size());
    return scalar * fetched * cols * (0.5 * pairs + double(sums) * double(head.key().rows));
  }
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
