// The loops of screening: rows as small whole numbers, and the pairs whose products of these may reach a
// floor. This body runs on every machine; those for some are in sketch_avx2.hpp, sketch_avx512.hpp,
// sketch_vbmi2.hpp and sketch_amx.hpp.
#pragma once

#include "nadaraya/engine/portable.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Keys of a panel, as packed.hpp has them.
inline constexpr Index sketch_keys = 64;
/// Bytes of a key that lie together: the next such group of all keys of the panel follows.
inline constexpr Index sketch_group = 4;

/// How whole numbers X are stored: their bits. Keys are stored as zero + X.
struct Bytes {
  using Key = std::uint8_t;
  using Query = std::int8_t;
  static constexpr int zero = 128;
  /// The largest |X| for rows of `cols` columns: sums of products stay below 2^30.
  static int most(Index /*cols*/) { return 127; }
};
struct Words {
  using Key = std::int16_t;
  using Query = std::int16_t;
  static constexpr int zero = 0;
  static int most(Index cols) {
    return (std::min)(32767, static_cast<int>(std::sqrt(static_cast<double>((1 << 30) - 1) / static_cast<double>(cols))));
  }
};

/// Columns of a group.
template <class Whole>
inline constexpr Index columns = sketch_group / static_cast<Index>(sizeof(typename Whole::Key));

/// Groups of columns, the last filled up with zeros.
template <class Whole>
Index sketch_groups(Index cols) {
  return (cols + columns<Whole> - 1) / columns<Whole>;
}

/// What whole numbers X miss of rows x, x = step X + the rest: squared lengths, as summed.
template <class T>
struct Missed {
  T rest{0};   ///< of the row that is missed by the most
  T taken{0};  ///< of the longest step X
};

/// How rows become whole numbers; with inverse = 0 all are zeros.
template <class T>
struct Steps {
  T step{1};
  T inverse{0};
};

/// The queries of a block while one panel is screened, entry by entry.
template <class T>
struct Aims {
  std::int32_t* threshold;      ///< a key's sum above it may be a candidate
  const std::int32_t* zero;     ///< the sum that stands for a product of zero
  T* base;                      ///< a bound from below on the similarity at that sum
  T* unit;                      ///< what the next sum adds to it
};

/// What `aim` reads, and Aims are written from.
template <class T>
struct Levels {
  const T* centre;  ///< products with the panel's centre
  const T* level;   ///< floors, less their rounding
  const T* norm;    ///< lengths of the queries
  const T* rest;    ///< and of what their codes miss
  const T* step;
};

/// Bounds from above, rounding included, on the lengths of what makes a panel's products uncertain.
template <class T>
struct PanelErrors {
  T step{1};
  T rest{0};      ///< |k - centre - step K| of the key that is missed by the most
  T taken{0};     ///< |step K| of the longest
  T rounding{0};  ///< what a unit of a query's length adds by being computed with
};

template <class W>
struct PortableSketch {
  using Whole = W;

  /// Around a thread's calls of `screen`.
  static void begin(Index /*groups*/) {}
  static void end() {}

  /// Codes of n <= 64 rows x - centre: those of the columns of group g of row j go to bytes 256 g + 4 j
  /// and on.
  template <class T>
  static Missed<T> quantize_keys(const T* x, Index stride, Index n, Index cols, const T* centre, const Steps<T>& by,
                                 std::uint8_t* codes) {
    Missed<T> most;
    for (Index j = 0; j < n; ++j) {
      Missed<T> row;
      for (Index d = 0; d < cols; ++d) {
        const auto code = static_cast<typename W::Key>(W::zero + quantize(x[j * stride + d] - centre[d], by, row));
        std::memcpy(codes + place(j, d), &code, sizeof code);
      }
      most.rest = row.rest > most.rest ? row.rest : most.rest;
      most.taken = row.taken > most.taken ? row.taken : most.taken;
    }
    return most;
  }

