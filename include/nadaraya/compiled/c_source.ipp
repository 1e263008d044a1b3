// The functions of nadaraya.h, as the library nadaraya_c compiles them: included by its source alone.
#include "nadaraya/compiled/c_attention.ipp"
#include "nadaraya/compiled/c_cache.ipp"
#include "nadaraya/compiled/c_entmax.ipp"
#include "nadaraya/compiled/c_operator.ipp"
