// Many heads: the operator over batch x heads x tokens x dim, with grouped keys and packed sequences.
#pragma once

#include "nadaraya/detail/footprint.hpp"
#include "nadaraya/head_view.hpp"
#include "nadaraya/nadaraya_watson.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <ostream>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Variable-length sequences, packed along the tokens of each batch entry: sequence s has the
/// queries [query[s], query[s + 1]) and the keys [key[s], key[s + 1]), and sees nothing else. Masks
/// count from its own beginning.
struct Packed {
  std::vector<Index> query;
  std::vector<Index> key;

  Packed(std::vector<Index> query_offsets, std::vector<Index> key_offsets)
      : query(std::move(query_offsets)), key(std::move(key_offsets)) {}
  /// The same offsets for queries and keys.
  explicit Packed(std::vector<Index> offsets) : query(offsets), key(std::move(offsets)) {}

  static Packed one(Index queries, Index keys) { return Packed({0, queries}, {0, keys}); }

  Index sequences() const { return query.empty() ? 0 : static_cast<Index>(query.size()) - 1; }
};

namespace detail {

struct HeadShape {
  Index batch = 0;
  Index heads = 0;
  Index tokens = 0;
  Index dim = 0;

  HeadShape() = default;
  HeadShape(Index batch_size, Index head_count, Index token_count, Index dimension)
      : batch(batch_size), heads(head_count), tokens(token_count), dim(dimension) {}
  template <class T>
  explicit HeadShape(const HeadView<T>& view) : HeadShape(view.batch(), view.heads(), view.tokens(), view.dim()) {}

  friend bool operator==(const HeadShape&, const HeadShape&) = default;
  friend std::ostream& operator<<(std::ostream& to, const HeadShape& s) {
    return to << '[' << s.batch << " x " << s.heads << " x " << s.tokens << " x " << s.dim << ']';
  }
};

template <class T>
Footprint head_footprint(const HeadView<T>& view) {
  const auto& strides = view.strides();
  return Footprint(view.data(), sizeof(T))
      .along(view.batch(), strides.batch)
      .along(view.heads(), strides.head)
      .along(view.tokens(), strides.token)
      .along(view.dim(), strides.dim);
}

/// An array that a call reads or writes.
struct NamedFootprint {
  Footprint footprint;
  const char* name;
  HeadShape shape;

  NamedFootprint(const char* of, const Footprint& print, const HeadShape& of_shape)
      : footprint(print), name(of), shape(of_shape) {}
  template <class T>
  NamedFootprint(const char* of, const HeadView<T>& view) : NamedFootprint(of, head_footprint(view), HeadShape(view)) {}
};

/// Throws if an output shares memory with any of the others, or two of its elements lie in one place.
inline void require_apart(const NamedFootprint& out, std::initializer_list<NamedFootprint> others, const char* function) {
  require(!out.footprint.collides(), function, ": ", out.name, ' ', out.shape, " must not have two elements in one place");
  for (const NamedFootprint& other : others) {
    require(!Footprint::share(out.footprint, other.footprint), function, ": ", out.name, ' ', out.shape,
            " must not share memory with ", other.name, ' ', other.shape);
  }
}

/// The operands of one call.
struct AttentionShapes {
  HeadShape query, key, value;

  HeadShape out() const { return HeadShape(query.batch, query.heads, query.tokens, value.dim); }

  void validate(const Packed& sequences, const HeadShape& out_shape, const char* function) const {
    require(query.batch == key.batch && query.dim == key.dim, function,
            ": query and key must have the same batch and dim, got ", query, " and ", key);
    require(key.heads == 0 ? query.heads == 0 : query.heads % key.heads == 0, function,
            ": the heads of key must divide those of query, got ", query, " and ", key);
    require(value.batch == key.batch && value.heads == key.heads && value.tokens == key.tokens, function,
            ": key and value must have the same batch, heads and tokens, got ", key, " and ", value);
    require(out_shape == out(), function, ": out must be ", out(), ", got ", out_shape);
    validate_offsets(sequences.query, query.tokens, "query", function);
    validate_offsets(sequences.key, key.tokens, "key", function);
    require(sequences.query.size() == sequences.key.size(), function, ": there are offsets of ",
            sequences.query.size() - 1, " sequences of queries and of ", sequences.key.size() - 1, " of keys");
    for (std::size_t s = 1; s < sequences.query.size(); ++s) {
      require_countable(sequences.query[s] - sequences.query[s - 1], "a sequence of query", function);
      require_countable(sequences.key[s] - sequences.key[s - 1], "a sequence of key", function);
    }
  }

