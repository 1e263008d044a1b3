// Coordinates of a row and sums over it. Included once for each tier, as loops.ipp says.

/// t = (z - pivot) / width + offset: by a product where the width is a power of two, which is exact and far cheaper than
/// the division; also for the width 3 of 4/3-entmax, where a last digit is lost. Not for any width: gradients of bandwidths,
/// sums of small differences, would lose more. The branch goes the same way for a whole row; for packs of 16 bytes it costs as
/// much as it saves.
template <class T>
struct Coordinate {
  PackOf<T> pivot, offset, factor;
  bool multiplied;

  NADARAYA_INLINE explicit Coordinate(const RowNormalizer<T>& map)
      : pivot(broadcast(map.pivot)),
        offset(broadcast(map.offset)),
        multiplied(bytes > 16 && (is_power_of_two(map.width) || map.width == T(3))) {
    factor = broadcast(multiplied ? T(1) / map.width : map.width);
  }

  NADARAYA_INLINE PackOf<T> operator()(const PackOf<T>& z) const {
    if (multiplied) return (z - pivot) * factor + offset;
    return (z - pivot) / factor + offset;
  }
};

/// sum += x, and rest += what that sum has lost (Knuth's exact addition, in either order of size).
template <class T>
NADARAYA_INLINE void add_exactly(const PackOf<T>& x, PackOf<T>& sum, PackOf<T>& rest) {
  const PackOf<T> next = sum + x;
  const PackOf<T> added = next - sum;
  rest = rest + ((sum - (next - added)) + (x - added));
  sum = next;
}

/// The sum of the lanes of such a sum.
template <class T>
NADARAYA_INLINE double exact_total(const PackOf<T>& sum, const PackOf<T>& rest) {
  return wide_total(sum) + wide_total(rest);
}

struct RowSums {
  /// z becomes t.
  template <class T>
  static void coordinates(const RowNormalizer<T>& map, T* z, Index n) {
    const Coordinate<T> coordinate(map);
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
      store_up_to(z + j, coordinate(load_up_to(z + j, count)), count);
    });
  }

  /// Sums of factor s and of factor s (g - origin), as exact as their terms.
  template <class T>
  static Moments<T> moments(const T* s, T factor, const T* g, T origin, Index n) {
    const PackOf<T> by = broadcast(factor), from = broadcast(origin), zero = broadcast(T(0));
    PackOf<T> mass = zero, mass_rest = zero, first = zero, first_rest = zero;
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> x = load_up_to(s + j, count) * by;
      const PackOf<T> y = x * (load_up_to(g + j, count) - from);
      add_exactly(x, mass, mass_rest);
      add_exactly(y, first, first_rest);
    });
    // Of one pack there is no rest.
    if (n <= lanes<T>) return Moments<T>{wide_total(mass), wide_total(first)};
    return Moments<T>{exact_total(mass, mass_rest), exact_total(first, first_rest)};
  }

  /// s = s ((g - origin) - mean); returns the sum of that.
  template <class T>
  static T deviate(T* s, const T* g, T origin, T mean, Index n) {
    const PackOf<T> from = broadcast(origin), middle = broadcast(mean);
    double sum = 0;
    in_runs<T>(n, [&](Index begin, Index length) NADARAYA_INLINE_LAMBDA {
      PackOf<T> sums = broadcast(T(0));
      each<T>(length, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
        T* to = s + begin + j;
        const PackOf<T> x = load_up_to(to, count) * ((load_up_to(g + begin + j, count) - from) - middle);
        store_up_to(to, x, count);
        sums = sums + x;
      });
      sum += total(sums);
    });
    return static_cast<T>(sum);
  }
};
