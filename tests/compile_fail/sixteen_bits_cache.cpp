// expect first: convert operands with .cast<float>()
// Nothing is computed in 16 bits, also where they are stored.
#include "nadaraya/nadaraya_watson.hpp"

using namespace nadaraya;

KeyValueCache<Eigen::half> cache(2, 2);

#ifdef FAIL
using T = Eigen::half;
#else
using T = float;
#endif

RowMatrix<T> regress(const RowMatrix<T>& query) { return NadarayaWatson{Biweight{}}(query, cache); }