  static void validate_offsets(const std::vector<Index>& offsets, Index tokens, const char* of, const char* function) {
    require(!offsets.empty() && offsets.front() == 0 && offsets.back() == tokens &&
                std::is_sorted(offsets.begin(), offsets.end()),
            function, ": the offsets of ", of, " must rise from 0 to its ", tokens, " tokens");
  }
};

/// What query head h has, of one for all heads or one for each.
template <class T>
const T& of_head(const std::vector<T>& each, Index h) {
  return each[each.size() == 1 ? 0 : static_cast<std::size_t>(h)];
}

/// One head in one sequence of one batch entry.
struct HeadPlace {
  Index batch, head, key_head;
  Index first_query, queries, first_key, keys;
  Index memory;     ///< counts the sets of keys
  bool new_memory;  ///< is this head the first to read it?

  template <class T>
  auto queries_of(const HeadView<T>& view) const {
    return view.rows(batch, head, first_query, queries);
  }
  template <class T>
  auto keys_of(const HeadView<T>& view) const {
    return view.rows(batch, key_head, first_key, keys);
  }
};

}  // namespace detail

/// The record of one forward pass over many heads. Like Tape, it refers to inputs whose rows are
/// contiguous: keep them alive and unchanged until backward. Moved from, it has no heads.
template <class Scalar>
class AttentionTape {
 public:
  AttentionTape() = default;
  AttentionTape(const AttentionTape&) = default;
  AttentionTape& operator=(const AttentionTape&) = default;
  AttentionTape(AttentionTape&& other) noexcept
      : shapes_(std::exchange(other.shapes_, {})),
        sequences_(std::move(other.sequences_)),
        tapes_(std::move(other.tapes_)),
        inputs_(std::exchange(other.inputs_, {})) {}
  AttentionTape& operator=(AttentionTape&& other) noexcept {
    shapes_ = std::exchange(other.shapes_, {});
    sequences_ = std::exchange(other.sequences_, Packed({}, {}));
    tapes_ = std::exchange(other.tapes_, {});
    inputs_ = std::exchange(other.inputs_, {});
    return *this;
  }

  Index batch() const { return shapes_.query.batch; }
  Index heads() const { return shapes_.query.heads; }
  Index sequences() const { return sequences_.sequences(); }

  /// What a query head did in one sequence of a batch entry.
  const Tape<Scalar>& head(Index batch, Index head, Index sequence = 0) const {
    return tapes_[static_cast<std::size_t>((batch * sequences() + sequence) * heads() + head)];
  }

  /// Mean over all queries of how many keys have weight, 0 without queries.
  double mean_support() const {
    double total = 0, queries = 0;
    for (const auto& tape : tapes_) {
      total += tape.mean_support() * static_cast<double>(tape.queries());
      queries += static_cast<double>(tape.queries());
    }
    return queries == 0 ? 0.0 : total / queries;
  }

  /// Queries to which no key has weight; their output is zero.
  Index empty_rows() const {
    Index total = 0;
    for (const auto& tape : tapes_) total += tape.empty_rows();
    return total;
  }

 private:
  template <class, class, class, class>
  friend class Attention;

