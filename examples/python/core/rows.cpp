// Softmax, sparsemax and entmax of the rows of a matrix, their pullbacks and their losses.
#include "operator.hpp"

#include <nadaraya/entmax.hpp>
#include <nadaraya/fenchel_young.hpp>


#include <algorithm>
#include <span>
#include <vector>

namespace binding {
namespace {

using nadaraya::RowMatrix;

template <class Scalar>
using Matrix = Eigen::Map<const RowMatrix<Scalar>, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;

/// A matrix of Python, from row `first` on.
template <class Scalar>
Matrix<Scalar> rows(const Input& array, Index first, Index count) {
  const auto view = head_view<const Scalar>(array);
  return Matrix<Scalar>(view.data() + first * view.strides().token, count, view.dim(),
                        Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(view.strides().token, view.strides().dim));
}

/// work(first, count) for chunks of rows whose numbers stay in the cache.
template <class Shapes, class Work>
void in_chunks(Index count, Index cols, nb::handle threads, const Shapes& shapes, const Work& work) {
  constexpr Index numbers = 1 << 14;
  const Index size = (std::max)(Index(1), numbers / (std::max)(Index(1), cols));
  const auto by = executor(threads);
  // Some ten operations a number.
  const nadaraya::Cost cost{10.0 * static_cast<double>(count) * static_cast<double>(cols)};
  without_gil(shapes, [&] {
    by.parallel_for((count + size - 1) / size,
                    [&](Index chunk) { work(chunk * size, (std::min)(size, count - chunk * size)); }, cost);
  });
}

void check_matrix(std::initializer_list<Named> arrays) {
  check_dtypes(arrays);
  for (const Named& one : arrays) {
    if (one.array->ndim() != 2)
      program::refuse(std::string(one.name) + " must be a matrix, got " + text(shape_of(*one.array)));
  }
}

/// One function(rows) for each chunk of rows; no rows are one chunk, in which the parameters are checked.
template <class Shapes, class Function>
nb::object map_rows(const Input& x, nb::handle threads, const Shapes& shapes, const Function& function) {
  nb::object out = nb::none();
  with_scalar(x, [&]<class Scalar>(Scalar) {
    const auto n = static_cast<Index>(x.shape(0)), cols = static_cast<Index>(x.shape(1));
    const NewArray<Scalar> made({x.shape(0), x.shape(1)});
    Scalar* const to = made.data();
    if (n == 0) without_gil(shapes, [&] { function.template operator()<Scalar>(0, 0); });
    in_chunks(n, cols, threads, shapes, [&](Index first, Index count) {
      Eigen::Map<RowMatrix<Scalar>>(to + first * cols, count, cols) =
          function.template operator()<Scalar>(first, count);
    });
    out = made.object;
  });
  return out;
}

nb::object entmax(nb::handle scores, double alpha, nb::handle threads) {
  const Input x = input("x", scores);
  check_matrix({{"x", &x}});
  return map_rows(
      x, threads,
      [&] {
        return shapes_of({{"x", &x}});
      },
      [&]<class Scalar>(Index first, Index count) { return nadaraya::entmax(rows<Scalar>(x, first, count), alpha); });
}

nb::object entmax_pullback(nb::handle weights, nb::handle gradient, double alpha, nb::handle threads) {
  const Input p = input("p", weights), g = input("grad", gradient);
  check_matrix({{"p", &p}, {"grad", &g}});
  const auto shapes = [&] { return shapes_of({{"p", &p}, {"grad", &g}}); };
  if (shape_of(p) != shape_of(g)) program::refuse("p and grad must have the same shape (" + shapes() + ")");
  return map_rows(p, threads, shapes, [&]<class Scalar>(Index first, Index count) {
    return nadaraya::entmax_pullback(rows<Scalar>(p, first, count), rows<Scalar>(g, first, count), alpha);
  });
}

double entmax_alpha_gradient(nb::handle scores, nb::handle gradient, double alpha) {
  const Input x = input("x", scores), g = input("grad", gradient);
  check_matrix({{"x", &x}, {"grad", &g}});
  double sum = 0;
  with_scalar(x, [&]<class Scalar>(Scalar) {
    without_gil(
        [&] {
          return shapes_of({{"x", &x}, {"grad", &g}});
        },
        [&] {
          sum = nadaraya::entmax_alpha_gradient(rows<Scalar>(x, 0, static_cast<Index>(x.shape(0))),
                                                rows<Scalar>(g, 0, static_cast<Index>(g.shape(0))), alpha);
        });
  });
  return sum;
}

/// (losses [N], gradient [N, C]). Targets are int64 [N] or distributions [N, C].
nb::tuple entmax_loss(nb::handle scores, nb::handle target, double alpha) {
  const Input z = input("scores", scores), y = input("targets", target);
  check_matrix({{"scores", &z}});
  nb::tuple result;
  const auto shapes = [&] { return shapes_of({{"scores", &z}, {"targets", &y}}); };
  with_scalar(z, [&]<class Scalar>(Scalar) {
    const auto n = static_cast<Index>(z.shape(0)), cols = static_cast<Index>(z.shape(1));
    const NewArray<Scalar> losses({z.shape(0)}), gradient({z.shape(0), z.shape(1)});
    const auto write = [&](const nadaraya::FenchelYoungLoss<Scalar>& loss) {
      Eigen::Map<Eigen::Matrix<Scalar, Eigen::Dynamic, 1>>(losses.data(), n) = loss.losses;
      Eigen::Map<RowMatrix<Scalar>>(gradient.data(), n, cols) = loss.gradient;
    };
    if (holds<std::int64_t>(y)) {
      if (y.ndim() != 1) program::refuse("targets of class indices must be [N] for scores [N, C] (" + shapes() + ")");
      std::vector<Index> labels;
      for (std::size_t i = 0; i < y.shape(0); ++i) {
        labels.push_back(Index(static_cast<const std::int64_t*>(y.data())[static_cast<Index>(i) * y.stride(0)]));
      }
      without_gil(shapes, [&] { write(nadaraya::entmax_loss(rows<Scalar>(z, 0, n), labels, alpha)); });
    } else {
      check_matrix({{"scores", &z}, {"targets", &y}});
      without_gil(shapes, [&] {
        write(nadaraya::entmax_loss(rows<Scalar>(z, 0, n), rows<Scalar>(y, 0, static_cast<Index>(y.shape(0))), alpha));
      });
    }
    result = nb::make_tuple(losses.object, gradient.object);
  });
  return result;
}

}  // namespace

void bind_rows(nb::module_& m) {
  m.def("entmax", &entmax, nb::arg("x"), nb::arg("alpha"), nb::arg("threads") = nb::none());
  m.def("entmax_pullback", &entmax_pullback, nb::arg("p"), nb::arg("grad"), nb::arg("alpha"),
        nb::arg("threads") = nb::none());
  m.def("entmax_alpha_gradient", &entmax_alpha_gradient, nb::arg("x"), nb::arg("grad"), nb::arg("alpha"));
  m.def("entmax_loss", &entmax_loss, nb::arg("scores"), nb::arg("targets"), nb::arg("alpha"));
}

}  // namespace binding
