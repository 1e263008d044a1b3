// The functions of a row's numbers for the normalizations, which call them: with their definitions or, where NADARAYA_COMPILED
// is defined, declared, for the rules of the built-in pairs come from the library then.
#pragma once

#include "nadaraya/row/declarations.hpp"

#if !defined(NADARAYA_COMPILED)
#include "nadaraya/row/definitions.hpp"
#endif