  /// A tape without records, of validated operands.
  AttentionTape(const HeadView<const Scalar>& query, const HeadView<const Scalar>& key, const HeadView<const Scalar>& value,
                const detail::HeadShape& out, const Packed& sequences, const char* function)
      : shapes_{detail::HeadShape(query), detail::HeadShape(key), detail::HeadShape(value)}, sequences_(sequences) {
    shapes_.validate(sequences, out, function);
    bool refers[3] = {};
    tapes_.resize(static_cast<std::size_t>(query.batch() * sequences.sequences() * query.heads()));
    for_each([&](std::size_t i, const detail::HeadPlace& at) {
      tapes_[i].query_ = Rows<Scalar>(at.queries_of(query));
      tapes_[i].key_ = Rows<Scalar>(at.keys_of(key));
      tapes_[i].value_ = Rows<Scalar>(at.keys_of(value));
      refers[0] = refers[0] || !tapes_[i].query_.copied();
      refers[1] = refers[1] || !tapes_[i].key_.copied();
      refers[2] = refers[2] || !tapes_[i].value_.copied();
    });
    if (refers[0]) inputs_[0] = detail::head_footprint(query);
    if (refers[1]) inputs_[1] = detail::head_footprint(key);
    if (refers[2]) inputs_[2] = detail::head_footprint(value);
  }

  /// visit(i, place) for tapes_[i], numbered by batch entry, sequence and head.
  void for_each(detail::FunctionRef<void(std::size_t i, const detail::HeadPlace& place)> visit) const {
    std::size_t i = 0;
    Index memory = -1;
    for (Index b = 0; b < batch(); ++b) {
      for (std::size_t s = 0; s + 1 < sequences_.query.size(); ++s) {
        Index last_key_head = -1;
        for (Index h = 0; h < heads(); ++h) {
          const Index key_head = h * shapes_.key.heads / heads();
          const bool new_memory = key_head != last_key_head;
          last_key_head = key_head;
          memory += new_memory ? 1 : 0;
          visit(i++, detail::HeadPlace{b, h, key_head, sequences_.query[s], sequences_.query[s + 1] - sequences_.query[s],
                                       sequences_.key[s], sequences_.key[s + 1] - sequences_.key[s], memory, new_memory});
        }
      }
    }
  }

  template <class S>
  std::vector<pass::Operands<Scalar, S>> operands() const {
    std::vector<pass::Operands<Scalar, S>> all;
    for_each([&](std::size_t i, const detail::HeadPlace& at) {
      all.push_back({&tapes_[i].query_, &tapes_[i].key_, &tapes_[i].value_, at.memory});
    });
    return all;
  }

  /// The policies of tapes_[i], given those of one query head or of each.
  template <class Policies>
  std::vector<Policies> in_order(const std::vector<Policies>& heads) const {
    std::vector<Policies> all;
    for_each([&](std::size_t, const detail::HeadPlace& at) {
      all.push_back(detail::of_head(heads, at.head));
    });
    return all;
  }

  void make_records() {
    for (Tape<Scalar>& one : tapes_) one.make_records();
  }

  template <class S, class M>
  void regress(const std::vector<pass::Policies<pass::ForwardRule<Scalar>, S, M>>& heads, const HeadView<Scalar>& out,
               const pass::Execution<Scalar>& execution) {
    std::vector<WritableRows<Scalar>> places;
    std::vector<pass::RowsMap<Scalar>> outs;
    std::vector<std::span<pass::Record<Scalar>>> records;
    for_each([&](std::size_t, const detail::HeadPlace& at) { places.emplace_back(at.queries_of(out)); });
    for (auto& place : places) outs.push_back(place.matrix());
    for (auto& one : tapes_) records.push_back(one.records_);
    pass::regress<Scalar, S, M>(in_order(heads), operands<S>(), outs, records, execution);
    for (auto& one : tapes_) one.find_rows();
    for_each([&](std::size_t i, const detail::HeadPlace& at) { places[i].commit(at.queries_of(out)); });
  }

