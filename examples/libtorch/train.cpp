// Trains a layer of attention with an alpha for each head, by torch::optim, after checking its gradients.
#include "attention.hpp"

#include <cmath>
#include <cstdio>
#include <vector>

namespace {

using torch::Tensor;

/// The largest difference between gradients by autograd and central differences, relative to 1 + |gradient|.
template <class Function>
double gradient_error(const Function& function, std::vector<Tensor> inputs) {
  for (Tensor& input : inputs) input.requires_grad_();
  const Tensor probe = torch::randn_like(function(inputs));
  const auto gradients = torch::autograd::grad({(function(inputs) * probe).sum()}, inputs);
  torch::NoGradGuard no_grad;
  constexpr double step = 1e-6;
  double worst = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Tensor flat = inputs[i].view(-1);
    const Tensor gradient = gradients[i].reshape(-1);
    for (int64_t j = 0; j < flat.size(0); ++j) {
      const double before = flat[j].item<double>();
      const auto loss = [&](double value) {
        flat[j] = value;
        return (function(inputs) * probe).sum().template item<double>();
      };
      const double slope = (loss(before + step) - loss(before - step)) / (2 * step);
      flat[j] = before;
      const double got = gradient[j].item<double>();
      const double error = std::abs(got - slope) / (1 + std::abs(got));
      if (!(error <= worst)) worst = error;
    }
  }
  return worst;
}

/// Looks up, for each query, the value of the one key that carries its code, among many.
struct Lookup : torch::nn::Module {
  static constexpr int64_t heads = 2, dim = 12;

  torch::nn::Linear query{nullptr}, key{nullptr}, value{nullptr}, out{nullptr};
  Tensor raw_alpha;

  Lookup(int64_t code, int64_t features) {
    query = register_module("query", torch::nn::Linear(code, heads * dim));
    key = register_module("key", torch::nn::Linear(code, heads * dim));
    value = register_module("value", torch::nn::Linear(features, heads * dim));
    out = register_module("out", torch::nn::Linear(heads * dim, features));
    raw_alpha = register_parameter("raw_alpha", torch::zeros({heads}));
  }

  /// Between 1.05 and 2.05: 1.55 to begin with.
  Tensor alpha() const { return 1.05 + torch::sigmoid(raw_alpha); }

  Tensor forward(const Tensor& queries, const Tensor& codes, const Tensor& values) {
    // Heads stay interleaved, as the projections give them: the transposed view is read where it lies.
    const auto split = [](const Tensor& x) { return x.view({x.size(0), x.size(1), heads, dim}).transpose(1, 2); };
    const Tensor o =
        nadaraya_torch::entmax_attention(split(query(queries)), split(key(codes)), split(value(values)), alpha());
    return out(o.transpose(1, 2).flatten(2));
  }
};

}  // namespace

int main() {
  torch::manual_seed(3);
  using namespace nadaraya;

  const auto random = [](c10::IntArrayRef sizes) { return torch::randn(sizes, torch::kDouble); };
  // Two query heads share each key head; keys lie token by token, not head by head.
  const Tensor q = random({2, 4, 5, 3}), k = random({2, 6, 2, 3}).transpose(1, 2), v = random({2, 2, 6, 3});
  const double softmax = gradient_error(
      [](const auto& x) {
        return nadaraya_torch::attention(Attention(Gaussian{}, Adaptive{}, Causal{}), x[0], x[1], x[2]);
      },
      {q.clone(), k.contiguous(), v.clone()});
  const double entmax = gradient_error(
      [](const auto& x) { return nadaraya_torch::entmax_attention(x[0], x[1].transpose(1, 2), x[2], x[3]); },
      {q.clone(), k.transpose(1, 2).contiguous(), v.clone(), torch::tensor({1.1, 1.4, 1.7, 2.0}, torch::kDouble)});
  std::printf("gradients against central differences: softmax %.1e, entmax with learned alpha %.1e\n", softmax, entmax);

  Lookup model(12, 6);
  torch::optim::Adam optimizer(model.parameters(), 2e-2);
  constexpr int steps = 400;
  double first = 0, last = 0;  // the mean of the last ten
  for (int step = 0; step < steps; ++step) {
    const Tensor codes = torch::randn({16, 64, 12}), values = torch::randn({16, 64, 6});
    const Tensor wanted = torch::randint(64, {16, 8, 1});
    const Tensor queries = codes.gather(1, wanted.expand({-1, -1, 12}));
    const Tensor targets = values.gather(1, wanted.expand({-1, -1, 6}));
    optimizer.zero_grad();
    const Tensor loss = torch::mse_loss(model.forward(queries, codes, values), targets);
    loss.backward();
    optimizer.step();
    if (step == 0) first = loss.item<double>();
    if (step >= steps - 10) last += loss.item<double>() / 10;
  }
  const Tensor alpha = model.alpha().detach();
  std::printf("mean squared error %.3f -> %.3f in %d steps; alpha 1.550 -> %.3f %.3f\n", first, last, steps,
              alpha[0].item<double>(), alpha[1].item<double>());
  return softmax <= 1e-7 && entmax <= 1e-7 && last <= 0.25 * first ? 0 : 1;
}
