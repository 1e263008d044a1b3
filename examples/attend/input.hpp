// Inputs of the program: .npy files, and tensors of .safetensors files.
#pragma once

#include "../support/npy.hpp"

#include <string>

namespace program {

/// The array of an option's value: FILE.npy, FILE.safetensors:NAME, or FILE.safetensors where that has one tensor only.
/// float16 and bfloat16 become float32, without rounding. Throws UsageError, which begins with the option and its value.
npy::Array load(const std::string& option, const std::string& value);

}  // namespace program