  /// Returns the gradients of the parameters for each tape.
  template <class S, class M>
  std::vector<pass::PolicyGradients<Scalar, S, M>> pull_back(
      const std::vector<pass::Policies<pass::BackwardRule<Scalar>, S, M>>& heads, const HeadView<const Scalar>& grad_out,
      const HeadView<Scalar>& grad_query, const HeadView<Scalar>& grad_key, const HeadView<Scalar>& grad_value,
      const pass::Execution<Scalar>& execution) const {
    std::vector<Rows<Scalar>> grads_out(tapes_.size());
    std::vector<WritableRows<Scalar>> queries, keys, values;
    std::vector<pass::GradientPlaces<Scalar>> places;
    for_each([&](std::size_t i, const detail::HeadPlace& at) {
      grads_out[i] = Rows<Scalar>(at.queries_of(grad_out));
      queries.emplace_back(at.queries_of(grad_query));
      if (!at.new_memory) return;
      keys.emplace_back(at.keys_of(grad_key));
      values.emplace_back(at.keys_of(grad_value));
    });
    for_each([&](std::size_t i, const detail::HeadPlace& at) {
      const auto memory = static_cast<std::size_t>(at.memory);
      places.push_back({tapes_[i].records_, grads_out[i].view(), queries[i].matrix(), keys[memory].matrix(),
                        values[memory].matrix()});
    });
    const auto parameters = pass::pull_back<Scalar, S, M>(in_order(heads), operands<S>(), places, execution);
    for_each([&](std::size_t i, const detail::HeadPlace& at) {
      queries[i].commit(at.queries_of(grad_query));
      if (!at.new_memory) return;
      keys[static_cast<std::size_t>(at.memory)].commit(at.keys_of(grad_key));
      values[static_cast<std::size_t>(at.memory)].commit(at.keys_of(grad_value));
    });
    return parameters;
  }

  detail::AttentionShapes shapes_;
  Packed sequences_{{}, {}};
  std::vector<Tape<Scalar>> tapes_;
  std::array<detail::Footprint, 3> inputs_;  ///< memory of query, key and value that is referred to
};

/// NadarayaWatson for each head of each batch entry: query [B x H x Nq x D], key [B x Hk x Nk x D],
/// value [B x Hk x Nk x Dv], out [B x H x Nq x Dv]. Hk divides H, and query head h reads key head
/// floor(h Hk / H) (grouped-query attention; Hk = 1 is multi-query). One operator for all heads, or
/// one for each query head, which may differ in every parameter: scale, bandwidth, alpha, mask.
///
/// The engine, its cost, its special values and its independence of the executor are those of
/// NadarayaWatson, which is the case B = H = 1; keys that heads share are prepared once, and all
/// blocks of all heads are one pool of work. Additional memory: a copy of the keys while it runs.
/// An output must not share memory with an input or another output, nor two of its elements one place. Views may
/// interleave without sharing, as the slices of one tensor do.
/// Errors: as for NadarayaWatson, before anything is written.
template <class K, class N = Adaptive, class S = DotProduct, class M = NoMask>
class Attention {
 public:
  using Operator = NadarayaWatson<K, N, S, M>;

  /// Every head the same.
  explicit Attention(K kernel = K{}, N normalization = N{}, S similarity = S{}, M mask = M{}) {
    operators_.emplace_back(std::move(kernel), std::move(normalization), std::move(similarity), std::move(mask));
  }

  /// Every head the same, with the default similarity.
  template <std::same_as<M> OnlyMask>
    requires(detail::leaves_similarity_out<OnlyMask>)
  Attention(K kernel, N normalization, OnlyMask mask)
      : Attention(std::move(kernel), std::move(normalization), S{}, std::move(mask)) {}

  /// One operator for each query head; throws if there is none.
  explicit Attention(std::vector<Operator> heads) : operators_(std::move(heads)) {
    detail::require(!operators_.empty(), "Attention: need an operator for each head, got none");
  }

  /// The operator of a query head.
  const Operator& head(Index h) const { return detail::of_head(operators_, h); }

