// The cached keys and values of every head of every sequence.
#pragma once

#include "operator.hpp"

#include <nadaraya/any_layer_cache.hpp>
#include <nadaraya/layer_cache.hpp>
#include <nadaraya/operator_options.hpp>

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace binding {

/// The arrays of its calls have as many dimensions as the first one says: 2 for one head, 3 with heads, 4 with a batch.
struct CacheShape {
  std::size_t rank;
  Index batch, heads, key_dim, value_dim;
};

class Cache {
 public:
  Cache(const CacheShape& shape, std::string similarity, std::string dtype)
      : shape_(shape), similarity_(std::move(similarity)), dtype_(std::move(dtype)), cache_(made()) {}

  const CacheShape& shape() const { return shape_; }
  const std::string& similarity() const { return similarity_; }

  /// Throws unless an array has the cache's dtype, or that in which it is computed.
  void check_dtype(const char* name, const Input& array) const {
    const std::string got = dtype_name(array);
    if (got == dtype_ || (got == "float32" && dtype_ != "float64")) return;
    const bool two = dtype_ == "bfloat16" || dtype_ == "float16";
    refuse_type(std::string(name) + " must have the dtype of the cache, " + dtype_ + (two ? ", or float32" : "") +
                ", got " + got);
  }

  /// How many keys each sequence has.
  std::vector<Index> lengths() const {
    std::vector<Index> result;
    visit([&](const auto& cache) {
      for (Index b = 0; b < shape_.batch; ++b) result.push_back(cache.length(b));
    });
    return result;
  }

  /// To every sequence, or to one, whose arrays have no batch dimension. All heads, or none.
  void append(nb::handle key_rows, nb::handle value_rows, std::optional<Index> sequence) {
    const Input key = input("key", key_rows), value = input("value", value_rows);
    check_same_dtype({{"key", &key}, {"value", &value}});
    check_dtype("key", key);
    const Sequences of = sequences(sequence);
    const Index count = of.count;
    const std::size_t rank = sequence ? 3 : shape_.rank;
    const std::string shapes = shapes_of({{"key", &key}, {"value", &value}});
    const auto expected = [&](Index dim) {
      std::string result = "[";
      if (rank == 4) result += std::to_string(count) + ", ";
      if (rank >= 3) result += std::to_string(shape_.heads) + ", ";
      return result + "n, " + std::to_string(dim) + "]";
    };
    const auto fits = [&](const Input& array, Index dim) {
      if (array.ndim() != rank) return false;
      const auto view = head_view<const char>(array);
      return view.batch() == count && view.heads() == shape_.heads && view.dim() == dim;
    };
    if (!fits(key, shape_.key_dim) || !fits(value, shape_.value_dim) || key.shape(rank - 2) != value.shape(rank - 2)) {
      program::refuse("key and value must be " + expected(shape_.key_dim) + " and " + expected(shape_.value_dim) +
                      ", got " + shapes);
    }
    append_to(key, value, [&](auto& cache, const auto& keys, const auto& values) {
      if (sequence) {
        cache.append(*sequence, keys, values);
      } else {
        cache.append(keys, values);
      }
    });
  }

  /// Different numbers of tokens to the sequences: those that are keys of the lists of nadaraya.Packed.
  void append_sequences(nb::handle key_rows, nb::handle value_rows, nb::handle lists) {
    const Input key = input("key", key_rows), value = input("value", value_rows);
    check_same_dtype({{"key", &key}, {"value", &value}});
    check_dtype("key", key);
    check_ranks({{"key", &key}, {"value", &value}});
    const auto tokens = static_cast<Index>(key.shape(key.ndim() - 2));
    const nadaraya::Packed each = packed(lists, tokens, tokens);
    program::as_usage([&] {
      append_to(key, value,
                [&](auto& cache, const auto& keys, const auto& values) { cache.append(keys, values, each); });
    });
  }

  /// Forgets all keys but the first ones, of every sequence or of one.
  void truncate(Index rows, std::optional<Index> sequence) {
    const Sequences of = sequences(sequence);
    const std::vector<Index> now = lengths();
    for (Index b = of.first; b < of.first + of.count; ++b) check_rows("rows", rows, b, now);
    visit([&](auto& cache) {
      for (Index b = of.first; b < of.first + of.count; ++b) cache.truncate(b, rows);
    });
  }

  /// Forgets the oldest keys, of every sequence or of one.
  void forget_oldest(Index count, std::optional<Index> sequence) {
    const Sequences of = sequences(sequence);
    const std::vector<Index> now = lengths();
    for (Index b = of.first; b < of.first + of.count; ++b) check_rows("count", count, b, now);
    visit([&](auto& cache) {
      for (Index b = of.first; b < of.first + of.count; ++b) cache.forget_oldest(b, count);
    });
  }

  void reserve(Index rows) {
    visit([&](auto& cache) { cache.reserve(rows); });
  }

  /// As AnyAttention takes them, in the order of the batch and its heads.
  template <class Scalar>
  std::vector<nadaraya::CachedHead<Scalar>> cached() const {
    std::vector<nadaraya::CachedHead<Scalar>> result;
    std::visit(
        [&]<class Stored>(const nadaraya::AnyLayerCache<Stored>& of) {
          if constexpr (std::is_same_v<nadaraya::detail::ComputedIn<Stored>, Scalar>)
            nadaraya::append_heads(of, result);
        },
        cache_);
    return result;
  }

 private:
  /// append(cache, keys, values) with the cache and the arrays as they are.
  template <class Append>
  void append_to(const Input& key, const Input& value, const Append& append) {
    visit([&]<class Stored, class S>(nadaraya::LayerCache<Stored, S>& cache) {
      const auto append_of = [&]<class T>(T) { append(cache, head_view<const T>(key), head_view<const T>(value)); };
      if (holds<Stored>(key)) {
        append_of(Stored());
      } else {
        append_of(nadaraya::detail::ComputedIn<Stored>());
      }
    });
  }

  /// Throws unless a number of keys is one that a sequence has.
  static void check_rows(const char* name, Index rows, Index sequence, const std::vector<Index>& lengths) {
    const Index most = lengths[static_cast<std::size_t>(sequence)];
    if (rows < 0 || rows > most) {
      program::refuse(std::string(name) + " must lie between 0 and the " + std::to_string(most) + " of sequence " +
                      std::to_string(sequence) + ", got " + std::to_string(rows));
    }
  }

  /// visitor(the LayerCache)
  template <class Visit>
  void visit(const Visit& visitor) {
    std::visit([&](auto& of) { std::visit(visitor, of); }, cache_);
  }
  template <class Visit>
  void visit(const Visit& visitor) const {
    std::visit([&](const auto& of) { std::visit(visitor, of); }, cache_);
  }

  template <class... Stored>
  using AnyOf = std::variant<nadaraya::AnyLayerCache<Stored>...>;
  using Stores = AnyOf<float, double, Eigen::bfloat16, Eigen::half>;

  Stores made() const {
    if (dtype_ == "float64") return made_of<double>();
    if (dtype_ == "bfloat16") return made_of<Eigen::bfloat16>();
    if (dtype_ == "float16") return made_of<Eigen::half>();
    if (dtype_ == "float32") return made_of<float>();
    refuse_type("dtype must be float32, float64, bfloat16 or float16, got " + dtype_);
  }

  template <class Stored>
  Stores made_of() const {
    if (shape_.batch < 0 || shape_.heads < 1 || shape_.key_dim < 0 || shape_.value_dim < 0) {
      program::refuse("a cache must have heads, and its sizes must not be negative");
    }
    const nadaraya::OperatorOptions options{.spelling = nadaraya::OptionSpelling::keyword, .similarity = similarity_};
    return program::as_usage([&] {
      return nadaraya::make_layer_cache<Stored>(options, shape_.batch, shape_.heads, shape_.key_dim, shape_.value_dim);
    });
  }

  struct Sequences {
    Index first, count;
  };
  Sequences sequences(std::optional<Index> sequence) const {
    if (!sequence) return {0, shape_.batch};
    if (shape_.rank != 4) program::refuse("sequence is for a cache with a batch");
    if (*sequence < 0 || *sequence >= shape_.batch) {
      program::refuse("sequence must lie in [0, " + std::to_string(shape_.batch) + "), got " +
                      std::to_string(*sequence));
    }
    return {*sequence, 1};
  }

  CacheShape shape_;
  std::string similarity_;
  std::string dtype_;
  Stores cache_;
};

/// The regression of queries on cached keys and values. Returns `out`, or a new array.
nb::object attend_cached(const Choice& choice, nb::handle query, const Cache& cache, nb::object out, nb::handle threads,
                         nb::handle sequences);

}  // namespace binding
