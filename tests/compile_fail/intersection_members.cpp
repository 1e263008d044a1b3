// expect first: mask: visible must be
// An intersection does not hide what one of its masks has with another signature.
#include "nadaraya/mask/causal.hpp"
#include "nadaraya/mask/intersection.hpp"

using namespace nadaraya;

struct Past {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }
#ifdef FAIL
  bool visible(Index query, Index key) const { return key <= query; }
#else
  bool visible(Index query, Index key, const Extent&) const { return key <= query; }
#endif
};

static_assert(HoledMask<Intersection<Causal, Past>>);
auto both() { return Causal{} & Past{}; }
