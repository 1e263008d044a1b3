#include "kernels.hpp"

namespace program {

nadaraya::mosaic::KernelChoice<double> checking_kernel(const std::string& name) {
  using namespace nadaraya;
  using namespace nadaraya::mosaic;
  const KernelName kernel(name);
  if (kernel.family == "softmax") return kernel_choice<double>(AdaptiveMemory<Gaussian>{});
  if (kernel.family == "epanechnikov") return kernel_choice<double>(AdaptiveMemory<Epanechnikov>{});
  if (kernel.family == "biweight") return kernel_choice<double>(AdaptiveMemory<Biweight>{});
  if (kernel.family == "triweight") return kernel_choice<double>(AdaptiveMemory<Triweight>{});
  if (kernel.family == "top_softmax") return kernel_choice<double>(NearestMemory<Gaussian>{kernel.neighbors});
  if (kernel.family == "top_uniform") return kernel_choice<double>(NearestMemory<Uniform>{kernel.neighbors});
  refuse_kernel(name, "softmax, epanechnikov, biweight, triweight, top<k>_softmax, top<k>_uniform");
}

}  // namespace program
