// Short rows side by side, a lane for each. Included once for each tier, as loops.ipp says.

struct ShortRows : KernelFormulas {
  /// For some short rows z[i] of n[i] >= 1 numbers, a lane for each: moves the map's pivot to the largest and its offset
  /// from the coordinate of the floor known so far, or from 1, down towards where the kappa(t) sum to one, and never past
  /// it, by at most `steps` of Newton's steps; the mass is the sum where they end, if it is before that. The sum to the
  /// power 1 / Root is convex in the offset, and where Root is not 1, kappa and kappa' are zero at the edge. Rows may be
  /// read to a whole pack past their ends. If
  /// `settled` is not 0, goes on from there as settle of threshold.hpp does.
  template <int Root, class K, class T>
  static void step_down(const K& kernel, T edge, int steps, const T* const* z, const Index* n, const T* floor_bound, Index rows,
                        RowNormalizer<T>* maps, T settled = T(0)) {
    for (; rows > 0; rows -= lanes<T>, z += lanes<T>, n += lanes<T>, floor_bound += lanes<T>, maps += lanes<T>) {
      step_lanes_down<Root>(kernel, edge, steps, z, n, floor_bound, rows < lanes<T> ? rows : lanes<T>, maps, settled);
    }
  }

 private:
  /// The numbers of some rows as columns of a number of each; returns how many columns, a multiple of the lanes. What is
  /// past the end of a row is nowhere.
  template <class T>
  static Index columns_of(const T* const* z, const Index* n, Index rows, T* column) {
    const PackOf<T> nowhere = broadcast(-std::numeric_limits<T>::infinity());
    T numbers[lanes<T>];
    for (Index j = 0; j < lanes<T>; ++j) numbers[j] = static_cast<T>(j);
    const PackOf<T> number = load(numbers);
    Index longest = 0;
    for (Index i = 0; i < rows; ++i) longest = longest < n[i] ? n[i] : longest;
    Index columns = 0;
    do {
      PackOf<T> row[lanes<T>];
#pragma GCC unroll 16
      for (Index i = 0; i < lanes<T>; ++i) {
        // Lengths differ: a branch on them would often be guessed wrongly.
        const Index left = i < rows ? n[i] - columns : 0;
        const T* from = i < rows ? z[i] : z[0];
        row[i] = where_less(number, broadcast(static_cast<T>(left)), load(left > 0 ? from + columns : from), nowhere);
      }
      exchange_from<1>(row);
#pragma GCC unroll 16
      for (Index j = 0; j < lanes<T>; ++j) store(column + (columns + j) * lanes<T>, row[j]);
      columns += lanes<T>;
    } while (columns < longest);
    return columns;
  }

