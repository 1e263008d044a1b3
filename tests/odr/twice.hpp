// What both translation units of the test do: include every header, twice, and compute.
#include "everything.hpp"
#include "nadaraya/nadaraya.hpp"

#include <Eigen/Core>

// Has internal linkage on purpose: each translation unit must bring its own call.
static Eigen::MatrixXf attend_here(const Eigen::MatrixXf& query, const Eigen::MatrixXf& key,
                                   const Eigen::MatrixXf& value) {
  using namespace nadaraya;
  NadarayaWatson op{Biweight{}, Adaptive{}};
  RowMatrix<float> out;
  auto tape = op.forward(query, key, value, out);
  const auto grads = op.backward(tape, RowMatrix<float>::Ones(out.rows(), out.cols()));
  Eigen::MatrixXf both(out.rows() + grads.query.rows(), out.cols());
  both << out, grads.query;
  return both;
}
