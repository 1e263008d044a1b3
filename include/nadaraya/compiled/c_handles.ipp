// The handles of the C interface.
#pragma once

#include "nadaraya/compiled/c_arrays.ipp"
#include "nadaraya/compiled/operator_options.hpp"

#include "nadaraya/any_attention.hpp"
#include "nadaraya/attention_tape.hpp"
#include "nadaraya/chosen_operator.hpp"
#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/key_value_cache.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/workspace.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::c {

/// An operator for one scalar, or why it cannot be computed in it.
template <class Scalar>
struct ScalarOperator {
  std::optional<ChosenOperator<Scalar>> op;
  std::string refusal;

  explicit ScalarOperator(const OperatorOptions& options) {
    try {
      op.emplace(make_operator<Scalar>(options));
    } catch (const std::invalid_argument& error) {
      refusal = error.what();
    }
  }
};

/// One head's operator for both scalars.
struct HeadOperator {
  OperatorOptions options;
  ScalarOperator<float> in_float;
  ScalarOperator<double> in_double;

  explicit HeadOperator(const OperatorOptions& of) : options(of), in_float(options), in_double(options) {
    if (!in_double.op) throw std::invalid_argument(in_double.refusal);
  }

  template <class Scalar>
  const ChosenOperator<Scalar>& in() const {
    const ScalarOperator<Scalar>* of;
    if constexpr (sizeof(Scalar) == sizeof(float)) {
      of = &in_float;
    } else {
      of = &in_double;
    }
    if (!of->op) throw std::invalid_argument(of->refusal);
    return *of->op;
  }
};

/// One for all heads, or one for each. Shared with the tapes that need them.
using HeadOperators = std::vector<std::shared_ptr<const HeadOperator>>;

template <class Scalar>
std::vector<const AnyOperator<Scalar>*> operators(const HeadOperators& heads) {
  std::vector<const AnyOperator<Scalar>*> all;
  all.reserve(heads.size());
  for (const auto& head : heads) all.push_back(&head->in<Scalar>());
  return all;
}

template <class Scalar>
AnyAttention<Scalar> attention(const HeadOperators& heads) {
  return AnyAttention<Scalar>(operators<Scalar>(heads));
}

/// The cached keys and values of one head, whatever their similarity.
template <class Scalar>
class HeadCache {
 public:
  virtual ~HeadCache() = default;
  virtual std::unique_ptr<HeadCache> copy() const = 0;
  virtual void reserve(Index rows) = 0;
  virtual void append(const HeadView<const Scalar>& key, const HeadView<const Scalar>& value, Index head) = 0;
  virtual void truncate(Index rows) = 0;
  virtual void forget_oldest(Index count) = 0;
  virtual CachedHead<Scalar> cached() const = 0;
};

template <class Scalar, class S>
class HeadCacheOf final : public HeadCache<Scalar> {
 public:
  HeadCacheOf(Index key_cols, Index value_cols) : cache_(key_cols, value_cols) {}

  std::unique_ptr<HeadCache<Scalar>> copy() const override { return std::make_unique<HeadCacheOf>(*this); }
  void reserve(Index rows) override { cache_.reserve(rows); }
  void append(const HeadView<const Scalar>& key, const HeadView<const Scalar>& value, Index head) override {
    cache_.append(key.rows(0, head), value.rows(0, head));
  }
  void truncate(Index rows) override { cache_.truncate(rows); }
  void forget_oldest(Index count) override { cache_.forget_oldest(count); }
  CachedHead<Scalar> cached() const override {
    return {cache_.rows(), cache_.key_cols(), cache_.value_cols(), cache_.prepared()};
  }

 private:
  KeyValueCache<Scalar, S> cache_;
};

template <class Scalar>
std::unique_ptr<HeadCache<Scalar>> make_head_cache(const std::string& similarity, Index key_cols, Index value_cols) {
  if (similarity == "cosine") return std::make_unique<HeadCacheOf<Scalar, Cosine>>(key_cols, value_cols);
  if (similarity == "euclidean") return std::make_unique<HeadCacheOf<Scalar, SquaredDistance>>(key_cols, value_cols);
  return std::make_unique<HeadCacheOf<Scalar, DotProduct>>(key_cols, value_cols);
}

/// The cached key heads of one sequence, all of the same length.
template <class Scalar>
struct SequenceCache {
  std::vector<std::unique_ptr<HeadCache<Scalar>>> heads;

  SequenceCache() = default;
  SequenceCache(SequenceCache&&) = default;
  SequenceCache& operator=(SequenceCache&&) = default;
  SequenceCache(const SequenceCache& other) {
    for (const auto& head : other.heads) heads.push_back(head->copy());
  }
};

template <class Scalar>
struct ScalarTape {
  AttentionTape<Scalar> tape;
  AnyAttention<Scalar> attention;
};

}  // namespace nadaraya::c

struct nadaraya_operator {
  nadaraya::c::HeadOperators heads;
};

struct nadaraya_workspace {
  using Executor = nadaraya::Threads;

  Executor executor;
  nadaraya::Workspace<float, Executor> in_float{executor};
  nadaraya::Workspace<double, Executor> in_double{executor};
};

struct nadaraya_tape {
  nadaraya::c::HeadOperators heads;
  std::variant<nadaraya::c::ScalarTape<float>, nadaraya::c::ScalarTape<double>> of;
};

struct nadaraya_cache {
  std::string similarity;
  nadaraya::Index key_dim, value_dim, tokens;
  std::variant<nadaraya::c::SequenceCache<float>, nadaraya::c::SequenceCache<double>> of;
};

namespace nadaraya::c {

/// visit(executor), the calling thread where there is no workspace.
template <class Scalar, class Visit>
decltype(auto) with_executor(const nadaraya_workspace* workspace, const Visit& visit) {
  if (workspace == nullptr) return visit(Serial{});
  if constexpr (sizeof(Scalar) == sizeof(float)) {
    return visit(workspace->in_float);
  } else {
    return visit(workspace->in_double);
  }
}

}  // namespace nadaraya::c

#include "nadaraya/detail/end_precise.hpp"
