#include "heads.hpp"

#include <nadaraya/engine/executor.hpp>

namespace program {

namespace {

template <class Scalar>
typename Head<Scalar>::Input input(const npy::Array& array, Index batch, Index head) {
  const Shape s(array);
  return {array.data<Scalar>() + (batch * s.heads + head) * s.rows * s.cols, s.rows, s.cols};
}

template <class Scalar>
typename Head<Scalar>::Output output(npy::Array& array, Index batch, Index head) {
  const Shape s(array);
  return {array.data<Scalar>() + (batch * s.heads + head) * s.rows * s.cols, s.rows, s.cols};
}

/// A shape with the number of heads, or of columns, of another.
std::vector<std::size_t> with_heads_of(const npy::Array& other, std::vector<std::size_t> shape) {
  if (shape.size() == 4) shape[1] = other.shape[1];
  return shape;
}

std::vector<std::size_t> with_cols_of(const npy::Array& other, std::vector<std::size_t> shape) {
  shape.back() = other.shape.back();
  return shape;
}

/// The sum over the query heads that share a key head, in their order.
template <class Scalar>
npy::Array sum_groups(const npy::Array& by_query_head, const npy::Array& key) {
  npy::Array sum = npy::zeros<Scalar>(with_heads_of(key, by_query_head.shape));
  const Shape from(by_query_head), to(sum);
  for (Index b = 0; b < from.batch; ++b) {
    for (Index h = 0; h < from.heads; ++h) {
      output<Scalar>(sum, b, h * to.heads / from.heads) += input<Scalar>(by_query_head, b, h);
    }
  }
  return sum;
}

}  // namespace

template <class Scalar>
Result for_each_head(const Problem& in, int threads, const std::function<HeadSummary(Head<Scalar>&)>& attend) {
  const Shape q(in.query), k(in.key);
  const bool backward = in.grad_output.has_value();
  npy::Array out = npy::zeros<Scalar>(with_cols_of(in.value, in.query.shape));
  npy::Array grad_query, grad_key, grad_value;
  if (backward) {
    grad_query = npy::zeros<Scalar>(in.query.shape);
    grad_key = npy::zeros<Scalar>(with_heads_of(in.query, in.key.shape));
    grad_value = npy::zeros<Scalar>(with_heads_of(in.query, in.value.shape));
  }

  std::vector<HeadSummary> summaries(static_cast<std::size_t>(q.batch * q.heads));
  nadaraya::Threads{threads}.parallel_for(q.batch * q.heads, [&](Index task) {
    const Index b = task / q.heads;
    const Index h = task % q.heads;
    const Index shared = h * k.heads / q.heads;
    const auto gradient = [&](npy::Array& array) {
      return backward ? output<Scalar>(array, b, h) : typename Head<Scalar>::Output(nullptr, 0, 0);
    };
    Head<Scalar> head{
        .query = input<Scalar>(in.query, b, h),
        .key = input<Scalar>(in.key, b, shared),
        .value = input<Scalar>(in.value, b, shared),
        .grad_output = backward ? input<Scalar>(*in.grad_output, b, h) : typename Head<Scalar>::Input(nullptr, 0, 0),
        .out = output<Scalar>(out, b, h),
        .grad_query = gradient(grad_query),
        .grad_key = gradient(grad_key),
        .grad_value = gradient(grad_value),
        .backward = backward};
    summaries[static_cast<std::size_t>(task)] = attend(head);
  });

  Result result;
  for (const HeadSummary& summary : summaries) {
    result.mean_support += summary.mean_support;
    result.empty_rows += summary.empty_rows;
  }
  if (!summaries.empty()) result.mean_support /= static_cast<double>(summaries.size());
  result.files.emplace_back("out", std::move(out));
  if (backward) {
    result.files.emplace_back("grad_query", std::move(grad_query));
    result.files.emplace_back("grad_key", sum_groups<Scalar>(grad_key, in.key));
    result.files.emplace_back("grad_value", sum_groups<Scalar>(grad_value, in.value));
  }
  return result;
}

template Result for_each_head(const Problem&, int, const std::function<HeadSummary(Head<float>&)>&);
template Result for_each_head(const Problem&, int, const std::function<HeadSummary(Head<double>&)>&);

}  // namespace program