  /// The regressions alone: no tape. `out` is overwritten.
  template <class Q, class Ke, class V, class Scalar, class E = Serial>
  void operator()(const HeadView<Q>& query, const HeadView<Ke>& key, const HeadView<V>& value,
                  const HeadView<Scalar>& out, const E& executor = {}) const {
    (*this)(query, key, value, out, Packed::one(query.tokens(), key.tokens()), executor);
  }
  template <class Q, class Ke, class V, class Scalar, class E = Serial>
  void operator()(const HeadView<Q>& query, const HeadView<Ke>& key, const HeadView<V>& value,
                  const HeadView<Scalar>& out, const Packed& sequences, const E& executor = {}) const {
    AttentionTape<Scalar> tape = bind(query, key, value, out, sequences, "Attention::operator()");
    const pass::Execution<Scalar> execution(executor);
    const ForwardRules<Scalar> rules(operators_);
    tape.regress(rules.policies, out, execution);
  }

  /// The same on remembered keys and values: caches[b * Hk + h] holds those of key head h of sequence b.
  template <class Q, class Scalar, class E = Serial>
  void operator()(const HeadView<Q>& query, std::span<const KeyValueCache<std::remove_const_t<Q>, S>> caches,
                  const HeadView<Scalar>& out, const E& executor = {}) const {
    static_assert(std::is_same_v<std::remove_const_t<Q>, Scalar> && !std::is_const_v<Scalar>,
                  "out must be writable, of the scalar of query");
    const char* const function = "Attention::operator()";
    const auto sequences = (std::max)(query.batch(), Index(1));
    const Index key_heads = static_cast<Index>(caches.size()) / sequences;
    detail::require(static_cast<Index>(caches.size()) == key_heads * query.batch() &&
                        (query.heads() == 0 || (key_heads > 0 && query.heads() % key_heads == 0)),
                    function, ": need caches for a number of key heads that divides ", query.heads(), " in each of ",
                    query.batch(), " sequences, got ", caches.size());
    detail::require(out.batch() == query.batch() && out.heads() == query.heads() && out.tokens() == query.tokens(), function,
                    ": out must be [", query.batch(), " x ", query.heads(), " x ", query.tokens(), " x .] like query, got ",
                    Shape(out));
    require_heads(query.heads(), function);
    validate_parameters<Scalar>();
    for (Index b = 0; b < query.batch(); ++b) {
      for (Index h = 0; h < query.heads(); ++h) {
        const auto& cache = caches[static_cast<std::size_t>(b * key_heads + h * key_heads / query.heads())];
        head(h).template validate<Scalar>(query.rows(b, h), cache.keys(), function);
        detail::require(out.dim() == cache.value_cols(), function, ": out must have ", cache.value_cols(),
                        " columns like the cached values, got ", out.dim());
      }
    }
    detail::require_apart({"out", out}, {{"query", query}}, function);
    const pass::Execution<Scalar> execution(executor);
    std::vector<Rows<Scalar>> queries;
    std::vector<WritableRows<Scalar>> places;
    for (Index b = 0; b < query.batch(); ++b) {
      for (Index h = 0; h < query.heads(); ++h) {
        queries.emplace_back(query.rows(b, h));
        places.emplace_back(out.rows(b, h));
      }
    }
    const Rows<Scalar> no_keys(RowMatrix<Scalar>(0, query.dim())), no_values(RowMatrix<Scalar>(0, out.dim()));
    const ForwardRules<Scalar> rules(operators_);
    std::vector<pass::Policies<pass::ForwardRule<Scalar>, S, M>> policies;
    std::vector<pass::Operands<Scalar, S>> operands;
    std::vector<pass::RowsMap<Scalar>> outs;
    const std::vector<std::span<pass::Record<Scalar>>> no_records(queries.size());
    for (std::size_t i = 0; i < queries.size(); ++i) {
      const Index h = static_cast<Index>(i) % query.heads();
      const Index memory = static_cast<Index>(i) / query.heads() * key_heads + h * key_heads / query.heads();
      policies.push_back(detail::of_head(rules.policies, h));
      operands.push_back({&queries[i], &no_keys, &no_values, memory, caches[static_cast<std::size_t>(memory)].memory()});
      outs.push_back(places[i].matrix());
    }
    pass::regress<Scalar, S, M>(policies, operands, outs, no_records, execution);
    for (std::size_t i = 0; i < places.size(); ++i) {
      places[i].commit(out.rows(static_cast<Index>(i) / query.heads(), static_cast<Index>(i) % query.heads()));
    }
  }

