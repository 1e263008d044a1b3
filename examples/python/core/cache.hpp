// The cached keys and values of every head of every sequence.
#pragma once

#include "operator.hpp"

#include <nadaraya/key_value_cache.hpp>
#include <nadaraya/similarity/cosine.hpp>
#include <nadaraya/similarity/dot_product.hpp>
#include <nadaraya/similarity/squared_distance.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace binding {

template <class Scalar, class S>
using CachedHeads = std::vector<nadaraya::KeyValueCache<Scalar, S>>;

/// The arrays of its calls have as many dimensions as the first one says: 2 for one head, 3 with heads, 4 with a batch.
struct CacheShape {
  std::size_t rank;
  Index batch, heads, key_dim, value_dim;
};

class Cache {
 public:
  Cache(const CacheShape& shape, std::string similarity, bool float32)
      : shape_(shape), similarity_(std::move(similarity)) {
    if (shape.batch < 0 || shape.heads < 0 || shape.key_dim < 0 || shape.value_dim < 0) {
      program::refuse("sizes of a cache must not be negative");
    }
    program::OperatorOptions o;
    o.prefix = "";
    o.kernel = "biweight";
    o.similarity = similarity_;
    program::check_names(o);
    if (float32) {
      make<float>();
    } else {
      make<double>();
    }
  }

  const CacheShape& shape() const { return shape_; }
  const std::string& similarity() const { return similarity_; }
  bool is_float32() const { return heads_.index() < 3; }

  /// How many keys each sequence has.
  std::vector<Index> lengths() const {
    std::vector<Index> result(static_cast<std::size_t>(shape_.batch));
    visit([&](const auto& heads) {
      for (Index b = 0; b < shape_.batch; ++b) {
        if (shape_.heads > 0)
          result[static_cast<std::size_t>(b)] = heads[static_cast<std::size_t>(b * shape_.heads)].rows();
      }
    });
    return result;
  }

  /// To every sequence, or to one, whose arrays have no batch dimension. All heads, or none.
  void append(nb::handle key_rows, nb::handle value_rows, std::optional<Index> sequence) {
    const Input key = input("key", key_rows), value = input("value", value_rows);
    check_dtypes({{"key", &key}, {"value", &value}});
    const Sequences of = sequences(sequence);
    const Index first = of.first, count = of.count;
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
    visit([&]<class Scalar, class S>(CachedHeads<Scalar, S>& heads) {
      const auto keys = head_view<const Scalar>(key), values = head_view<const Scalar>(value);
      const std::vector<Index> before = lengths();
      try {
        for (Index i = 0; i < count * shape_.heads; ++i) {
          heads[static_cast<std::size_t>(first * shape_.heads + i)].append(
              keys.rows(i / shape_.heads, i % shape_.heads), values.rows(i / shape_.heads, i % shape_.heads));
        }
      } catch (...) {
        for (Index i = 0; i < count * shape_.heads; ++i) {
          auto& head = heads[static_cast<std::size_t>(first * shape_.heads + i)];
          head.truncate((std::min)(head.rows(), before[static_cast<std::size_t>(first + i / shape_.heads)]));
        }
        throw;
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
    visit([&](auto& heads) {
      for (Index i = 0; i < count * shape_.heads; ++i)
        heads[static_cast<std::size_t>(first * shape_.heads + i)].truncate(rows);
    });
  }

  void reserve(Index rows) {
    visit([&](auto& heads) {
      for (auto& head : heads) head.reserve(rows);
    });
  }

  /// As AnyAttention takes them, in the order of the batch and its heads.
  template <class Scalar>
  std::vector<nadaraya::CachedHead<Scalar>> cached() const {
    std::vector<nadaraya::CachedHead<Scalar>> result;
    visit([&]<class Of, class S>(const CachedHeads<Of, S>& heads) {
      if constexpr (std::is_same_v<Of, Scalar>) {
        for (const auto& head : heads)
          result.push_back({head.rows(), head.key_cols(), head.value_cols(), head.prepared()});
      }
    });
    return result;
  }

 private:
  template <class Visit>
  void visit(const Visit& visitor) {
    std::visit(visitor, heads_);
  }
  template <class Visit>
  void visit(const Visit& visitor) const {
    std::visit(visitor, heads_);
  }

  template <class Scalar>
  void make() {
    if (similarity_ == "cosine") {
      make<Scalar, nadaraya::Cosine>();
    } else if (similarity_ == "euclidean") {
      make<Scalar, nadaraya::SquaredDistance>();
    } else {
      make<Scalar, nadaraya::DotProduct>();
    }
  }
  template <class Scalar, class S>
  void make() {
    CachedHeads<Scalar, S> heads;
    heads.reserve(static_cast<std::size_t>(shape_.batch * shape_.heads));
    for (Index i = 0; i < shape_.batch * shape_.heads; ++i) heads.emplace_back(shape_.key_dim, shape_.value_dim);
    heads_ = std::move(heads);
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
  std::variant<CachedHeads<float, nadaraya::DotProduct>, CachedHeads<float, nadaraya::Cosine>,
               CachedHeads<float, nadaraya::SquaredDistance>, CachedHeads<double, nadaraya::DotProduct>,
               CachedHeads<double, nadaraya::Cosine>, CachedHeads<double, nadaraya::SquaredDistance>>
      heads_;
};

/// The regression of queries on cached keys and values. Returns `out`, or a new array.
nb::object attend_cached(const Choice& choice, nb::handle query, const Cache& cache, nb::object out,
                         nb::handle threads);

}  // namespace binding
