// The regressions of all heads of a memory, whatever their kernel.
#pragma once

#include "nadaraya/attention.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/mosaic/memory_kernel.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// What the rows of a pass did.
struct SupportStatistics {
  double mean_support = 0;  ///< keys with weight, mean over queries and heads
  Index empty_rows = 0;  ///< queries without any
};

/// One pass, forward and then backward; what forward hands to backward stays in it. The views of
/// forward are read again by backward.
template <class Scalar>
class RegressionPass {
 public:
  virtual ~RegressionPass() = default;

  /// Overwrites `out`; `shapes` has the shape of each query head's kernel.
  virtual void forward(std::span<const KernelShape> shapes, const HeadView<const Scalar>& query,
                       const HeadView<const Scalar>& key, const HeadView<const Scalar>& value,
                       const HeadView<Scalar>& out, const AnyExecutor& executor) = 0;

  /// Overwrites the gradients of the operands; returns those of the shapes.
  virtual std::vector<KernelShape> backward(const HeadView<const Scalar>& grad_out, const HeadView<Scalar>& grad_query,
                                            const HeadView<Scalar>& grad_key, const HeadView<Scalar>& grad_value,
                                            const AnyExecutor& executor) = 0;

  virtual SupportStatistics statistics() const = 0;  ///< Of the last forward pass.
};

/// The pass of a memory kernel: the library's Attention, with an operator for each head.
template <class Scalar, MemoryKernel Memory>
class KernelPass final : public RegressionPass<Scalar> {
 public:
  explicit KernelPass(Memory memory = Memory{}) : memory_(std::move(memory)) {}  ///< A pass of this memory kernel.

  void forward(std::span<const KernelShape> shapes, const HeadView<const Scalar>& query,
               const HeadView<const Scalar>& key, const HeadView<const Scalar>& value, const HeadView<Scalar>& out,
               const AnyExecutor& executor) override {
    shapes_.assign(shapes.begin(), shapes.end());
    tape_ = attention().forward(query, key, value, out, executor);
  }

  std::vector<KernelShape> backward(const HeadView<const Scalar>& grad_out, const HeadView<Scalar>& grad_query,
                                    const HeadView<Scalar>& grad_key, const HeadView<Scalar>& grad_value,
                                    const AnyExecutor& executor) override {
    const auto parameters = attention().backward(tape_, grad_out, grad_query, grad_key, grad_value, executor);
    std::vector<KernelShape> grads;
    for (std::size_t h = 0; h < shapes_.size(); ++h) grads.push_back(memory_.pullback(shapes_[h], parameters[h]));
    return grads;
  }

  /// Of the last forward pass.
  SupportStatistics statistics() const override { return {tape_.mean_support(), tape_.empty_rows()}; }

 private:
  auto attention() const {
    std::vector<typename Memory::Operator> heads;
    for (const KernelShape& shape : shapes_) heads.push_back(memory_.head(shape));
    return Attention(std::move(heads));
  }

  Memory memory_;
  std::vector<KernelShape> shapes_;
  AttentionTape<Scalar> tape_;
};

/// A memory kernel as a model takes it.
template <class Scalar>
struct KernelChoice {
  std::function<std::unique_ptr<RegressionPass<Scalar>>()> make_pass;  ///< makes a pass of the kernel
  bool learns_alpha = false;  ///< whether heads have an alpha to learn
};

/// The choice of one memory kernel for a whole model.
template <class Scalar, MemoryKernel Memory>
KernelChoice<Scalar> kernel_choice(Memory memory) {
  return KernelChoice<Scalar>{
      [memory]() -> std::unique_ptr<RegressionPass<Scalar>> { return std::make_unique<KernelPass<Scalar, Memory>>(memory); },
      learns_alpha<Memory>};
}

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