  /// The regressions with a record for `backward`.
  template <class Q, class Ke, class V, class Scalar, class E = Serial>
  AttentionTape<Scalar> forward(const HeadView<Q>& query, const HeadView<Ke>& key, const HeadView<V>& value,
                                const HeadView<Scalar>& out, const E& executor = {}) const {
    return forward(query, key, value, out, Packed::one(query.tokens(), key.tokens()), executor);
  }
  template <class Q, class Ke, class V, class Scalar, class E = Serial>
  AttentionTape<Scalar> forward(const HeadView<Q>& query, const HeadView<Ke>& key, const HeadView<V>& value,
                                const HeadView<Scalar>& out, const Packed& sequences, const E& executor = {}) const {
    AttentionTape<Scalar> tape = bind(query, key, value, out, sequences, "Attention::forward");
    const pass::Execution<Scalar> execution(executor);
    tape.make_records();
    const ForwardRules<Scalar> rules(operators_);
    tape.regress(rules.policies, out, execution);
    return tape;
  }

  /// Given grad_out = dL/dout and the tape of this operator's forward pass, overwrites grad_query,
  /// grad_key and grad_value, of the shapes of its inputs; those of a key head are sums over the
  /// query heads that read it. Returns, for each query head, the gradients of its own parameters
  /// (those that exist: `.scale`, `.bandwidth`, `.alpha`, `.similarity`, `.bias`), summed over the batch.
  template <class G, class Scalar, class E = Serial>
  auto backward(const AttentionTape<Scalar>& tape, const HeadView<G>& grad_out, const HeadView<Scalar>& grad_query,
                const HeadView<Scalar>& grad_key, const HeadView<Scalar>& grad_value, const E& executor = {}) const {
    static_assert(std::is_same_v<std::remove_const_t<G>, Scalar>, "grad_out must have the scalar of the forward pass");
    const char* const function = "Attention::backward";
    const Shapes& shapes = tape.shapes_;
    const auto require_shape = [](const char* name, const auto& view, const detail::HeadShape& expected) {
      const detail::HeadShape shape(view);
      detail::require(shape == expected, "Attention::backward: ", name, " must be ", expected, ", got ", shape);
    };
    require_shape("grad_out", grad_out, shapes.out());
    require_shape("grad_query", grad_query, shapes.query);
    require_shape("grad_key", grad_key, shapes.key);
    require_shape("grad_value", grad_value, shapes.value);
    require_heads(shapes.query.heads, function);
    validate_parameters<Scalar>();
    tape.for_each([&](std::size_t i, const detail::HeadPlace& at) {
      const Tape<Scalar>& one = tape.tapes_[i];
      head(at.head).template validate<Scalar>(one.query().matrix(), one.key().matrix(), function);
    });
    const detail::NamedFootprint by_query("grad_query", grad_query), by_key("grad_key", grad_key),
        by_value("grad_value", grad_value), by_out("grad_out", grad_out), query("query", tape.inputs_[0], shapes.query),
        key("key", tape.inputs_[1], shapes.key), value("value", tape.inputs_[2], shapes.value);
    detail::require_apart(by_query, {by_out, query, key, value}, function);
    detail::require_apart(by_key, {by_query, by_out, query, key, value}, function);
    detail::require_apart(by_value, {by_query, by_key, by_out, query, key, value}, function);
    const pass::Execution<Scalar> execution(executor);

    if (shapes.query.heads == 0) {
      // Keys that nobody reads.
      for (Index b = 0; b < shapes.key.batch; ++b) {
        for (Index h = 0; h < shapes.key.heads; ++h) {
          grad_key.rows(b, h).setZero();
          grad_value.rows(b, h).setZero();
        }
      }
    }
    const BackwardRules<Scalar> rules(operators_);
    const auto by_place =
        tape.pull_back(rules.policies, HeadView<const Scalar>(grad_out), grad_query, grad_key, grad_value, execution);
    std::vector<typename Operator::template ParametersOf<Scalar>> parameters;
    for (Index h = 0; h < shapes.query.heads; ++h) parameters.push_back(head(h).template no_parameters<Scalar>());
    tape.for_each([&](std::size_t i, const detail::HeadPlace& at) {
      parameters[static_cast<std::size_t>(at.head)] += by_place[i];
    });
    return parameters;
  }

