// Closes the region that detail/precise.hpp opened.

#if defined(__clang__)
#pragma float_control(pop)
#elif defined(__GNUC__) && defined(__GCC_IEC_559) && __GCC_IEC_559 == 0
#pragma GCC pop_options
#endif
