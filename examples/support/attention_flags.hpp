// The options of programs that compute attention of arrays in files.
#pragma once

#include "attention_arrays.hpp"

#include <nadaraya/operator_options.hpp>

#include <CLI/CLI.hpp>

#include <string>

namespace program {

/// --query, --key, --value and --output-dir, to be required where the program cannot go without, and --grad-output.
/// `type` is what --help calls an array.
inline void add_array_flags(CLI::App& app, ArrayPaths& paths, bool required, const std::string& type) {
  app.add_option("--query", paths.query, "query")->required(required)->type_name(type);
  app.add_option("--key", paths.key, "key; fewer heads are shared by groups of query heads")->required(required)->type_name(type);
  app.add_option("--value", paths.value, "value")->required(required)->type_name(type);
  app.add_option("--grad-output", paths.grad_output, "gradient of the output: also write grad_query, grad_key, grad_value")
      ->type_name(type);
  app.add_option("--output-dir", paths.output_dir, "folder for out.npy and the gradients")->required(required);
}

/// --kernel, which is required, --normalization, --similarity, --mask, --mix and their numbers.
inline void add_operator_flags(CLI::App& app, nadaraya::OperatorOptions& op) {
  using Names = nadaraya::OperatorOptions;
  app.add_option("--kernel", op.kernel, "kernel")->required()->check(CLI::IsMember(Names::kernels));
  app.add_option("--exponent", op.exponent, "exponent of the polynomial kernel");
  app.add_option("--alpha", op.alpha, "alpha of the polynomial kernel, 1 + 1/exponent");
  app.add_option("--normalization", op.normalization, "normalization, default adaptive")
      ->check(CLI::IsMember(Names::normalizations));
  app.add_option("--bandwidth", op.bandwidth, "bandwidth for fixed, anchored and unnormalized");
  app.add_option("--mass", op.mass, "what unnormalized divides by, default 1");
  app.add_option("--neighbors", op.neighbors, "number of neighbours for nearest");
  app.add_option("--similarity", op.similarity, "similarity, default dot")->check(CLI::IsMember(Names::similarities));
  app.add_option("--scale", op.scale, "scale of the similarity; dot: default 1/sqrt(D), others 1");
  app.add_option("--mask", op.mask, "mask, default none")->check(CLI::IsMember(Names::masks));
  app.add_option("--window", op.window, "number of keys that mask window leaves visible");
  app.add_option("--mix", op.mix, "fit to the values around a query, default constant: their weighted mean")
      ->check(CLI::IsMember(Names::mixes));
  app.add_option("--ridge", op.ridge, "ridge of the mixes linear, quadratic and cubic, default 1e-6");
}

}  // namespace program
