// Products of matrices, tile by tile. Included once for each tier, as loops.ipp says.

/// A tile of a product: 6 rows of 4 packs, whose sums fill 24 of 32 registers, or of 2 packs, 12 of 16.
inline constexpr int tile_rows = 6;
inline constexpr int tile_packs = bytes == 64 ? 4 : 2;

/// The left factor of a product: a[i][d] is data[i * row + d * step].
template <class T>
struct Factor {
  const T* data;
  Index row;
  Index step;
};

/// sum[i][j] = 0
template <int Rows, int Packs, class T>
NADARAYA_INLINE void clear(PackOf<T> (&sum)[Rows][Packs]) {
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < Packs; ++j) sum[i][j] = broadcast(T(0));
  }
}

/// sum[i][j] += sum_d a[i][d] b[d][j], one term after the other; two terms at a time where the loop counts, which costs it
/// less. The last pack of b's rows has `last` columns.
template <int Rows, int Packs, class T>
NADARAYA_INLINE void accumulate(Index depth, const Factor<T>& a, const T* b, Index b_row, Index last,
                                PackOf<T> (&sum)[Rows][Packs]) {
  const T* left = a.data;
#pragma GCC unroll 2
  for (Index d = 0; d < depth; ++d, left += a.step, b += b_row) {
    PackOf<T> right[Packs];
#pragma GCC unroll 8
    for (int j = 0; j < Packs; ++j) right[j] = load_up_to(b + j * lanes<T>, last);
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      const PackOf<T> factor = broadcast(left[i * a.row]);
#pragma GCC unroll 8
      for (int j = 0; j < Packs; ++j) sum[i][j] = fma(factor, right[j], sum[i][j]);
    }
  }
}

struct MatrixProducts {
  /// c[i][j] = sum_d a[i][d] b[d][j], for any number of rows and columns. Rows of b and c are b_row and c_row apart;
  /// a[i][d] is a[i * a_row + d * a_step], so that a may be transposed. A tile's sums stay in registers for `run_terms`
  /// terms; then they are added to c.
  template <class T>
  static void multiply(Index rows, Index depth, Index cols, const T* a, Index a_row, Index a_step, const T* b,
                       Index b_row, T* c, Index c_row) {
    multiply_into<T>(false, rows, depth, cols, Factor<T>{a, a_row, a_step}, b, b_row, c, c_row);
  }

  /// c[i][j] += sum_d a[i][d] b[d][j]
  template <class T>
  static void add_product(Index rows, Index depth, Index cols, const T* a, Index a_row, Index a_step, const T* b,
                          Index b_row, T* c, Index c_row) {
    multiply_into<T>(true, rows, depth, cols, Factor<T>{a, a_row, a_step}, b, b_row, c, c_row);
  }

  /// z[i][j] = factor (a[i] . panel[:, j]) for any number of rows of a and the 64 keys of a panel, summed as `candidates`
  /// sums. Up to five rows of a past the last are read.
  template <class T>
  static void score_panel(Index rows, Index depth, const T* a, Index a_row, const T* panel, T factor, T* z, Index z_row) {
    constexpr Index keys = 64;
    const PackOf<T> by = broadcast(factor);
    for (Index first = 0; first < rows; first += tile_rows) {
      for (Index j = 0; j < keys; j += tile_packs * lanes<T>) {
        PackOf<T> sum[tile_rows][tile_packs];
        clear<tile_rows, tile_packs, T>(sum);
        accumulate<tile_rows, tile_packs>(depth, Factor<T>{a + first * a_row, a_row, 1}, panel + j, keys, lanes<T>, sum);
#pragma GCC unroll 8
        for (int i = 0; i < tile_rows; ++i) {
          if (first + i >= rows) break;
#pragma GCC unroll 8
          for (int k = 0; k < tile_packs; ++k) store(z + (first + i) * z_row + j + k * lanes<T>, sum[i][k] * by);
        }
      }
    }
  }

