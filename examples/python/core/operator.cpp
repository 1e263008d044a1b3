// The operator and its tape as classes of Python.
#include "operator.hpp"

#include "cache.hpp"
#include "tape.hpp"

#include <nadaraya/head_weights.hpp>
#include <nadaraya/stored_attention.hpp>

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace binding {
namespace {

MaskPart mask_part(const std::string& name, const nb::object& value) {
  MaskPart part;
  part.name = name;
  if (name == "boolean") {
    part.array = input("mask", value);
    if (!holds<bool>(part.array))
      refuse_type("mask must be boolean, got " + dtype_name(part.array) + "; a number that is added is bias");
  } else if (name == "bias") {
    part.array = input("bias", value);
  } else if (name == "key_lengths") {
    part.array = input("key_lengths", value);
    if (!holds<std::int64_t>(part.array)) refuse_type("key_lengths must be int64, got " + dtype_name(part.array));
  } else if (name == "alibi") {
    part.slopes = PerHead("alibi", value);
  } else {
    part.options.mask = name;
    if (!value.is_none()) part.options.window = integer("window", value);
    program::as_usage([&] { part.options.validate_mask(); });
  }
  if ((name == "boolean" || name == "bias") && part.array.ndim() > 4) {
    program::refuse((name == "bias" ? "bias" : "mask") + std::string(" must have at most 4 dimensions, got ") +
                    text(shape_of(part.array)));
  }
  return part;
}

class Operator {
 public:
  Operator(std::string kernel, std::string normalization, std::string similarity,
           const std::vector<std::tuple<std::string, nb::object>>& masks, const nb::object& exponent,
           const nb::object& alpha, const nb::object& bandwidth, const nb::object& neighbors, const nb::object& scale,
           const nb::object& mass, std::string mix, const nb::object& ridge) {
    auto choice = std::make_shared<Choice>();
    nadaraya::OperatorOptions& o = choice->options;
    o.kernel = std::move(kernel);
    o.normalization = std::move(normalization);
    o.similarity = std::move(similarity);
    o.mix = std::move(mix);
    if (!neighbors.is_none()) o.neighbors = integer("neighbors", neighbors);
    choice->exponent = PerHead("exponent", exponent);
    choice->alpha = PerHead("alpha", alpha);
    choice->bandwidth = PerHead("bandwidth", bandwidth);
    choice->scale = PerHead("scale", scale);
    choice->mass = PerHead("mass", mass);
    choice->ridge = PerHead("ridge", ridge);
    for (const auto& [name, value] : masks) choice->masks.push_back(mask_part(name, value));
    check_numbers(*choice, o);
    choice_ = std::move(choice);
  }

  nb::object call(nb::handle query, nb::handle key, nb::handle value, nb::object out, nb::handle threads,
                  nb::handle sequences) const {
    const Operands in(query, key, value);
    with_stored(in.query, [&]<class T>(T) {
      const auto q = head_view<const T>(in.query), k = head_view<const T>(in.key), v = head_view<const T>(in.value);
      using Scalar = nadaraya::detail::ComputedIn<T>;
      const auto groups = choice_->groups<Scalar>(mask_sizes(q, k));
      const nadaraya::Packed tokens = packed(sequences, *choice_, q.tokens(), k.tokens());
      const auto result = head_view<Scalar>(out_array<Scalar>(out, in.out_shape()));
      const auto by = executor(threads);
      without_gil([&] { return in.shapes(); },
                  [&] {
                    for (const auto& group : groups) {
                      const auto of = [&](const auto& view) { return entries(view, group.first, group.count); };
                      execute<Scalar>(by, k.tokens(), [&](const auto& executor) {
                        if constexpr (std::is_same_v<T, Scalar>) {
                          group.attention()(of(q), of(k), of(v), of(result), tokens, executor);
                        } else {
                          nadaraya::attend_stored(group.attention(), of(q), of(k), of(v), of(result), tokens, executor);
                        }
                      });
                    }
                  });
    });
    return out;
  }

  nb::tuple forward(nb::handle query, nb::handle key, nb::handle value, nb::object out, nb::handle threads,
                    nb::handle sequences) const {
    Tape tape(choice_, Operands(query, key, value));
    nb::object result = tape.forward(std::move(out), threads, sequences);
    return nb::make_tuple(result, nb::cast(std::move(tape)));
  }

  nb::object attend_cached(nb::handle query, const Cache& cache, nb::object out, nb::handle threads,
                           nb::handle sequences) const {
    return binding::attend_cached(*choice_, query, cache, std::move(out), threads, sequences);
  }

  /// For each head of each batch entry (data, indices, indptr) of a compressed sparse row matrix.
  nb::list weights(nb::handle query, nb::handle key, nb::handle threads) const {
    const Operands in(query, key, key);
    in.check_scalar();
    nb::list result;
    with_scalar(in.query, [&]<class Scalar>(Scalar) {
      const auto q = head_view<const Scalar>(in.query), k = head_view<const Scalar>(in.key);
      for (const auto& group : choice_->groups<Scalar>(mask_sizes(q, k))) {
        nadaraya::HeadWeights<Scalar> all;
        const auto by = executor(threads);
        without_gil([&] { return shapes_of({{"query", &in.query}, {"key", &in.key}}); },
                    [&] {
                      all = nadaraya::head_weights<Scalar>(group.pointers(), entries(q, group.first, group.count),
                                                           entries(k, group.first, group.count), by);
                    });
        for (Index h = 0; h < group.count * q.heads(); ++h) result.append(head_of(all, h, q.tokens()));
      }
    });
    return result;
  }

  /// Of the parameters scale, bandwidth, alpha and ridge: None if the operator has none, else whether each head has its own.
  nb::tuple parameters() const {
    const auto own = [](bool exists, bool each) {
      return exists ? nb::object(nb::bool_(each)) : nb::object(nb::none());
    };
    const Choice& c = *choice_;
    return nb::make_tuple(
        own(true, c.scale.for_each_head()), own(c.bandwidth.given(), c.bandwidth.for_each_head()),
        own(c.exponent.given() || c.alpha.given(), c.exponent.for_each_head() || c.alpha.for_each_head()),
        own(c.options.mix != "constant", c.ridge.for_each_head()));
  }

 private:
  /// The options with each head's numbers.
  static void check_numbers(const Choice& choice, nadaraya::OperatorOptions o) {
    std::size_t heads = 1;
    const PerHead* const numbers[] = {&choice.exponent, &choice.alpha, &choice.bandwidth,
                                      &choice.mass,     &choice.scale, &choice.ridge};
    for (const PerHead* number : numbers) {
      if (number->for_each_head()) heads = number->size();
    }
    for (std::size_t h = 0; h < heads; ++h) {
      const auto value = [&](const PerHead& number) -> std::optional<double> {
        if (!number.given() || (number.for_each_head() && h >= number.size())) return std::nullopt;
        return number.at(static_cast<Index>(h));
      };
      o.exponent = value(choice.exponent);
      o.alpha = value(choice.alpha);
      o.bandwidth = value(choice.bandwidth);
      o.mass = value(choice.mass);
      o.scale = value(choice.scale);
      o.ridge = value(choice.ridge);
      program::as_usage([&] { o.validate(); });
    }
  }

  /// (data, indices, indptr) of some rows, those of a head.
  template <class Scalar>
  static nb::tuple head_of(const nadaraya::HeadWeights<Scalar>& all, Index head, Index rows) {
    const auto first = all.offsets.begin() + head * rows;
    std::vector<std::int64_t> offsets(first, first + rows + 1);
    const std::int64_t begin = offsets.front(), end = offsets.back();
    for (std::int64_t& offset : offsets) offset -= begin;
    return nb::make_tuple(copied(std::vector<Scalar>(all.values.begin() + begin, all.values.begin() + end)),
                          copied(std::vector<std::int32_t>(all.columns.begin() + begin, all.columns.begin() + end)),
                          copied(offsets));
  }

  std::shared_ptr<const Choice> choice_;
};

}  // namespace

void bind_operator(nb::module_& m) {
  nb::class_<Tape>(m, "Tape")
      .def("backward", &Tape::backward, nb::arg("grad_output").none(), nb::arg("threads") = nb::none())
      .def_prop_ro("mean_support", &Tape::mean_support)
      .def_prop_ro("empty_rows", &Tape::empty_rows)
      .def_prop_ro("support_sizes", &Tape::support_sizes);
  nb::class_<Operator>(m, "Operator")
      .def(nb::init<std::string, std::string, std::string, const std::vector<std::tuple<std::string, nb::object>>&,
                    const nb::object&, const nb::object&, const nb::object&, const nb::object&, const nb::object&,
                    const nb::object&, std::string, const nb::object&>(),
           nb::arg("kernel"), nb::arg("normalization"), nb::arg("similarity"), nb::arg("masks"),
           nb::arg("exponent").none(), nb::arg("alpha").none(), nb::arg("bandwidth").none(),
           nb::arg("neighbors").none(), nb::arg("scale").none(), nb::arg("mass").none(), nb::arg("mix"),
           nb::arg("ridge").none())
      .def("__call__", &Operator::call, nb::arg("query").none(), nb::arg("key").none(), nb::arg("value").none(),
           nb::arg("out") = nb::none(), nb::arg("threads") = nb::none(), nb::arg("sequences") = nb::none())
      .def("forward", &Operator::forward, nb::arg("query").none(), nb::arg("key").none(), nb::arg("value").none(),
           nb::arg("out") = nb::none(), nb::arg("threads") = nb::none(), nb::arg("sequences") = nb::none())
      .def("attend_cached", &Operator::attend_cached, nb::arg("query").none(), nb::arg("cache"),
           nb::arg("out") = nb::none(), nb::arg("threads") = nb::none(), nb::arg("sequences") = nb::none())
      .def_prop_ro("parameters", &Operator::parameters)
      .def("weights", &Operator::weights, nb::arg("query").none(), nb::arg("key").none(),
           nb::arg("threads") = nb::none());
}

}  // namespace binding
