// The main function of a test program, for a Catch2 2.13 that was installed without its own.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
