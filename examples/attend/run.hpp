// One scalar: the calls.
#pragma once

#include "problem.hpp"

#include <nadaraya/any_attention.hpp>
#include <nadaraya/engine/executor.hpp>
#include <nadaraya/head_weights.hpp>
#include <nadaraya/make_operator.hpp>

#include <chrono>
#include <cstring>

namespace program {

template <class Scalar>
nadaraya::HeadView<const Scalar> heads(const npy::Array& array) {
  const Shape s(array);
  return nadaraya::HeadView<const Scalar>::bhnd(array.data<Scalar>(), s.batch, s.heads, s.rows, s.cols);
}

template <class Scalar>
nadaraya::HeadView<Scalar> heads(npy::Array& array) {
  const Shape s(array);
  return nadaraya::HeadView<Scalar>::bhnd(array.data<Scalar>(), s.batch, s.heads, s.rows, s.cols);
}

template <class Scalar>
Weights weights(const Problem& in, const Options& o, const nadaraya::AnyOperator<Scalar>& op) {
  auto all = nadaraya::head_weights<Scalar>({&op}, heads<Scalar>(in.query), heads<Scalar>(in.key), nadaraya::Threads{o.threads});
  npy::Array values = npy::zeros<Scalar>({all.values.size()});
  if (!all.values.empty()) std::memcpy(values.bytes.data(), all.values.data(), values.bytes.size());
  return Weights{all.rows, all.cols, std::move(all.offsets), std::move(all.columns), std::move(values)};
}

template <class Scalar>
Result run_operator(const Problem& in, const Options& o, const nadaraya::AnyOperator<Scalar>& op) {
  const auto start = std::chrono::steady_clock::now();
  const nadaraya::AnyAttention<Scalar> attention({&op});
  const nadaraya::Threads threads{o.threads};
  std::vector<std::size_t> shape = in.query.shape;
  shape.back() = in.value.shape.back();
  npy::Array out = npy::zeros<Scalar>(shape);
  const auto one_sequence = nadaraya::Packed::one(Shape(in.query).rows, Shape(in.key).rows);
  const auto tape = attention.forward(heads<Scalar>(in.query), heads<Scalar>(in.key), heads<Scalar>(in.value),
                                      heads<Scalar>(out), one_sequence, threads);
  Result result;
  result.mean_support = tape.mean_support();
  result.empty_rows = tape.empty_rows();
  result.files.emplace_back("out", std::move(out));
  if (in.grad_output) {
    npy::Array grad_query = npy::zeros<Scalar>(in.query.shape);
    npy::Array grad_key = npy::zeros<Scalar>(in.key.shape);
    npy::Array grad_value = npy::zeros<Scalar>(in.value.shape);
    attention.backward(tape, heads<Scalar>(*in.grad_output), heads<Scalar>(grad_query), heads<Scalar>(grad_key),
                       heads<Scalar>(grad_value), threads);
    result.files.emplace_back("grad_query", std::move(grad_query));
    result.files.emplace_back("grad_key", std::move(grad_key));
    result.files.emplace_back("grad_value", std::move(grad_value));
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (o.weights || o.plot) result.weights = weights(in, o, op);
  return result;
}

template <class Scalar>
Result run(const Problem& in, const Options& o) {
  return run_operator<Scalar>(in, o, nadaraya::make_operator<Scalar>(o.op));
}

}  // namespace program
