// The cached keys and values of every head of every sequence.
#pragma once

#include "operator.hpp"

#include <nadaraya/any_layer_cache.hpp>
#include <nadaraya/layer_cache.hpp>
#include <nadaraya/operator_options.hpp>

#include <optional>
#include <string>
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
  Cache(const CacheShape& shape, std::string similarity, bool float32)
      : shape_(shape), similarity_(std::move(similarity)), cache_(float32 ? made<float>() : made<double>()) {}

  const CacheShape& shape() const { return shape_; }
  const std::string& similarity() const { return similarity_; }
  bool is_float32() const { return cache_.index() == 0; }

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
    check_dtypes({{"key", &key}, {"value", &value}});
    const Sequences of = sequences(sequence);
    const Index count = of.count;
    if (holds<float>(key) != is_float32()) {
      refuse_type(std::string("key must have the dtype of the cache, ") + (is_float32() ? "float32" : "float64") +
                  ", got " + dtype_name(key));
    }
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
    visit([&]<class Scalar, class S>(nadaraya::LayerCache<Scalar, S>& cache) {
      const auto keys = head_view<const Scalar>(key), values = head_view<const Scalar>(value);
      if (sequence) {
        cache.append(*sequence, keys, values);
      } else {
        cache.append(keys, values);
      }
    });
  }

  /// Forgets all keys but the first ones, of every sequence or of one.
  void truncate(Index rows, std::optional<Index> sequence) {
    const Sequences of = sequences(sequence);
    const Index first = of.first, count = of.count;
    const std::vector<Index> now = lengths();
    for (Index b = first; b < first + count; ++b) {
      const Index most = now[static_cast<std::size_t>(b)];
      if (rows < 0 || rows > most) {
        program::refuse("rows must lie between 0 and the " + std::to_string(most) + " of sequence " +
                        std::to_string(b) + ", got " + std::to_string(rows));
      }
    }
    visit([&](auto& cache) {
      for (Index b = first; b < first + count; ++b) cache.truncate(b, rows);
    });
  }

  void reserve(Index rows) {
    visit([&](auto& cache) { cache.reserve(rows); });
  }

  /// As AnyAttention takes them, in the order of the batch and its heads.
  template <class Scalar>
  std::vector<nadaraya::CachedHead<Scalar>> cached() const {
    std::vector<nadaraya::CachedHead<Scalar>> result;
    nadaraya::append_heads(std::get<nadaraya::AnyLayerCache<Scalar>>(cache_), result);
    return result;
  }

 private:
  /// visitor(the LayerCache)
  template <class Visit>
  void visit(const Visit& visitor) {
    std::visit([&](auto& of) { std::visit(visitor, of); }, cache_);
  }
  template <class Visit>
  void visit(const Visit& visitor) const {
    std::visit([&](const auto& of) { std::visit(visitor, of); }, cache_);
  }

  using OfScalar = std::variant<nadaraya::AnyLayerCache<float>, nadaraya::AnyLayerCache<double>>;

  template <class Scalar>
  OfScalar made() const {
    if (shape_.batch < 0 || shape_.heads < 1 || shape_.key_dim < 0 || shape_.value_dim < 0) {
      program::refuse("a cache must have heads, and its sizes must not be negative");
    }
    const nadaraya::OperatorOptions options{.spelling = nadaraya::OptionSpelling::keyword, .similarity = similarity_};
    return program::as_usage([&] {
      return nadaraya::make_layer_cache<Scalar>(options, shape_.batch, shape_.heads, shape_.key_dim, shape_.value_dim);
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
  OfScalar cache_;
};

/// The regression of queries on cached keys and values. Returns `out`, or a new array.
nb::object attend_cached(const Choice& choice, nb::handle query, const Cache& cache, nb::object out,
                         nb::handle threads);

}  // namespace binding
