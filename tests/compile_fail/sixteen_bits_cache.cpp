// expect first: convert operands with .cast<float>()
// Nothing is computed in 16 bits.
#include "nadaraya/key_value_cache.hpp"

#ifdef FAIL
nadaraya::KeyValueCache<Eigen::half> cache(2, 2);
#endif