 private:
  using Shapes = detail::AttentionShapes;
  using Shape = detail::HeadShape;

  /// The rules of some operators, and with them their policies as the passes take them.
  template <class Rule, class RuleOf>
  struct Rules {
    std::vector<RuleOf> rules;
    std::vector<pass::Policies<Rule, S, M>> policies;

    explicit Rules(const std::vector<Operator>& operators) {
      for (const Operator& one : operators) rules.emplace_back(one.row_rule());
      for (std::size_t h = 0; h < rules.size(); ++h) policies.push_back(operators[h].template policies<Rule>(rules[h]));
    }
    Rules(const Rules&) = delete;
    Rules& operator=(const Rules&) = delete;
  };
  template <class Scalar>
  using ForwardRules = Rules<pass::ForwardRule<Scalar>, pass::ForwardRuleOf<Scalar, K, N>>;
  template <class Scalar>
  using BackwardRules = Rules<pass::BackwardRule<Scalar>, pass::BackwardRuleOf<Scalar, K, N>>;

  /// A tape without records, of validated operands.
  template <class Q, class Ke, class V, class Scalar>
  AttentionTape<Scalar> bind(const HeadView<Q>& query, const HeadView<Ke>& key, const HeadView<V>& value,
                             const HeadView<Scalar>& out, const Packed& sequences, const char* function) const {
    static_assert(detail::check_scalar<Scalar>());
    static_assert(!std::is_const_v<Scalar>, "out must be writable");
    static_assert(std::is_same_v<std::remove_const_t<Q>, Scalar> && std::is_same_v<std::remove_const_t<Ke>, Scalar> &&
                      std::is_same_v<std::remove_const_t<V>, Scalar>,
                  "query, key, value and out must have the same scalar");
    AttentionTape<Scalar> tape(HeadView<const Scalar>(query), HeadView<const Scalar>(key), HeadView<const Scalar>(value),
                               Shape(out), sequences, function);
    require_heads(query.heads(), function);
    validate_parameters<Scalar>();
    detail::require_apart({"out", out}, {{"query", query}, {"key", key}, {"value", value}}, function);
    tape.for_each([&](std::size_t i, const detail::HeadPlace& at) {
      const Tape<Scalar>& one = tape.tapes_[i];
      head(at.head).template validate<Scalar>(one.query().matrix(), one.key().matrix(), function);
    });
    return tape;
  }

  /// All operators, also where there is no head to compute.
  template <class Scalar>
  void validate_parameters() const {
    for (const Operator& one : operators_) one.template validate_parameters<Scalar>();
  }

  void require_heads(Index heads, const char* function) const {
    const auto operators = static_cast<Index>(operators_.size());
    detail::require(operators == 1 || operators == heads, function, ": there are operators for ", operators,
                    " heads, and query has ", heads);
  }

  std::vector<Operator> operators_;
};

template <class K>
Attention(K) -> Attention<K>;
template <class K, class N>
Attention(K, N) -> Attention<K, N>;
template <class K, class N, class P>
Attention(K, N, P) -> Attention<K, N, detail::SimilarityOf<P>, detail::MaskOf<P>>;
template <class K, class N, class S, class M>
Attention(K, N, S, M) -> Attention<K, N, S, M>;
template <class K, class N, class S, class M>
Attention(std::vector<NadarayaWatson<K, N, S, M>>) -> Attention<K, N, S, M>;

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
