// With nadaraya::compiled, for kernels and normalizations of your own and for scalars other than float and double: what the
// library holds for the built-in ones. Header-only use has it anyway.
#pragma once

#include "nadaraya/engine/definitions.hpp"
#include "nadaraya/normalization/row_rule_of.hpp"
