// Included once for each tier, inside its namespace and its target region: the loops in which the time goes. Pointers
// in and out; nothing of Eigen or of the standard library is instantiated here, for its code could be merged with the
// copy that other machines run.

#include "nadaraya/loops/each.ipp"
#include "nadaraya/loops/matrix_products.ipp"
#include "nadaraya/loops/dots.ipp"
#include "nadaraya/loops/weighted_rows.ipp"
#include "nadaraya/loops/candidates.ipp"
#include "nadaraya/loops/elements.ipp"
#include "nadaraya/loops/narrow.ipp"
#include "nadaraya/loops/row_sums.ipp"
#include "nadaraya/loops/split_sums.ipp"
#include "nadaraya/loops/kernel_rows.ipp"
#include "nadaraya/loops/short_rows.ipp"
#include "nadaraya/loops/small_systems.ipp"
#include "nadaraya/loops/column_fits.ipp"

/// All loops of the tier by name.
struct Loops : MatrixProducts, Dots, WeightedRows, CandidateLoops, Elements, Narrow, RowSums, SplitSums, KernelRows, ShortRows,
               SmallSystems, ColumnFits {
  template <class Table>
  static const Table& table();
};

/// Those that call no kernel by pointer.
template <class Table>
inline constexpr Table loop_table{};

template <class T>
inline constexpr LoopTable<T> loop_table<LoopTable<T>> = {
    .multiply = &Loops::multiply<T>,
    .add_product = &Loops::add_product<T>,
    .score_panel = &Loops::score_panel<T>,
    .products = &Loops::products<T>,
    .products_of_rows = &Loops::products_of_rows<T>,
    .shift = &Loops::shift<T>,
    .scale = &Loops::scale<T>,
    .divide = &Loops::divide<T>,
    .transpose = &Loops::transpose<T>,
    .largest = &Loops::largest<T>,
    .largest_size = &Loops::largest_size<T>,
    .any_above = &Loops::any_above<T>,
    .all_finite = &Loops::all_finite<T>,
    .centre_rows = &Loops::centre_rows<T>,
    .widen_bfloat16 = &Loops::widen_bfloat16<T>,
    .widen_half = &Loops::widen_half<T>,
    .candidates = &Loops::candidates<T>,
    .shifted_candidates = &Loops::shifted_candidates<T>,
    .filter = &Loops::filter<T>,
    .prune = &Loops::prune<T>,
    .count_above = &Loops::count_above<T>,
    .between = &Loops::between<T>,
    .coordinates = &Loops::coordinates<T>,
    .moments = &Loops::moments<T>,
    .deviate = &Loops::deviate<T>,
    .mix = &Loops::mix<T>,
    .scores = &Loops::scores<T>,
    .fetch_rows = &Loops::fetch_rows<T>,
};

template <class T>
inline constexpr BackwardLoops<T> loop_table<BackwardLoops<T>> = {
    .dots = &Loops::dots<T>,
    .scatter_weights = &Loops::scatter_weights<T>,
    .scatter_gradients = &Loops::scatter_gradients<T>,
};

template <class T>
inline constexpr GridLoops<T> loop_table<GridLoops<T>> = {
    .within = &Loops::within<T>,
    .ranks = &Loops::ranks,
    .ranks_by_bits = &Loops::ranks_by_bits,
};

template <class T>
inline constexpr FitLoops<T> loop_table<FitLoops<T>> = {
    .offset_rows = &Loops::offset_rows<T>,
    .factorize = &Loops::factorize<T>,
    .substitute = &Loops::substitute<T>,
};

template <class T>
inline constexpr SplitLoops<T> loop_table<SplitLoops<T>> = {
    .add_split = &Loops::add_split<T>,
};

template <class T>
inline constexpr ColumnLoops<T> loop_table<ColumnLoops<T>> = {
    .points_within = &Loops::points_within<T>,
    .exponentials = &Loops::exponentials<T>,
    .inner_product = &Loops::inner_product<T>,
    .inner_product_of_squares = &Loops::inner_product_of_squares<T>,
    .centre_columns = &Loops::centre_columns<T>,
    .products_with_columns = &Loops::products_with_columns<T>,
    .products_of_columns = &Loops::products_of_columns<T>,
    .add_columns = &Loops::add_columns<T>,
    .subtract = &Loops::subtract<T>,
    .tilted = &Loops::tilted<T>,
};

template <class Table>
const Table& Loops::table() {
  return loop_table<Table>;
}