 private:
  /// One function for both products: whether c is added to is asked once for each tile.
  template <class T>
  static void multiply_into(bool add, Index rows, Index depth, Index cols, const Factor<T>& a, const T* b, Index b_row,
                            T* c, Index c_row) {
    const auto from_row = [&](Index i) NADARAYA_INLINE_LAMBDA { return Factor<T>{a.data + i * a.row, a.row, a.step}; };
    Index i = 0;
    for (; i + tile_rows <= rows; i += tile_rows) {
      const Index j = multiply_tiles<tile_rows>(add, depth, Index(0), cols, from_row(i), b, b_row, c + i * c_row, c_row);
      multiply_rest<tile_rows>(add, depth, j, cols, from_row(i), b, b_row, c + i * c_row, c_row);
    }
    // Of the rows left, four or two share what they read of b. Columns beyond the tiles are few: they go row by row.
    const Index paired = rows - (rows - i) % 2;
    Index k = i;
    for (; k + 4 <= paired; k += 4) {
      multiply_tiles<4>(add, depth, Index(0), cols, from_row(k), b, b_row, c + k * c_row, c_row);
    }
    for (; k < paired; k += 2) {
      multiply_tiles<2>(add, depth, Index(0), cols, from_row(k), b, b_row, c + k * c_row, c_row);
    }
    for (; i < rows; ++i) {
      const Index first = i < paired ? cols - cols % (tile_packs * lanes<T>) : 0;
      const Index j = multiply_tiles<1>(add, depth, first, cols, from_row(i), b, b_row, c + i * c_row, c_row);
      multiply_rest<1>(add, depth, j, cols, from_row(i), b, b_row, c + i * c_row, c_row);
    }
  }

  /// Whole tiles from column j on; returns the first column after them.
  template <int Rows, class T>
  NADARAYA_INLINE static Index multiply_tiles(bool add, Index depth, Index j, Index cols, const Factor<T>& a, const T* b,
                                              Index b_row, T* c, Index c_row) {
    for (; j + tile_packs * lanes<T> <= cols; j += tile_packs * lanes<T>) {
      multiply_tile<Rows, tile_packs>(add, depth, a, b + j, b_row, c + j, c_row, lanes<T>);
    }
    return j;
  }

  /// The columns from j on, pack by pack.
  template <int Rows, class T>
  NADARAYA_INLINE static void multiply_rest(bool add, Index depth, Index j, Index cols, const Factor<T>& a, const T* b,
                                            Index b_row, T* c, Index c_row) {
    for (; j + lanes<T> <= cols; j += lanes<T>) {
      multiply_tile<Rows, 1>(add, depth, a, b + j, b_row, c + j, c_row, lanes<T>);
    }
    if (j < cols) multiply_tile<Rows, 1>(add, depth, a, b + j, b_row, c + j, c_row, cols - j);
  }

  /// `last` columns of the last pack.
  template <int Rows, int Packs, class T>
  NADARAYA_INLINE static void multiply_tile(bool add, Index depth, const Factor<T>& a, const T* b, Index b_row, T* c,
                                            Index c_row, Index last) {
    Index begin = 0;
    do {
      const Index terms = depth - begin < run_terms ? depth - begin : run_terms;
      PackOf<T> sum[Rows][Packs];
      clear<Rows, Packs, T>(sum);
      accumulate<Rows, Packs>(terms, Factor<T>{a.data + begin * a.step, a.row, a.step}, b + begin * b_row, b_row, last,
                              sum);
      if (add) {
#pragma GCC unroll 8
        for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
          for (int j = 0; j < Packs; ++j) sum[i][j] = load_up_to(c + i * c_row + j * lanes<T>, last) + sum[i][j];
        }
      }
#pragma GCC unroll 8
      for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
        for (int j = 0; j < Packs; ++j) store_up_to(c + i * c_row + j * lanes<T>, sum[i][j], last);
      }
      add = true;
      begin += terms;
    } while (begin < depth);
  }
};
