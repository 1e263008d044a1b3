// Softmax, sparsemax and entmax of the C interface.
#pragma once

#include "nadaraya/compiled/c_arrays.ipp"
#include "nadaraya/compiled/c_calls.ipp"

#include "nadaraya/detail/check.hpp"
#include "nadaraya/entmax.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/types.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::c {

/// visit(batch, head) for matrices of the same shape.
template <class Visit>
void for_each_matrix(const detail::HeadShape& shape, const Visit& visit) {
  for (Index b = 0; b < shape.batch; ++b) {
    for (Index h = 0; h < shape.heads; ++h) visit(b, h);
  }
}

template <class A, class B>
void require_same_shape(const char* first, const A& a, const char* second, const B& b) {
  detail::require(detail::HeadShape(a) == detail::HeadShape(b), "c: ", first, " and ", second,
                  " must have the same shape, got ", detail::HeadShape(a), " and ", detail::HeadShape(b));
}

}  // namespace nadaraya::c

using namespace nadaraya;
namespace c = nadaraya::c;

extern "C" {

nadaraya_status nadaraya_entmax(const nadaraya_input* x, double alpha, const nadaraya_output* p) {
  return c::call(__func__, [&] {
    c::with_scalar(c::deref(x, "x").type, [&]<class Scalar>(Scalar) {
      const auto scores = c::view<Scalar>(x, "x");
      const auto weights = c::view<Scalar>(p, "p");
      c::require_same_shape("x", scores, "p", weights);
      detail::require_apart({"p", weights}, {{"x", scores}}, "c");
      detail::require_alpha(alpha, "c");
      c::for_each_matrix(detail::HeadShape(scores),
                         [&](Index b, Index h) { weights.rows(b, h) = entmax(scores.rows(b, h), alpha); });
    });
  });
}

nadaraya_status nadaraya_entmax_pullback(const nadaraya_input* p, const nadaraya_input* grad_p, double alpha,
                                         const nadaraya_output* grad_x) {
  return c::call(__func__, [&] {
    c::with_scalar(c::deref(p, "p").type, [&]<class Scalar>(Scalar) {
      const auto weights = c::view<Scalar>(p, "p"), grads = c::view<Scalar>(grad_p, "grad_p");
      const auto result = c::view<Scalar>(grad_x, "grad_x");
      c::require_same_shape("p", weights, "grad_p", grads);
      c::require_same_shape("p", weights, "grad_x", result);
      detail::require_apart({"grad_x", result}, {{"p", weights}, {"grad_p", grads}}, "c");
      detail::require_alpha(alpha, "c");
      c::for_each_matrix(detail::HeadShape(weights), [&](Index b, Index h) {
        result.rows(b, h) = entmax_pullback(weights.rows(b, h), grads.rows(b, h), alpha);
      });
    });
  });
}

nadaraya_status nadaraya_entmax_alpha_gradient(const nadaraya_input* x, const nadaraya_input* grad_p, double alpha,
                                               double* gradient) {
  return c::call(__func__, [&] {
    c::with_scalar(c::deref(x, "x").type, [&]<class Scalar>(Scalar) {
      const auto scores = c::view<Scalar>(x, "x"), grads = c::view<Scalar>(grad_p, "grad_p");
      double& sum = c::deref(gradient, "gradient");
      c::require_same_shape("x", scores, "grad_p", grads);
      detail::require_alpha(alpha, "c");
      double total = 0;
      c::for_each_matrix(detail::HeadShape(scores), [&](Index b, Index h) {
        total += static_cast<double>(entmax_alpha_gradient(scores.rows(b, h), grads.rows(b, h), alpha));
      });
      sum = total;
    });
  });
}

}  // extern "C"

#include "nadaraya/detail/end_precise.hpp"
