// Softmax, sparsemax, entmax and their losses of the C interface.
#pragma once

#include "nadaraya/compiled/c_arrays.ipp"
#include "nadaraya/compiled/c_calls.ipp"

#include "nadaraya/detail/check.hpp"
#include "nadaraya/entmax.hpp"
#include "nadaraya/fenchel_young.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/types.hpp"

#include <cstdint>
#include <span>
#include <vector>

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

/// The losses of all matrices and their gradients, given targets_of(b, h); written when all targets have been checked.
template <class Scalar, class TargetsOf>
void write_losses(const HeadView<const Scalar>& scores, double alpha, const nadaraya_output* losses,
                  const nadaraya_output* grad_scores, const TargetsOf& targets_of) {
  const auto values = view<Scalar>(losses, "losses"), gradients = view<Scalar>(grad_scores, "grad_scores");
  const detail::HeadShape shape(scores), one_column(scores.batch(), scores.heads(), scores.tokens(), 1);
  detail::require(detail::HeadShape(values) == one_column, "c: losses must be ", one_column, ", got ",
                  detail::HeadShape(values));
  require_same_shape("scores", scores, "grad_scores", gradients);
  detail::require_apart({"losses", values}, {{"scores", scores}, {"grad_scores", gradients}}, "c");
  detail::require_apart({"grad_scores", gradients}, {{"scores", scores}}, "c");
  detail::require_alpha(alpha, "c");
  std::vector<FenchelYoungLoss<Scalar>> all;
  for_each_matrix(shape, [&](Index b, Index h) { all.push_back(entmax_loss(scores.rows(b, h), targets_of(b, h), alpha)); });
  for_each_matrix(shape, [&](Index b, Index h) {
    const auto& one = all[static_cast<std::size_t>(b * shape.heads + h)];
    values.rows(b, h) = one.losses;
    gradients.rows(b, h) = one.gradient;
  });
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

nadaraya_status nadaraya_entmax_loss(const nadaraya_input* scores, const nadaraya_input* targets, double alpha,
                                     const nadaraya_output* losses, const nadaraya_output* grad_scores) {
  return c::call(__func__, [&] {
    c::with_scalar(c::deref(scores, "scores").type, [&]<class Scalar>(Scalar) {
      const auto z = c::view<Scalar>(scores, "scores"), y = c::view<Scalar>(targets, "targets");
      c::require_same_shape("scores", z, "targets", y);
      c::write_losses(z, alpha, losses, grad_scores, [&](Index b, Index h) { return y.rows(b, h); });
    });
  });
}

nadaraya_status nadaraya_entmax_loss_of_classes(const nadaraya_input* scores, const int64_t* classes, double alpha,
                                                const nadaraya_output* losses, const nadaraya_output* grad_scores) {
  return c::call(__func__, [&] {
    c::with_scalar(c::deref(scores, "scores").type, [&]<class Scalar>(Scalar) {
      const auto z = c::view<Scalar>(scores, "scores");
      detail::require(classes != nullptr || z.batch() * z.heads() * z.tokens() == 0, "c: classes must not be NULL");
      c::write_losses(z, alpha, losses, grad_scores, [&](Index b, Index h) {
        return std::span(classes + (b * z.heads() + h) * z.tokens(), static_cast<std::size_t>(z.tokens()));
      });
    });
  });
}

}  // extern "C"

#include "nadaraya/detail/end_precise.hpp"
