// One row under a kernel: t = (z - pivot) / width + offset. Included once for each tier, as loops.ipp says; a kernel comes
// from outside the region and is inlined into it, formula by formula.

struct KernelFormulas {
  /// kappa(t). By its laws, an exponential kernel is exp(rate (t - centre)), for which tiers have an exp of their own.
  template <class K, class T>
  NADARAYA_INLINE static PackOf<T> profile(const K& kernel, const PackOf<T>& t) {
    if constexpr (ExponentialKernel<K>) {
      const T at = static_cast<T>(centre(kernel));
      return exp(PackOf<T>(kernel.derivative(at)) * (t - PackOf<T>(at)));
    } else {
      return kernel.profile(t);
    }
  }

  /// The map whose coordinate is the exponent of an exponential kernel: rate (t - centre) in one step.
  template <class K, class T>
  NADARAYA_INLINE static RowNormalizer<T> exponent_map(const K& kernel, const RowNormalizer<T>& map) {
    const T at = static_cast<T>(centre(kernel)), rate = kernel.derivative(at);
    return RowNormalizer<T>{map.pivot, map.width / rate, rate * (map.offset - at), map.mass};
  }

  /// kappa'(t)
  template <class K, class T>
  NADARAYA_INLINE static PackOf<T> derivative(const K& kernel, const PackOf<T>& t) {
    if constexpr (ExponentialKernel<K>) {
      return PackOf<T>(kernel.derivative(static_cast<T>(centre(kernel)))) * profile(kernel, t);
    } else {
      return kernel.derivative(t);
    }
  }

  /// x on the support of the kernel and in the first `count` lanes, 0 elsewhere.
  template <class K, class T>
  NADARAYA_INLINE static PackOf<T> supported(const PackOf<T>& t, const PackOf<T>& edge, const PackOf<T>& x,
                                             Index count) {
    const PackOf<T> kept = K::compact ? where_above(t, edge, x) : x;
    return count >= lanes<T> ? kept : first_lanes(kept, count);
  }
};

