#include "kernels.hpp"

namespace program {

nadaraya::mosaic::KernelChoice<float> training_kernel(const std::string& name, nadaraya::Index neighbors) {
  using namespace nadaraya;
  using namespace nadaraya::mosaic;
  if (name == "softmax") return kernel_choice<float>(AdaptiveMemory<Gaussian>{});
  if (name == "epanechnikov") return kernel_choice<float>(AdaptiveMemory<Epanechnikov>{});
  if (name == "biweight") return kernel_choice<float>(AdaptiveMemory<Biweight>{});
  if (name == "triweight") return kernel_choice<float>(AdaptiveMemory<Triweight>{});
  if (name == "entmax") return kernel_choice<float>(LearnedAlphaMemory<>{});
  if (name == "norm_relu") return kernel_choice<float>(FixedMemory<Epanechnikov>{});
  if (name == "relumax") return kernel_choice<float>(AnchoredMemory<Epanechnikov>{});
  if (name == "topk_softmax") return kernel_choice<float>(NearestMemory<Gaussian>{neighbors});
  if (name == "topk_uniform") return kernel_choice<float>(NearestMemory<Uniform>{neighbors});
  refuse_kernel(name, "softmax, epanechnikov, biweight, triweight, entmax, norm_relu, relumax, topk_softmax, topk_uniform");
}

double first_beta(const std::string& name) {
  // Keys on the unit sphere are at most 2 apart, and at right angles sqrt(2): with this bandwidth, those
  // nearer than that have weight, and few rows are empty.
  if (name == "norm_relu") return 0.7071067811865476;
  return 2.718281828459045;
}

}  // namespace program
