// The cache of a decoder as a class of Python.
#include "cache.hpp"

#include <nadaraya/scalar_heads.hpp>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace binding {

nb::object attend_cached(const Choice& choice, nb::handle queries, const Cache& cache, nb::object out,
                         nb::handle threads, nb::handle sequences) {
  const Input query = input("query", queries);
  cache.check_dtype("query", query);
  if (choice.options.similarity != cache.similarity()) {
    program::refuse("similarity must be that of the cache, " + cache.similarity() + ", got " +
                    choice.options.similarity);
  }
  const CacheShape& shape = cache.shape();
  const auto shapes = [&] { return shapes_of({{"query", &query}}); };
  check_ranks({{"query", &query}});
  const auto queries_of = head_view<const char>(query);
  const nadaraya::Packed tokens = packed(sequences, choice, queries_of.tokens(), queries_of.tokens());
  const Index each = tokens.sequences();
  if (query.ndim() != shape.rank || queries_of.batch() * each != shape.batch) {
    program::refuse("query must have " + std::to_string(shape.rank) + " dimensions and the sequences of the cache, " +
                    std::to_string(shape.batch) + " (" + shapes() + ")");
  }
  const std::vector<Index> lengths = cache.lengths();
  const bool equal = std::adjacent_find(lengths.begin(), lengths.end(), std::not_equal_to<>()) == lengths.end();
  if (!equal && choice.has_array_mask()) {
    program::refuse("a mask with an array needs as many keys in every sequence of the cache");
  }
  with_stored(query, [&]<class T>(T) {
    using Scalar = nadaraya::detail::ComputedIn<T>;
    const nadaraya::detail::ScalarHeads<T> in_scalar(head_view<const T>(query), nadaraya::Serial{});
    const auto q = in_scalar.view();
    const auto groups =
        choice.groups<Scalar>({q.batch(), q.heads(), q.tokens(), lengths.empty() ? 0 : lengths.front()});
    Shape result_shape = shape_of(query);
    result_shape.back() = static_cast<std::size_t>(shape.value_dim);
    const auto result = head_view<Scalar>(out_array<Scalar>(out, result_shape));
    const auto cached = cache.cached<Scalar>();
    const auto by = executor(threads);
    const Index longest = lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
    without_gil(shapes, [&] {
      for (const auto& group : groups) {
        const auto heads = std::span(cached).subspan(static_cast<std::size_t>(group.first * each * shape.heads),
                                                     static_cast<std::size_t>(group.count * each * shape.heads));
        execute<Scalar>(by, longest, [&](const auto& executor) {
          group.attention()(entries(q, group.first, group.count), heads, entries(result, group.first, group.count),
                            tokens, executor);
        });
      }
    });
  });
  return out;
}

void bind_cache(nb::module_& m) {
  nb::class_<Cache>(m, "KeyValueCache")
      .def("__init__",
           [](Cache* at, std::size_t rank, Index batch, Index heads, Index key_dim, Index value_dim,
              std::string similarity, std::string dtype) {
             new (at) Cache({rank, batch, heads, key_dim, value_dim}, std::move(similarity), std::move(dtype));
           })
      .def("append", &Cache::append, nb::arg("key").none(), nb::arg("value").none(), nb::arg("sequence") = nb::none())
      .def("append_sequences", &Cache::append_sequences, nb::arg("key").none(), nb::arg("value").none(),
           nb::arg("sequences"))
      .def("forget_oldest", &Cache::forget_oldest, nb::arg("count"), nb::arg("sequence") = nb::none())
      .def("truncate", &Cache::truncate, nb::arg("rows"), nb::arg("sequence") = nb::none())
      .def("reserve", &Cache::reserve, nb::arg("rows"))
      .def("copy", [](const Cache& cache) { return Cache(cache); })
      .def_prop_ro("lengths", &Cache::lengths);
}

}  // namespace binding
