#include "files.hpp"

#include "job.hpp"
#include "recorder.hpp"

#include "../support/attention_arrays.hpp"
#include "../support/npy.hpp"
#include "../support/npy_rows.hpp"
#include "../support/output.hpp"
#include "../support/usage.hpp"

#include <nadaraya/engine/executor.hpp>
#include <nadaraya/sharded/chosen_operator.hpp>
#include <nadaraya/types.hpp>
#include <nlohmann/json.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace program {
namespace {

using nadaraya::RowMatrix;

/// Rows first, ..., first + count - 1 of all.
struct Part {
  std::size_t first, count;

  Part(std::size_t rows, const Ranks& ranks) {
    const auto rank = static_cast<std::size_t>(ranks.rank()), size = static_cast<std::size_t>(ranks.size());
    // The first rows % size ranks have one more.
    const std::size_t least = rows / size, more = rows % size;
    first = rank * least + (std::min)(rank, more);
    count = least + (rank < more ? 1 : 0);
  }
};

npy::RowFile open(const std::string& option, const std::string& path) {
  try {
    npy::RowFile file(path);
    check_dimensions(file.shape());
    return file;
  } catch (const npy::Error& error) {
    refuse(option + " " + path + ": " + error.what());
  }
}

npy::Array rows(const npy::RowFile& file, const Part& part, const std::string& option, const std::string& path) {
  try {
    return file.rows(part.first, part.count);
  } catch (const npy::Error& error) {
    refuse(option + " " + path + ": " + error.what());
  }
}

/// The arrays of the files, and this rank's rows of them once they are read.
struct Inputs {
  std::optional<npy::RowFile> query, key, value, grad_output;
  npy::Array query_rows, key_rows, value_rows, grad_output_rows;

  void open_all(const Options& o) {
    query = open("--query", o.query);
    key = open("--key", o.key);
    value = open("--value", o.value);
    if (o.grad_output) grad_output = open("--grad-output", *o.grad_output);
    const auto kind = [](const npy::RowFile& file) { return ArrayKind(file.shape(), file.item_size()); };
    check_shapes(kind(*query), kind(*key), kind(*value),
                 grad_output ? std::optional(kind(*grad_output)) : std::nullopt);
  }

  void read_rows(const Options& o, const Part& queries, const Part& keys) {
    query_rows = rows(*query, queries, "--query", o.query);
    key_rows = rows(*key, keys, "--key", o.key);
    value_rows = rows(*value, keys, "--value", o.value);
    if (grad_output) grad_output_rows = rows(*grad_output, queries, "--grad-output", *o.grad_output);
  }
};

/// A file that is written: its name, the shape of all of it, the first row of this rank and its rows.
struct Written {
  std::string name;
  std::vector<std::size_t> shape;
  std::size_t first;
  npy::Array rows;
};

template <class Scalar>
Written zeros(std::string name, std::vector<std::size_t> shape, const Part& part) {
  std::vector<std::size_t> own = shape;
  own[own.size() - 2] = part.count;
  return Written{std::move(name), std::move(shape), part.first, npy::zeros<Scalar>(own)};
}

/// A head of an array [..., heads, rows, cols], counted through all batch entries.
template <class Scalar>
auto head(const npy::Array& array, Index index) {
  const Shape s(array);
  return Eigen::Map<const RowMatrix<Scalar>>(array.data<Scalar>() + index * s.rows * s.cols, s.rows, s.cols);
}
template <class Scalar>
auto head(npy::Array& array, Index index) {
  const Shape s(array);
  return Eigen::Map<RowMatrix<Scalar>>(array.data<Scalar>() + index * s.rows * s.cols, s.rows, s.cols);
}

struct Support {
  double sum = 0;
  Index rows = 0, empty = 0;
  bool known = true;  ///< false if a row is NaN

