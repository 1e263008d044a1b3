// The built-in policies as the engine calls them, for NADARAYA_SCALAR: the rules of all pairs of a kernel and a normalization,
// the similarities, the masks and the mix. The includer defines NADARAYA_INSTANTIATE as `template`, to compile them in a library, or as
// `extern template`, to use them from there, and includes the policies first.

#define NADARAYA_RULE(K, N)                                                                          \
  NADARAYA_INSTANTIATE const RowRule<NADARAYA_SCALAR>* make_row_rule<NADARAYA_SCALAR, K, N>(const K&, const N&, double, void*);
#define NADARAYA_RULES(K) \
  NADARAYA_RULE(K, FixedBandwidth) NADARAYA_RULE(K, Anchored) NADARAYA_RULE(K, NearestNeighbors) NADARAYA_RULE(K, Unnormalized)

namespace nadaraya {

NADARAYA_RULES(Uniform)
NADARAYA_RULES(Epanechnikov)
NADARAYA_RULES(Biweight)
NADARAYA_RULES(Triweight)
NADARAYA_RULES(RectifiedPower)
NADARAYA_RULES(Gaussian)

// The box kernel falls to zero by a jump, so that Adaptive has no threshold for it.
NADARAYA_RULE(Epanechnikov, Adaptive)
NADARAYA_RULE(Biweight, Adaptive)
NADARAYA_RULE(Triweight, Adaptive)
NADARAYA_RULE(RectifiedPower, Adaptive)
NADARAYA_RULE(Gaussian, Adaptive)

namespace detail {

NADARAYA_INSTANTIATE void weigh_scores<NADARAYA_SCALAR>(const RowRule<NADARAYA_SCALAR>&, CandidateRow<NADARAYA_SCALAR>&,
                                                        RowNormalizer<NADARAYA_SCALAR>&,
                                                        engine::LineVector<NADARAYA_SCALAR>&);
NADARAYA_INSTANTIATE void pull_slopes<NADARAYA_SCALAR>(RowView<NADARAYA_SCALAR>, RowOut<NADARAYA_SCALAR>);

}  // namespace detail

namespace engine {

NADARAYA_INSTANTIATE class RowSimilarityOf<NADARAYA_SCALAR, DotProduct>;
NADARAYA_INSTANTIATE class RowSimilarityOf<NADARAYA_SCALAR, SquaredDistance>;
NADARAYA_INSTANTIATE class RowSimilarityOf<NADARAYA_SCALAR, Cosine>;

NADARAYA_INSTANTIATE class RowMaskOf<NADARAYA_SCALAR, NoMask>;
NADARAYA_INSTANTIATE class RowMaskOf<NADARAYA_SCALAR, Causal>;
NADARAYA_INSTANTIATE class RowMaskOf<NADARAYA_SCALAR, StrictlyCausal>;
NADARAYA_INSTANTIATE class RowMaskOf<NADARAYA_SCALAR, SlidingWindow>;
NADARAYA_INSTANTIATE class RowMaskOf<NADARAYA_SCALAR, KeyLengths>;

NADARAYA_INSTANTIATE class RowMixOf<NADARAYA_SCALAR, LocalLinear>;

}  // namespace engine

}  // namespace nadaraya

#undef NADARAYA_RULES
#undef NADARAYA_RULE
