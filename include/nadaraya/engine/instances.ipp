// What nadaraya::compiled holds of the engine for NADARAYA_SCALAR. The includer defines NADARAYA_INSTANTIATE as `template`, to
// compile it in the library, or as `extern template`, to use it from there.

namespace nadaraya::engine {

NADARAYA_INSTANTIATE void forward<NADARAYA_SCALAR>(std::span<const Problem<NADARAYA_SCALAR>>,
                                                   std::span<const MatrixMap<NADARAYA_SCALAR>>,
                                                   std::span<const std::span<Record<NADARAYA_SCALAR>>>,
                                                   const Execution<NADARAYA_SCALAR>&);
NADARAYA_INSTANTIATE void backward<NADARAYA_SCALAR>(std::span<const Problem<NADARAYA_SCALAR>>,
                                                    std::span<const HeadGradients<NADARAYA_SCALAR>>,
                                                    std::span<ParameterSums<NADARAYA_SCALAR>>,
                                                    const Execution<NADARAYA_SCALAR>&);
NADARAYA_INSTANTIATE void weigh<NADARAYA_SCALAR>(
    const Problem<NADARAYA_SCALAR>&, const Execution<NADARAYA_SCALAR>&,
    const detail::FunctionRef<void(std::span<const KeyIndex>, std::span<const NADARAYA_SCALAR>)>&);
NADARAYA_INSTANTIATE void list_candidates<NADARAYA_SCALAR>(
    const Problem<NADARAYA_SCALAR>&, const Extent&, const Execution<NADARAYA_SCALAR>&,
    const detail::FunctionRef<void(std::span<CandidateRow<NADARAYA_SCALAR>* const>)>&,
    const detail::FunctionRef<void(Index, std::span<const CandidateRow<NADARAYA_SCALAR>>)>&);
NADARAYA_INSTANTIATE OwnedKeys<NADARAYA_SCALAR> make_growing_keys<NADARAYA_SCALAR>(const SimilarityTraits&, Index, Screening);
NADARAYA_INSTANTIATE OwnedKeys<NADARAYA_SCALAR> make_prepared_keys<NADARAYA_SCALAR>(const SimilarityTraits&, Index, Screening);
NADARAYA_INSTANTIATE void read_keys<NADARAYA_SCALAR>(PreparedKeys<NADARAYA_SCALAR>&,
                                                     const StoredRows<NADARAYA_SCALAR>&,
                                                     const StoredRows<NADARAYA_SCALAR>&, Index);
NADARAYA_INSTANTIATE void hide_keys<NADARAYA_SCALAR>(PreparedKeys<NADARAYA_SCALAR>&, Index) noexcept;
NADARAYA_INSTANTIATE void reserve_keys<NADARAYA_SCALAR>(PreparedKeys<NADARAYA_SCALAR>&, const StoredRows<NADARAYA_SCALAR>&, Index);
NADARAYA_INSTANTIATE StreamStored<NADARAYA_SCALAR> bfloat16_stream<NADARAYA_SCALAR>();
NADARAYA_INSTANTIATE void DeletePreparedKeys<NADARAYA_SCALAR>::operator()(PreparedKeys<NADARAYA_SCALAR>*) const noexcept;
NADARAYA_INSTANTIATE const GridFunctions<NADARAYA_SCALAR>& grid_functions<NADARAYA_SCALAR>();
NADARAYA_INSTANTIATE ScratchPool<NADARAYA_SCALAR>::ScratchPool();
NADARAYA_INSTANTIATE ScratchPool<NADARAYA_SCALAR>::~ScratchPool();

}  // namespace nadaraya::engine
