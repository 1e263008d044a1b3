// Numbers of 16 bits as scalars, exactly. Included once for each tier, as loops.ipp says.

#if NADARAYA_HAS_VECTORS && !defined(NADARAYA_TIER_ARRAYS)
typedef std::uint16_t NarrowLanes __attribute__((vector_size(bytes / 2)));
typedef std::uint32_t WordLanes __attribute__((vector_size(bytes)));
typedef float FloatLanes __attribute__((vector_size(bytes)));
#endif

struct Narrow {
  /// y = x, each of which is the upper half of a float.
  template <class T>
  static void widen_bfloat16(const std::uint16_t* x, Index n, T* y) {
    widen<FromBfloat16>(x, n, y);
  }

  /// y = x, each with 5 bits of exponent and 10 of fraction (IEEE 754 binary16).
  template <class T>
  static void widen_half(const std::uint16_t* x, Index n, T* y) {
    widen<FromHalf>(x, n, y);
  }

 private:
  template <class To, class From>
  NADARAYA_INLINE static To bits_as(const From& from) {
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
  }

  /// From words of which the lower 16 bits are numbers to the bits of floats: one word, or a vector of them.
  struct FromBfloat16 {
    template <class Float, class Word>
    NADARAYA_INLINE static Word bits(const Word& x) {
      return x << 16;
    }
  };
  struct FromHalf {
    /// A subnormal number is the difference of two normal ones: some processors are told to take subnormal floats for zero.
    template <class Float, class Word>
    NADARAYA_INLINE static Word bits(const Word& x) {
      constexpr std::uint32_t all = 0x0f800000u, bias = 112u << 23, least = 113u << 23;
      const Word size = (x & 0x7fffu) << 13;
      const Word exponent = size & all;
      const Word subnormal = bits_as<Word>(Float(bits_as<Float>(Word(size + least)) - bits_as<float>(least)));
      const Word finite = size + bias;
      const Word infinite = finite + bias;
      const Word normal = exponent == all ? infinite : finite;
      return (exponent == 0u ? subnormal : normal) | (x & 0x8000u) << 16;
    }
  };

  template <class From, class T>
  NADARAYA_INLINE static void widen(const std::uint16_t* x, Index n, T* y) {
    Index j = 0;
#if NADARAYA_HAS_VECTORS && !defined(NADARAYA_TIER_ARRAYS)
    if constexpr (sizeof(T) == sizeof(float)) {
      for (; j + lanes<T> <= n; j += lanes<T>) {
        NarrowLanes from;
        std::memcpy(&from, x + j, sizeof from);
        const WordLanes bits = From::template bits<FloatLanes>(__builtin_convertvector(from, WordLanes));
        store(y + j, PackOf<T>(bits_as<typename PackOf<T>::Vector>(bits)));
      }
    }
#endif
    for (; j < n; ++j) y[j] = static_cast<T>(bits_as<float>(From::template bits<float>(std::uint32_t(x[j]))));
  }
};