  /// Codes of one query, one after the other, and the sum that a key of zeros gives with them.
  template <class T>
  static Missed<T> quantize_query(const T* x, Index cols, const Steps<T>& by, std::uint8_t* codes, std::int32_t& zero) {
    Missed<T> row;
    zero = 0;
    for (Index d = 0; d < cols; ++d) {
      const auto code = static_cast<typename W::Query>(quantize(x[d], by, row));
      std::memcpy(codes + d * Index(sizeof code), &code, sizeof code);
      zero += W::zero * code;
    }
    return row;
  }

  /// Sets the aims of n queries at a panel, and a bit for each query that one of its keys can pass;
  /// returns whether there is one.
  template <class T>
  static bool aim(const PanelErrors<T>& panel, const Levels<T>& from, Index n, const Aims<T>& to, std::uint16_t* in_reach) {
    bool any = false;
    for (Index r = 0; r < n; ++r) {
      if (r % 16 == 0) in_reach[r / 16] = 0;
      const T error = from.norm[r] * (panel.rest + panel.rounding) + from.rest[r] * panel.taken;
      to.unit[r] = from.step[r] * panel.step;
      to.base[r] = from.centre[r] - error;
      const T missing = (from.level[r] - from.centre[r]) - error;
      if (missing > (from.norm[r] + from.rest[r]) * panel.taken) {
        to.threshold[r] = (std::numeric_limits<std::int32_t>::max)();
        continue;
      }
      any = true;
      in_reach[r / 16] = static_cast<std::uint16_t>(in_reach[r / 16] | 1u << (r % 16));
      T sums = missing / to.unit[r];
      sums -= T(1) + (sums < T(0) ? -sums : sums) * (T(8) * std::numeric_limits<T>::epsilon());
      constexpr T bound(1 << 30);
      // NaN passes.
      sums = sums > -bound ? (sums < bound ? sums : bound) : -bound;
      to.threshold[r] = static_cast<std::int32_t>(std::floor(sums)) + to.zero[r];
    }
    return any;
  }

  /// Appends the keys of a panel whose sums of products pass, with a bound from below on their similarity, to
  /// the lists of `rows` queries. The codes of these lie `stride` apart, and there is room for a multiple of
  /// sixteen. Returns about how many of the queries a key passed for; `expected` is a guess at that, for speed.
  template <class T>
  static Index screen(Index rows, Index groups, const std::uint8_t* query, Index stride, const std::uint8_t* codes,
                      const Aims<T>& aims, const std::uint16_t* /*in_reach*/, KeyIndex first, Index /*expected*/,
                      Candidates<T>* to) {
    Index passed = 0;
    for (Index r = 0; r < rows; ++r) {
      if (aims.threshold[r] == (std::numeric_limits<std::int32_t>::max)()) continue;
      const KeyIndex* before = to[r].key;
      for (Index j = 0; j < sketch_keys; ++j) {
        if ((to[r].visible >> j & 1) == 0) continue;
        const std::int32_t sum = product(groups * columns<W>, query + r * stride, codes, j);
        if (sum <= aims.threshold[r]) continue;
        *to[r].z++ = aims.base[r] + aims.unit[r] * static_cast<T>(sum - aims.zero[r]);
        *to[r].key++ = first + static_cast<KeyIndex>(j);
      }
      passed += to[r].key == before ? 0 : 1;
    }
    return passed;
  }

 private:
  /// The place of a code of row j of a panel.
  static Index place(Index j, Index d) {
    return d / columns<W> * (sketch_keys * sketch_group) + j * sketch_group + d % columns<W> * Index(sizeof(typename W::Key));
  }

  static std::int32_t product(Index cols, const std::uint8_t* query, const std::uint8_t* codes, Index j) {
    std::int32_t sum = 0;
    for (Index d = 0; d < cols; ++d) {
      typename W::Query q;
      typename W::Key k;
      std::memcpy(&q, query + d * Index(sizeof q), sizeof q);
      std::memcpy(&k, codes + place(j, d), sizeof k);
      sum += std::int32_t(k) * std::int32_t(q);
    }
    return sum;
  }

  template <class T>
  static int quantize(T x, const Steps<T>& by, Missed<T>& row) {
    const int code = static_cast<int>(std::lrint(x * by.inverse));
    const T taken = by.step * static_cast<T>(code);
    row.rest += (x - taken) * (x - taken);
    row.taken += taken * taken;
    return code;
  }
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