  double mean() const { return rows == 0 ? 0.0 : sum / static_cast<double>(rows); }
};

template <class Scalar>
std::vector<Written> compute(Recorder& ranks, const Options& o, const Inputs& in, const Part& queries, const Part& keys,
                             Support& support) {
  std::vector<std::size_t> out_shape = in.query->shape();
  out_shape.back() = in.value->shape().back();
  std::vector<Written> files;
  std::optional<nadaraya::sharded::ChosenOperator<Scalar>> op;
  agree(ranks, [&] {
    op.emplace(o.op, mixing(o));
    files.push_back(zeros<Scalar>("out", out_shape, queries));
    if (!in.grad_output) return;
    files.push_back(zeros<Scalar>("grad_query", in.query->shape(), queries));
    files.push_back(zeros<Scalar>("grad_key", in.key->shape(), keys));
    files.push_back(zeros<Scalar>("grad_value", in.value->shape(), keys));
  });
  const Shape q(in.query->shape()), k(in.key->shape());
  const nadaraya::Threads threads{o.threads};
  for (Index h = 0; h < q.batch * q.heads; ++h) {
    const Index shared = h / (q.heads / k.heads);
    RowMatrix<Scalar> out;
    const auto tape = op->prefill(ranks, head<Scalar>(in.query_rows, h), head<Scalar>(in.key_rows, shared),
                                  head<Scalar>(in.value_rows, shared), out, threads);
    head<Scalar>(files[0].rows, h) = out;
    for (Index i = 0; i < tape.queries(); ++i) {
      const Index size = tape.support_size(i);
      support.known = support.known && size >= 0;
      support.sum += static_cast<double>(size);
      support.empty += size == 0 ? 1 : 0;
    }
    support.rows += tape.queries();
    if (!in.grad_output) continue;
    const auto grads = op->backward(ranks, tape, head<Scalar>(in.grad_output_rows, h), threads);
    head<Scalar>(files[1].rows, h) = grads.query;
    head<Scalar>(files[2].rows, shared) += grads.key;
    head<Scalar>(files[3].rows, shared) += grads.value;
  }
  return files;
}

}  // namespace

void run_files(Ranks& ranks, const Options& o) {
  Inputs in;
  agree(ranks, [&] { in.open_all(o); });
  const auto rows_of = [](const npy::RowFile& file) { return file.shape()[file.shape().size() - 2]; };
  const Part queries(rows_of(*in.query), ranks), keys(rows_of(*in.key), ranks);
  Output output(o.output_dir);
  agree(ranks, [&] {
    if (ranks.rank() == 0) output.open();
  });
  agree(ranks, [&] { in.read_rows(o, queries, keys); });

  Recorder counted(ranks);
  Support support;
  const auto start = std::chrono::steady_clock::now();
  const bool single = in.query->item_size() == sizeof(float);
  const std::vector<Written> files = single ? compute<float>(counted, o, in, queries, keys, support)
                                            : compute<double>(counted, o, in, queries, keys, support);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  // Rank 0 makes the files, and puts them in place once every rank has written its rows.
  agree(ranks, [&] {
    if (ranks.rank() != 0) return;
    for (const Written& file : files) output.stage_rows(file.name, file.shape, file.rows.item_size);
  });
  agree(ranks, [&] {
    for (const Written& file : files) output.write_rows(file.name, file.shape, file.first, file.rows);
  });
  agree(ranks, [&] {
    if (ranks.rank() != 0) return;
    std::cout << nlohmann::json{{"query", in.query->shape()},
                                {"key", in.key->shape()},
                                {"value", in.value->shape()},
                                {"out", files.front().shape},
                                {"dtype", single ? "float32" : "float64"},
                                {"mean_support", support.known ? nlohmann::json(support.mean()) : nlohmann::json()},
                                {"empty_rows", support.empty},
                                {"seconds", seconds},
                                {"ranks", ranks.size()},
                                {"rounds", counted.traffic().rounds},
                                {"bytes_sent", counted.traffic().sent},
                                {"bytes_received", counted.traffic().received}}
                     .dump()
              << std::endl;
    if (!std::cout) refuse("standard output cannot be written");
    output.commit();
  });
}

}  // namespace program
