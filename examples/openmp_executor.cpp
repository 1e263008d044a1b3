// An executor of one's own: OpenMP's threads. The result is bitwise that of one thread.
#include <nadaraya/nadaraya.hpp>

#include <cstdio>
#include <exception>

struct OpenMp {
  template <class Fn>
  void parallel_for(nadaraya::Index n, const Fn& fn) const {
    std::exception_ptr error;  // no exception may leave a thread of OpenMP's
#pragma omp parallel for schedule(dynamic)
    for (nadaraya::Index i = 0; i < n; ++i) {
      try {
        fn(i);
      } catch (...) {
#pragma omp critical
        error = std::current_exception();
      }
    }
    if (error) std::rethrow_exception(error);
  }
};

int main() {
  using namespace nadaraya;
  const RowMatrix<float> query = RowMatrix<float>::Random(2000, 64), key = RowMatrix<float>::Random(3000, 64);
  const NadarayaWatson op{Biweight{}, Adaptive{}, DotProduct{.scale = 1.0}};
  const Workspace<float, OpenMp> workspace;  // keeps scratch memory from call to call

  RowMatrix<float> serial, parallel;
  const auto serial_tape = op.forward(query, key, key, serial);
  const auto parallel_tape = op.forward(query, key, key, parallel, workspace);
  const auto serial_grads = op.backward(serial_tape, serial);
  const auto parallel_grads = op.backward(parallel_tape, parallel, workspace);
  const bool same = serial == parallel && serial_grads.query == parallel_grads.query &&
                    serial_grads.key == parallel_grads.key && serial_grads.scale == parallel_grads.scale;
  std::printf("outputs and gradients are %s, %.1f of 3000 keys with weight\n", same ? "bitwise the same" : "different",
              serial_tape.mean_support());
  return same ? 0 : 1;
}
