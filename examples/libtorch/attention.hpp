// nadaraya::Attention on torch::Tensor, differentiated by torch::autograd.
#pragma once

#include <nadaraya/nadaraya.hpp>

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace nadaraya_torch {

using torch::Tensor;

/// A view of a tensor [batch, heads, tokens, dim] of any strides; refers to the tensor's memory.
/// Throws c10::Error unless the tensor is on the CPU, has four dimensions and elements of type T.
template <class T>
nadaraya::HeadView<T> heads(const Tensor& tensor, const char* name) {
  using Scalar = std::remove_const_t<T>;
  TORCH_CHECK(tensor.device().is_cpu(), name, ": nadaraya needs a tensor on the CPU, got one on ", tensor.device());
  TORCH_CHECK(tensor.dim() == 4, name, ": must be [batch, heads, tokens, dim], got ", tensor.sizes());
  TORCH_CHECK(tensor.scalar_type() == c10::CppTypeToScalarType<Scalar>::value, name, ": must have elements of type ",
              c10::CppTypeToScalarType<Scalar>::value, " like query, got ", tensor.scalar_type());
  return {tensor.data_ptr<Scalar>(),
          tensor.size(0),
          tensor.size(1),
          tensor.size(2),
          tensor.size(3),
          {tensor.stride(0), tensor.stride(1), tensor.stride(2), tensor.stride(3)}};
}

/// As many threads as torch::set_num_threads allows.
inline nadaraya::Threads threads() { return {at::get_num_threads()}; }

/// The tape, owned by the node of the graph. It refers to query, key and value, which the node saves with it: their
/// memory lives as long, and torch refuses a backward pass after they were changed in place.
template <class Scalar>
struct SavedTape : torch::CustomClassHolder {
  nadaraya::AttentionTape<Scalar> tape;

  explicit SavedTape(nadaraya::AttentionTape<Scalar> from) : tape(std::move(from)) {}
};

/// The node. Operator is a nadaraya::Attention; `alpha` is empty, or [heads]: what its kernels were made of.
template <class Operator>
class AttentionFunction : public torch::autograd::Function<AttentionFunction<Operator>> {
 public:
  using Context = torch::autograd::AutogradContext;

  struct Shared : torch::CustomClassHolder {
    Operator attention;

    explicit Shared(Operator from) : attention(std::move(from)) {}
  };

  static Tensor forward(Context* context, const Tensor& query, const Tensor& key, const Tensor& value,
                        const Tensor& alpha, c10::intrusive_ptr<Shared> shared) {
    const Tensor out = torch::empty({query.size(0), query.size(1), query.size(2), value.size(3)}, query.options());
    AT_DISPATCH_FLOATING_TYPES(query.scalar_type(), "nadaraya_torch::attention", [&] {
      auto tape =
          shared->attention.forward(heads<const scalar_t>(query, "query"), heads<const scalar_t>(key, "key"),
                                    heads<const scalar_t>(value, "value"), heads<scalar_t>(out, "out"), threads());
      context->saved_data["tape"] =
          c10::IValue::make_capsule(c10::make_intrusive<SavedTape<scalar_t>>(std::move(tape)));
    });
    context->saved_data["attention"] = c10::IValue::make_capsule(std::move(shared));
    context->save_for_backward({query, key, value, alpha});
    return out;
  }

  static torch::autograd::variable_list backward(Context* context, torch::autograd::variable_list grads) {
    TORCH_CHECK(!torch::GradMode::is_enabled(),
                "nadaraya_torch::attention has no second derivatives (create_graph = true)");
    const auto saved = context->get_saved_variables();
    const auto like = [](const Tensor& tensor) { return torch::empty(tensor.sizes(), tensor.options()); };
    const Tensor query = like(saved[0]), key = like(saved[1]), value = like(saved[2]);
    Tensor alpha;
    const auto shared = c10::static_intrusive_pointer_cast<Shared>(context->saved_data["attention"].toCapsule());
    AT_DISPATCH_FLOATING_TYPES(query.scalar_type(), "nadaraya_torch::attention", [&] {
      const auto tape =
          c10::static_intrusive_pointer_cast<SavedTape<scalar_t>>(context->saved_data["tape"].toCapsule());
      const auto parameters = shared->attention.backward(
          tape->tape, heads<const scalar_t>(grads[0], "grad_out"), heads<scalar_t>(query, "grad_query"),
          heads<scalar_t>(key, "grad_key"), heads<scalar_t>(value, "grad_value"), threads());
      if (saved[3].numel() == 0) return;
      std::vector<double> by_alpha;
      for (const auto& head : parameters) {
        if constexpr (requires { head.alpha; }) by_alpha.push_back(static_cast<double>(head.alpha));
      }
      alpha = torch::tensor(by_alpha, saved[3].options());
    });
    return {query, key, value, alpha, Tensor()};
  }
};

/// Throws c10::Error unless query, key and value have four dimensions; called before their sizes are read.
inline void require_heads(const Tensor& query, const Tensor& key, const Tensor& value) {
  for (const auto& [name, tensor] : {std::pair("query", &query), std::pair("key", &key), std::pair("value", &value)}) {
    TORCH_CHECK(tensor->dim() == 4, name, ": must be [batch, heads, tokens, dim], got ", tensor->sizes());
  }
}

/// Attention of any kernel, normalization, similarity and mask: query [B, H, Nq, D], key [B, Hk, Nk, D],
/// value [B, Hk, Nk, Dv] -> [B, H, Nq, Dv]. Tensors of float or double on the CPU, of any strides.
/// Without gradients to record it is the call without a tape.
/// Errors: c10::Error for device, type and number of dimensions, std::invalid_argument for shapes.
template <class Operator>
Tensor attention(Operator op, const Tensor& query, const Tensor& key, const Tensor& value,
                 const Tensor& alpha = torch::empty(0)) {
  using Function = AttentionFunction<Operator>;
  require_heads(query, key, value);
  if (torch::GradMode::is_enabled() &&
      (query.requires_grad() || key.requires_grad() || value.requires_grad() || alpha.requires_grad())) {
    return Function::apply(query, key, value, alpha, c10::make_intrusive<typename Function::Shared>(std::move(op)));
  }
  const Tensor out = torch::empty({query.size(0), query.size(1), query.size(2), value.size(3)}, query.options());
  AT_DISPATCH_FLOATING_TYPES(query.scalar_type(), "nadaraya_torch::attention", [&] {
    op(heads<const scalar_t>(query, "query"), heads<const scalar_t>(key, "key"), heads<const scalar_t>(value, "value"),
       heads<scalar_t>(out, "out"), threads());
  });
  return out;
}

/// alpha-entmax attention with an alpha > 1 for each query head, alpha [H], which is differentiable too.
template <class Mask = nadaraya::NoMask>
Tensor entmax_attention(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& alpha,
                        const nadaraya::DotProduct& similarity = {}, const Mask& mask = {}) {
  using namespace nadaraya;
  require_heads(query, key, value);
  TORCH_CHECK(alpha.dim() == 1 && alpha.size(0) == query.size(1), "alpha: must be [", query.size(1),
              "], one for each query head, got ", alpha.sizes());
  const Tensor values = alpha.detach().to(torch::kCPU, torch::kDouble).contiguous();
  std::vector<NadarayaWatson<RectifiedPower, Adaptive, DotProduct, Mask>> each;
  for (int64_t h = 0; h < values.size(0); ++h) {
    each.emplace_back(RectifiedPower::with_alpha(values.data_ptr<double>()[h]), Adaptive{}, similarity, mask);
  }
  return attention(Attention(std::move(each)), query, key, value, alpha);
}

}  // namespace nadaraya_torch
