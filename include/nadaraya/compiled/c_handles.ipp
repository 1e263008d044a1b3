// The handles of the C interface.
#pragma once

#include "nadaraya/compiled/c_arrays.ipp"

#include "nadaraya/any_attention.hpp"
#include "nadaraya/any_layer_cache.hpp"
#include "nadaraya/any_mask_intersection.hpp"
#include "nadaraya/attention_tape.hpp"
#include "nadaraya/chosen_operator.hpp"
#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/make_operator.hpp"
#include "nadaraya/mask/additive_bias.hpp"
#include "nadaraya/mask/boolean_mask.hpp"
#include "nadaraya/operator_options.hpp"
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

/// A mask of an array, for both scalars. Copies share the array.
using PairMask = std::variant<BooleanMask<RowMatrix<bool>>, AdditiveBias<RowMatrix<double>>>;

/// An operator for one scalar, or why it cannot be computed in it.
template <class Scalar>
struct ScalarOperator {
  std::optional<ChosenOperator<Scalar>> op;
  std::string refusal;

  ScalarOperator(const OperatorOptions& options, const std::vector<PairMask>& masks) {
    try {
      AnyMask<Scalar> mask = make_mask<Scalar>(options);
      for (const PairMask& one : masks) {
        mask = mask & std::visit([](const auto& of_pairs) { return AnyMask<Scalar>(of_pairs); }, one);
      }
      op.emplace(make_operator<Scalar>(options, std::move(mask)));
    } catch (const std::invalid_argument& error) {
      refusal = error.what();
    }
  }
};

/// One head's operator for both scalars.
struct HeadOperator {
  OperatorOptions options;
  std::vector<PairMask> masks;  ///< added to the mask of the options
  ScalarOperator<float> in_float;
  ScalarOperator<double> in_double;

  explicit HeadOperator(const OperatorOptions& of, std::vector<PairMask> of_arrays = {})
      : options(of), masks(std::move(of_arrays)), in_float(options, masks), in_double(options, masks) {
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

/// Of one sequence.
struct nadaraya_cache {
  std::string similarity;
  std::variant<nadaraya::AnyLayerCache<float>, nadaraya::AnyLayerCache<double>> of;

  /// visit(the LayerCache).
  template <class Visit>
  decltype(auto) visit(const Visit& visitor) {
    return std::visit([&](auto& layer) { return std::visit(visitor, layer); }, of);
  }
  nadaraya::Index tokens() const {
    return std::visit(
        [](const auto& layer) { return std::visit([](const auto& cache) { return cache.length(0); }, layer); }, of);
  }
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