struct KernelRows : KernelFormulas {
  /// Sums of kappa(t) and of kappa'(t) over the support.
  template <class K, class T>
  static ProfileSums<T> profile_sums(const K& kernel, const RowNormalizer<T>& map, T edge, const T* z, Index n) {
    const Coordinate<T> coordinate(map);
    const PackOf<T> bound = broadcast(edge);
    double value = 0, slope = 0;
    in_runs<T>(n, [&](Index begin, Index length) NADARAYA_INLINE_LAMBDA {
      PackOf<T> values = broadcast(T(0)), slopes = broadcast(T(0));
      each<T>(length, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
        const PackOf<T> t = coordinate(load_up_to(z + begin + j, count));
        values = values + supported<K>(t, bound, profile(kernel, t), count);
        slopes = slopes + supported<K>(t, bound, derivative(kernel, t), count);
      });
      value += total(values);
      slope += total(slopes);
    });
    return ProfileSums<T>{static_cast<T>(value), static_cast<T>(slope)};
  }

  /// The same, the sum of kappa(t) as exact as its terms.
  template <class K, class T>
  static ProfileSums<double> exact_sums(const K& kernel, const RowNormalizer<T>& map, T edge, const T* z, Index n) {
    const Coordinate<T> coordinate(map);
    const PackOf<T> bound = broadcast(edge), zero = broadcast(T(0));
    // Two of each, so that a sum need not wait for the one before.
    PackOf<T> sum[2] = {zero, zero}, rest[2] = {zero, zero}, slopes[2] = {zero, zero};
    const auto add = [&](int k, Index j, Index count) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> t = coordinate(load_up_to(z + j, count));
      add_exactly(supported<K>(t, bound, profile(kernel, t), count), sum[k], rest[k]);
      slopes[k] = slopes[k] + supported<K>(t, bound, derivative(kernel, t), count);
    };
    Index j = 0;
    for (; j + 2 * lanes<T> <= n; j += 2 * lanes<T>) {
      add(0, j, lanes<T>);
      add(1, j + lanes<T>, lanes<T>);
    }
    for (; j < n; j += lanes<T>) add(0, j, n - j);
    return ProfileSums<double>{exact_total(sum[0], rest[0]) + exact_total(sum[1], rest[1]),
                               static_cast<double>(total(slopes[0] + slopes[1]))};
  }

  /// Calls next(sums), those of profile_sums at map.offset, which may move it, for as long as it returns true.
  template <class K, class T, class Next>
  static void descend(const K& kernel, RowNormalizer<T>& map, T edge, const T* z, Index n, const Next& next) {
    if (n <= 4 * lanes<T>) {
      descend_run<4>(kernel, map, edge, z, n, next);  // in registers
    } else if (n <= run_packs * lanes<T>) {
      descend_run<run_packs>(kernel, map, edge, z, n, next);
    } else {
      while (next(profile_sums(kernel, map, edge, z, n))) {}
    }
  }

  /// Reduces a row to its support, in place: z becomes t, and p = kappa(t) / mass. Returns its size.
  /// With `keep_all`, keys without weight stay. All lists have a pack of slack.
  template <class K, class T>
  static Index weigh(const K& kernel, const RowNormalizer<T>& map, T edge, bool keep_all, T* z, KeyIndex* key, Index n, T* p) {
    const Coordinate<T> coordinate(map);
    const PackOf<T> bound = broadcast(edge), mass = broadcast(map.mass);
    Index kept = 0;
    for (Index j = 0; j < n; j += lanes<T>) {
      const PackOf<T> t = coordinate(load(z + j));
      const PackOf<T> weight = supported<K>(t, bound, profile(kernel, t) / mass, lanes<T>);
      const unsigned mask = (K::compact && !keep_all ? above(t, bound) : ~0u) & present<T>(n - j);
      if (n > run_packs * lanes<T> && kept == j && mask == present<T>(lanes<T>)) {
        // Of a long row, so far all stay where they are.
        store(z + j, t);
        store(p + j, weight);
        kept += lanes<T>;
        continue;
      }
      compress_keys(key + kept, mask, key + j, T());
      compress(z + kept, mask, t);
      compress(p + kept, mask, weight);
      kept += simd::count_ones(mask);
    }
    return kept;
  }

  /// p = kappa(t) / mass, 0 outside the support.
  template <class K, class T>
  static void weights(const K& kernel, const RowNormalizer<T>& map, T edge, const T* t, Index n, T* p) {
    const PackOf<T> bound = broadcast(edge), divisor = broadcast(map.mass);
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> x = load_up_to(t + j, count);
      store_up_to(p + j, supported<K>(x, bound, profile(kernel, x) / divisor, count), count);
    });
  }

  /// z becomes kappa(t), 0 outside the support; returns the sum.
  template <class K, class T>
  static T profiles(const K& kernel, const RowNormalizer<T>& map, T edge, T* z, Index n) {
    if constexpr (ExponentialKernel<K>) {
      const Coordinate<T> exponent(exponent_map(kernel, map));
      return replaced<T>(z, n, [&](const PackOf<T>& x) NADARAYA_INLINE_LAMBDA { return exp(exponent(x)); });
    } else {
      const Coordinate<T> coordinate(map);
      const PackOf<T> bound = broadcast(edge);
      return replaced<T>(z, n, [&](const PackOf<T>& x) NADARAYA_INLINE_LAMBDA {
        const PackOf<T> t = coordinate(x);
        return supported<K>(t, bound, profile(kernel, t), lanes<T>);
      });
    }
  }

  /// s = kappa'(t) / divisor, 0 outside the support.
  template <class K, class T>
  static void slopes(const K& kernel, T edge, T divisor, const T* t, Index n, T* s) {
    const PackOf<T> bound = broadcast(edge), by = broadcast(divisor);
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> x = load_up_to(t + j, count);
      store_up_to(s + j, supported<K>(x, bound, derivative(kernel, x) / by, count), count);
    });
  }

 private:
  /// z becomes value(z); returns the sum.
  template <class T, class Value>
  NADARAYA_INLINE static T replaced(T* z, Index n, const Value& value) {
    double sum = 0;
    in_runs<T>(n, [&](Index begin, Index length) NADARAYA_INLINE_LAMBDA {
      PackOf<T> sums = broadcast(T(0));
      each<T>(length, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
        T* const to = z + begin + j;
        const PackOf<T> all = value(load_up_to(to, count));
        const PackOf<T> some = count >= lanes<T> ? all : first_lanes(all, count);
        store_up_to(to, some, count);
        sums = sums + some;
      });
      sum += total(sums);
    });
    return static_cast<T>(sum);
  }

  /// descend for a row of at most Packs packs: t = x + offset, where x is formed once.
  template <int Packs, class K, class T, class Next>
  NADARAYA_INLINE static void descend_run(const K& kernel, RowNormalizer<T>& map, T edge, const T* z, Index n, const Next& next) {
    static_assert(K::compact);
    constexpr T nowhere = -std::numeric_limits<T>::infinity();
    const int packs = Packs == 4 ? Packs : static_cast<int>((n + lanes<T> - 1) / lanes<T>);
    RowNormalizer<T> from_pivot = map;
    from_pivot.offset = T(0);
    PackOf<T> x[Packs];
#pragma GCC unroll 4
    for (int k = 0; k < packs; ++k) {
      const Index left = n - k * lanes<T>;
      // Lanes past the end are nowhere supported.
      x[k] = left >= lanes<T> ? load(z + k * lanes<T>)
             : left > 0       ? load_part(z + k * lanes<T>, left, broadcast(nowhere))
                              : broadcast(nowhere);
    }
    const Coordinate<T> coordinate(from_pivot);
#pragma GCC unroll 4
    for (int k = 0; k < packs; ++k) x[k] = coordinate(x[k]);
    const PackOf<T> bound = broadcast(edge);
    ProfileSums<T> sums;
    do {
      const PackOf<T> offset = broadcast(map.offset);
      PackOf<T> values = broadcast(T(0)), slopes = broadcast(T(0));
#pragma GCC unroll 4
      for (int k = 0; k < packs; ++k) {
        const PackOf<T> t = x[k] + offset;
        values = values + where_above(t, bound, profile(kernel, t));
        slopes = slopes + where_above(t, bound, derivative(kernel, t));
      }
      sums = ProfileSums<T>{static_cast<T>(total(values)), static_cast<T>(total(slopes))};
    } while (next(sums));
  }
};