  template <int Root, class K, class T>
  NADARAYA_INLINE static void step_lanes_down(const K& kernel, T edge, int steps, const T* const* z, const Index* n,
                                              const T* floor_bound, Index rows, RowNormalizer<T>* maps, T settled) {
    // Independent sums, so that none waits for the one before. Columns are a multiple of the lanes.
    constexpr int Sums = lanes<T> < 4 ? static_cast<int>(lanes<T>) : 4;
    // Similarities, and what becomes of them; one list where those are not needed any more.
    alignas(bytes) T numbers[longest_short_row * lanes<T>];
    alignas(bytes) T relative[Root == 1 ? longest_short_row * lanes<T> : 1];
    T* const column = Root == 1 ? relative : numbers;
    const Index columns = columns_of(z, n, rows, numbers);
    PackOf<T> tops[Sums];
#pragma GCC unroll 4
    for (int k = 0; k < Sums; ++k) tops[k] = broadcast(-std::numeric_limits<T>::infinity());
    for (Index j = 0; j < columns; j += Sums) {
#pragma GCC unroll 4
      for (int k = 0; k < Sums; ++k) tops[k] = larger(tops[k], load(numbers + (j + k) * lanes<T>));
    }
#pragma GCC unroll 4
    for (int k = 1; k < Sums; ++k) tops[0] = larger(tops[0], tops[k]);
    const PackOf<T> pivot = tops[0];

    // What rounds where it is divided by the width would round otherwise where it is multiplied.
    T pivots[lanes<T>], offsets[lanes<T>], masses[lanes<T>];
    RowNormalizer<T> from_pivot = maps[0];
    from_pivot.pivot = T(0);
    from_pivot.offset = T(0);
    const Coordinate<T> coordinate(from_pivot);
    for (Index j = 0; j < columns; ++j) {
      store(column + j * lanes<T>, coordinate(load(numbers + j * lanes<T>) - pivot));
    }
    for (Index i = 0; i < lanes<T>; ++i) offsets[i] = floor_bound[i < rows ? i : 0];
    PackOf<T> offset = coordinate(pivot - load(offsets));
    const PackOf<T> zero = broadcast(T(0)), one = broadcast(T(1)), bound = broadcast(edge);
    // What goes on from there need not be told the last digits.
    const PackOf<T> nearly_one = broadcast(settled > T(0) ? T(1) - T(1) / T(1024) : T(1) - T(2) * std::numeric_limits<T>::epsilon());
    offset = where_less(offset, one, offset, one);
    PackOf<T> mass = one;
    // Root mass (mass^(-1 / Root) - 1) / slope, as norm_step of threshold.hpp has it, given mass - 1.
    const auto newton_step = [&](const PackOf<T>& total, const PackOf<T>& excess, const PackOf<T>& slope) NADARAYA_INLINE_LAMBDA {
      PackOf<T> root = total;
#pragma GCC unroll 8
      for (int k = Root; k > 1; k /= 2) root = sqrt(root);
      PackOf<T> powers = one, product = broadcast(static_cast<T>(Root));
#pragma GCC unroll 8
      for (int k = 1; k < Root; ++k) {
        powers = fma(root, powers, one);
        product = product * root;
      }
      return product * (zero - excess) / (powers * slope);
    };
    for (int step = 0; step < steps; ++step) {
      PackOf<T> values[Sums], slopes[Sums];
#pragma GCC unroll 4
      for (int k = 0; k < Sums; ++k) values[k] = slopes[k] = zero;
      for (Index j = 0; j < columns; j += Sums) {
#pragma GCC unroll 4
        for (int k = 0; k < Sums; ++k) {
          const PackOf<T> t = load(column + (j + k) * lanes<T>) + offset;
          if constexpr (Root > 1) {
            const PackOf<T> inside = larger(t, bound);
            values[k] = values[k] + profile(kernel, inside);
            slopes[k] = slopes[k] + derivative(kernel, inside);
          } else {
            values[k] = values[k] + where_above(t, bound, profile(kernel, t));
            slopes[k] = slopes[k] + where_above(t, bound, derivative(kernel, t));
          }
        }
      }
#pragma GCC unroll 4
      for (int k = 1; k < Sums; ++k) {
        values[0] = values[0] + values[k];
        slopes[0] = slopes[0] + slopes[k];
      }
      mass = values[0];
      const PackOf<T> next = offset + newton_step(mass, mass - one, slopes[0]);
      // Settled are those that would hardly move, and those that cannot be compared. They stay, however long others go on:
      // no row depends on the rows it is solved with.
      const PackOf<T> still = offset * nearly_one;
      if (above(where_less(next, still, one, zero), zero) == 0) {
        if (settled > T(0)) offset = where_less(next, offset, next, offset);
        break;
      }
      offset = where_less(next, still, next, offset);
    }
    PackOf<T> origin = pivot;
    if (settled > T(0)) {
      const PackOf<T> width = broadcast(maps[0].width);
      if constexpr (Root == 1) {
        origin = pivot - width * offset;
        offset = offset + (origin - pivot) / width;
      }
      mass = one;
      const PackOf<T> enough = broadcast(settled);
      PackOf<T> moving = one;
      for (int pass = 0; pass < 16; ++pass) {
        PackOf<T> sum[Sums], rest[Sums], slopes[Sums];
#pragma GCC unroll 4
        for (int k = 0; k < Sums; ++k) sum[k] = rest[k] = slopes[k] = zero;
        for (Index j = 0; j < columns; j += Sums) {
#pragma GCC unroll 4
          for (int k = 0; k < Sums; ++k) {
            const PackOf<T> x = load(column + (j + k) * lanes<T>);
            const PackOf<T> t = (Root == 1 ? coordinate(load(numbers + (j + k) * lanes<T>) - origin) : x) + offset;
            add_exactly(where_above(t, bound, profile(kernel, t)), sum[k], rest[k]);
            slopes[k] = slopes[k] + where_above(t, bound, derivative(kernel, t));
          }
        }
#pragma GCC unroll 4
        for (int k = 1; k < Sums; ++k) {
          rest[0] = rest[0] + rest[k];
          add_exactly(sum[k], sum[0], rest[0]);
          slopes[0] = slopes[0] + slopes[k];
        }
        const PackOf<T> excess = (sum[0] - one) + rest[0];
        const PackOf<T> step = newton_step(sum[0], excess, slopes[0]);
        const PackOf<T> next = offset + step;
        const PackOf<T> moves = moving * slopes[0];
        if constexpr (Root > 1) mass = where_less(zero, moves, one - width * (step - (next - offset)) / next, mass);
        offset = where_less(zero, moves, next, offset);
        moving = where_less(enough, larger(excess, zero - excess), moving, zero);
        if (above(moving, zero) == 0) break;
      }
    }
    store(pivots, origin);
    store(offsets, offset);
    store(masses, mass);
    for (Index i = 0; i < rows; ++i) {
      maps[i].pivot = pivots[i];
      maps[i].offset = offsets[i];
      maps[i].mass = masses[i];
    }
  }
};
