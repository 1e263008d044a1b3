// The loops that know no kernel, as tables of functions: for each scalar and vector tier one of what every call needs, and one
// each for the way back, for grids and for fits, which are compiled where they are called.
#pragma once

#include "nadaraya/loops/operands.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/types.hpp"

#include <cstdint>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// What each loop computes is said where it is defined; every argument is given.
template <class T>
struct LoopTable {
  // Products.
  void (*multiply)(Index rows, Index depth, Index cols, const T* a, Index a_row, Index a_step, const T* b, Index b_row,
                   T* c, Index c_row);
  void (*add_product)(Index rows, Index depth, Index cols, const T* a, Index a_row, Index a_step, const T* b,
                      Index b_row, T* c, Index c_row);
  void (*score_panel)(Index rows, Index depth, const T* a, Index a_row, const T* panel, T factor, T* z, Index z_row);
  void (*products)(const T* x, Index stride, Index n, Index cols, const T* y, T* z, T factor);
  void (*products_of_rows)(const T* x, Index stride, Index n, Index cols, const T* y, Index y_stride, Index rows, T* z,
                           Index z_stride, T factor);

  // Elements and rows.
  void (*shift)(T* z, const T* x, Index n, T slope, T constant);
  void (*scale)(const T* x, Index n, T factor, T* y);
  void (*divide)(const T* x, Index n, T divisor, T* y);
  void (*transpose)(const T* x, Index stride, Index n, Index cols, T* to, Index to_stride);
  T (*largest)(const T* z, Index n);
  T (*largest_size)(const T* x, Index n);
  bool (*any_above)(const T* z, Index n, T floor);
  bool (*all_finite)(const T* x, Index n);
  T (*centre_rows)(const T* x, Index stride, Index n, Index cols, T* centre);

  void (*widen_bfloat16)(const std::uint16_t* x, Index n, T* y);
  void (*widen_half)(const std::uint16_t* x, Index n, T* y);

  // Candidates.
  void (*candidates)(Index depth, const T* a, Index a_row, const T* panel, KeyIndex first, Candidates<T>* to, T factor);
  void (*shifted_candidates)(Index depth, const T* a, Index a_row, const T* panel, const T* norm, T slope,
                             KeyIndex first, Candidates<T>* to, T factor);
  Index (*filter)(const T* z, Index n, T floor, KeyIndex first, T* out_z, KeyIndex* out_key);
  Index (*prune)(T* z, KeyIndex* key, Index n, T floor);
  Index (*count_above)(const T* z, Index n, T bound);
  Index (*between)(const T* z, Index n, T low, T high, KeyIndex* place);

  // One row.
  void (*coordinates)(const RowNormalizer<T>& map, T* z, Index n);
  Moments<T> (*moments)(const T* s, T factor, const T* g, T origin, Index n);
  T (*deviate)(T* s, const T* g, T origin, T mean, Index n);

  // Rows gathered by key.
  void (*mix)(const KeyIndex* key, const T* p, Index n, const T* x, Index stride, Index cols, T* out);
  void (*scores)(const KeyIndex* place, Index n, const KeyIndex* key, const T* x, Index stride, Index cols, const T* y,
                 T* z, T factor);
  void (*fetch_rows)(const KeyIndex* place, Index n, const KeyIndex* key, const T* x, Index stride, Index cols);
};

/// For the way back.
template <class T>
struct BackwardLoops {
  void (*dots)(const KeyIndex* key, const T* p, Index n, const T* x, Index stride, Index cols, const T* y, T* g);
  Index (*scatter_weights)(const Pair<T>* pairs, Index n, const T* y, Index y_stride, Index cols, T* x, Index x_stride,
                           KeyIndex first, std::uint16_t* terms);
  void (*scatter_gradients)(const Pair<T>* pairs, Index n, const T* y, Index y_stride, Index cols, T* x, Index x_stride);
};

/// For points in a grid.
template <class T>
struct GridLoops {
  Index (*within)(int dimension, const T* const* axes, const KeyIndex* key, KeyIndex first, Index n, const T* q, T bound,
                  KeyIndex* out, KeyIndex* places);
  void (*ranks)(const KeyIndex* key, Index n, KeyIndex* rank);
  void (*ranks_by_bits)(const KeyIndex* key, Index n, Index words, std::uint64_t* bits, KeyIndex* before, KeyIndex* rank);
};

/// For a fit on a few rows.
template <class T>
struct FitLoops {
  void (*offset_rows)(const KeyIndex* key, const T* factor, Index n, const T* x, Index stride, Index cols, const T* from, T* to);
  void (*factorize)(Index n, T* a, Index stride, T least);
  void (*substitute)(Index n, const T* factors, Index stride, T* x, T* rest);
};

/// For sums that do not depend on the order of their terms.
template <class T>
struct SplitLoops {
  void (*add_split)(const KeyIndex* key, const T* p, Index n, const T* x, Index stride, Index cols, double high_cut,
                    double low_cut, double* high, double* low);
};

/// For a weighted fit on columns.
template <class T>
struct ColumnLoops {
  Index (*points_within)(const T* x, Index stride, Index cols, const KeyIndex* key, Index n, const T* q, T bound, KeyIndex* out,
                         T* squares, T* offsets, Index to_stride);
  T (*exponentials)(const T* x, Index n, T rate, T* y);
  T (*inner_product)(const T* x, const T* y, Index n);
  T (*inner_product_of_squares)(const T* x, const T* y, const T* z, Index n);
  T (*centre_columns)(T* w, Index n, T* x, Index stride, Index cols, T* mean);
  void (*products_with_columns)(const T* w, const T* y, Index n, const T* x, Index stride, Index cols, T* to);
  void (*products_of_columns)(const T* w, Index n, const T* x, Index stride, Index cols, T* to, Index to_stride);
  void (*add_columns)(const T* factor, Index n, const T* x, Index stride, Index cols, T* y);
  void (*subtract)(T constant, Index n, T* y);
  void (*tilted)(const T* x, const T* y, Index n, T constant, T factor, T* z);
};

/// The loops of this machine's tier, of float and double; defined in loops/tiers.hpp. Not inline, so that `extern template` keeps
/// the loops from being compiled again: where NADARAYA_COMPILED is defined, they are the library's. Use loops() (loops/chosen.hpp).
template <class Scalar, template <class> class Table = LoopTable>
const Table<Scalar>& chosen_loops();

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
