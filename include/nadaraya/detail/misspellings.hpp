// Names that come close to those of optional members, so that a misspelt one is refused instead of ignored.
#pragma once

#include "nadaraya/detail/members.hpp"

#include "nadaraya/detail/precise.hpp"

// C++ cannot list the members of a class, only ask for a name. Those asked for are slips of a pen (a letter left out, twice, or
// exchanged with its neighbour), what sounds alike, and other conventions. C(before, a, b, after) cuts a name at two letters
// and stands for the slips of the first of them, X(name) for one name. Cuts that would give another sensible name are left out.
#define NADARAYA_NEAR_visible(C, X) C(, v, i, sible) C(v, i, s, ible) C(vi, s, i, ble) C(vis, i, b, le) C(visi, b, l, e) \
  C(visib, l, e, ) X(visibl) X(visiblee) X(visable) X(visabel) X(vissable) X(visibile) X(visibal) X(vesible) X(vizible) \
  X(visivle) X(visinle) X(Visible) X(VISIBLE) X(is_visible) X(isVisible) X(IsVisible) X(visibility) X(visibles) X(visible_) \
  X(invisible)
#define NADARAYA_NEAR_bias(C, X) C(, b, i, as) C(b, i, a, s) C(bi, a, s, ) X(bia) X(biass) X(bies) X(byas) X(baias) X(biase) \
  X(Bias) X(BIAS) X(biases) X(get_bias) X(getBias) X(add_bias) X(additive_bias) X(bias_of)
#define NADARAYA_NEAR_validate(C, X) C(, v, a, lidate) C(v, a, l, idate) C(va, l, i, date) C(val, i, d, ate) C(vali, d, a, te) \
  C(valid, a, t, e) C(valida, t, e, ) X(validat) X(validatee) X(validates) X(valadate) X(validete) X(Validate)
#define NADARAYA_NEAR_zero_gradient(C, X) C(, z, e, ro_gradient) C(z, e, r, o_gradient) C(ze, r, o, _gradient) \
  C(zer, o, _, gradient) C(zero, _, g, radient) C(zero_, g, r, adient) C(zero_g, r, a, dient) C(zero_gr, a, d, ient) \
  C(zero_gra, d, i, ent) C(zero_grad, i, e, nt) C(zero_gradi, e, n, t) C(zero_gradie, n, t, ) X(zero_gradien) \
  X(zero_gradientt) X(zero_gradients) X(zero_grad) X(zero_gradiant) X(zeroGradient)
#define NADARAYA_NEAR_exponential(C, X) C(, e, x, ponential) C(e, x, p, onential) C(ex, p, o, nential) C(exp, o, n, ential) \
  C(expo, n, e, ntial) C(expon, e, n, tial) C(expone, n, t, ial) C(exponen, t, i, al) C(exponent, i, a, l) \
  C(exponenti, a, l, ) X(exponentia) X(exponentiall) X(exponentional) X(exponencial) X(is_exponential) X(isExponential) \
  X(Exponential)
#define NADARAYA_NEAR_homogeneous(C, X) C(, h, o, mogeneous) C(h, o, m, ogeneous) C(ho, m, o, geneous) C(hom, o, g, eneous) \
  C(homo, g, e, neous) C(homog, e, n, eous) C(homoge, n, e, ous) C(homogen, e, o, us) C(homogene, o, u, s) \
  C(homogeneo, u, s, ) X(homogeneou) X(homogeneouss) X(homogenious) X(homogen) X(is_homogeneous) X(isHomogeneous) \
  X(Homogeneous)
#define NADARAYA_NEAR_elementwise(C, X) C(, e, l, ementwise) C(e, l, e, mentwise) C(el, e, m, entwise) C(ele, m, e, ntwise) \
  C(elem, e, n, twise) C(eleme, n, t, wise) C(elemen, t, w, ise) C(element, w, i, se) C(elementw, i, s, e) \
  C(elementwi, s, e, ) X(elementwis) X(elementwisee) X(elementwize) X(element_wise) X(elementWise) X(is_elementwise) \
  X(isElementwise) X(Elementwise)
#define NADARAYA_NEAR_width(C, X) C(, w, i, dth) C(w, i, d, th) C(wid, t, h, ) X(widdth) X(widt) X(widthh) X(with_) X(Width) \
  X(get_width)
#define NADARAYA_NEAR_centre(C, X) C(, c, e, ntre) C(c, e, n, tre) C(ce, n, t, re) C(cen, t, r, e) C(cent, r, e, ) X(centr) \
  X(centree) X(centere) X(Centre) X(Center)
#define NADARAYA_NEAR_alpha_derivative(C, X) C(, a, l, pha_derivative) C(a, l, p, ha_derivative) C(al, p, h, a_derivative) \
  C(alp, h, a, _derivative) C(alph, a, _, derivative) C(alpha, _, d, erivative) C(alpha_, d, e, rivative) \
  C(alpha_d, e, r, ivative) C(alpha_de, r, i, vative) C(alpha_der, i, v, ative) C(alpha_deri, v, a, tive) \
  C(alpha_deriv, a, t, ive) C(alpha_deriva, t, i, ve) C(alpha_derivat, i, v, e) C(alpha_derivati, v, e, ) X(alpha_derivativ) \
  X(alpha_derivativee) X(alpha_derivate) X(alpha_derivitive) X(alphaDerivative)
#define NADARAYA_NEAR_has_scale(C, X) C(, h, a, s_scale) C(h, a, s, _scale) C(ha, s, _, scale) C(has, _, s, cale) \
  C(has_, s, c, ale) C(has_s, c, a, le) C(has_sc, a, l, e) C(has_sca, l, e, ) X(has_scal) X(has_scalee) X(hasScale) \
  X(HasScale)
#define NADARAYA_NEAR_is_product(C, X) C(, i, s, _product) C(i, s, _, product) C(is, _, p, roduct) C(is_, p, r, oduct) \
  C(is_p, r, o, duct) C(is_pr, o, d, uct) C(is_pro, d, u, ct) C(is_prod, u, c, t) C(is_produ, c, t, ) X(is_produc) \
  X(is_productt) X(isProduct) X(IsProduct)
#define NADARAYA_NEAR_radius(C, X) C(, r, a, dius) C(r, a, d, ius) C(ra, d, i, us) C(rad, i, u, s) C(radi, u, s, ) X(radiu) \
  X(radiuss) X(radious) X(Radius)
#define NADARAYA_NEAR_distance_factor(C, X) C(, d, i, stance_factor) C(d, i, s, tance_factor) C(di, s, t, ance_factor) \
  C(dis, t, a, nce_factor) C(dist, a, n, ce_factor) C(dista, n, c, e_factor) C(distan, c, e, _factor) C(distanc, e, _, factor) \
  C(distance, _, f, actor) C(distance_, f, a, ctor) C(distance_f, a, c, tor) C(distance_fac, t, o, r) C(distance_fact, o, r, ) \
  X(distance_facto) X(distance_factorr) X(distance_fator) X(distance_facctor) X(distance_facter) X(distanceFactor)
#define NADARAYA_NEAR_prepared(C, X) C(, p, r, epared) C(p, r, e, pared) C(pr, e, p, ared) C(pre, p, a, red) C(prep, a, r, ed) \
  C(prepa, r, e, d) C(prepar, e, d, ) X(prepare) X(preparedd) X(prepaired) X(Prepared)
#define NADARAYA_NEAR_selects(C, X) C(, s, e, lects) C(s, e, l, ects) C(se, l, e, cts) C(sel, e, c, ts) C(sele, c, t, s) \
  C(selec, t, s, ) X(selectss) X(select_) X(Selects)
#define NADARAYA_NEAR_check(C, X) C(, c, h, eck) C(c, h, e, ck) C(ch, e, c, k) C(che, c, k, ) X(chec) X(checkk) X(checks) \
  X(Check)
#define NADARAYA_NEAR_bandwidth(C, X) C(, b, a, ndwidth) C(b, a, n, dwidth) C(ba, n, d, width) C(ban, d, w, idth) \
  C(band, w, i, dth) C(bandw, i, d, th) C(bandwi, d, t, h) C(bandwid, t, h, ) X(bandwidt) X(bandwidthh) X(band_width) \
  X(bandWidth) X(Bandwidth)
#define NADARAYA_NEAR_nearest_width(C, X) C(, n, e, arest_width) C(n, e, a, rest_width) C(ne, a, r, est_width) \
  C(nea, r, e, st_width) C(near, e, s, t_width) C(neare, s, t, _width) C(neares, t, _, width) C(nearest, _, w, idth) \
  C(nearest_, w, i, dth) C(nearest_w, i, d, th) C(nearest_wi, d, t, h) C(nearest_wid, t, h, ) X(nearest_widt) \
  X(nearest_widthh) X(nearestWidth)
#define NADARAYA_NEAR_concurrency(C, X) C(, c, o, ncurrency) C(c, o, n, currency) C(co, n, c, urrency) C(con, c, u, rrency) \
  C(conc, u, r, rency) C(concur, r, e, ncy) C(concurr, e, n, cy) C(concurre, n, c, y) C(concurren, c, y, ) X(concurrenc) \
  X(concurrencyy) X(Concurrency)
#define NADARAYA_NEAR_scratch(C, X) C(, s, c, ratch) C(s, c, r, atch) C(sc, r, a, tch) C(scr, a, t, ch) C(scra, t, c, h) \
  C(scrat, c, h, ) X(scratc) X(scratchh) X(Scratch)

namespace nadaraya::detail {

#define NADARAYA_DECLARE(name) int name;
#define NADARAYA_DECLARE_SLIPS(before, a, b, after) int before##b##after, before##a##a##b##after, before##b##a##after;
#define NADARAYA_LACKS(name) \
  &Both::name;                  \
  requires !requires { &T::name; };
#define NADARAYA_LACKS_SLIPS(before, a, b, after) \
  NADARAYA_LACKS(before##b##after) NADARAYA_LACKS(before##a##a##b##after) NADARAYA_LACKS(before##b##a##after)

// Misspells_<member><T>: T has a name that comes close to the member's.
#define NADARAYA_MISSPELLS(member)                                                      \
  struct Near_##member {                                                                \
    NADARAYA_NEAR_##member(NADARAYA_DECLARE_SLIPS, NADARAYA_DECLARE)                    \
  };                                                                                    \
  template <class T, class Both = WithNames<T, Near_##member>>                          \
  concept Misspells_##member = !requires { NADARAYA_NEAR_##member(NADARAYA_LACKS_SLIPS, NADARAYA_LACKS) };

NADARAYA_MISSPELLS(visible)
NADARAYA_MISSPELLS(bias)
NADARAYA_MISSPELLS(validate)
NADARAYA_MISSPELLS(zero_gradient)
NADARAYA_MISSPELLS(exponential)
NADARAYA_MISSPELLS(homogeneous)
NADARAYA_MISSPELLS(elementwise)
NADARAYA_MISSPELLS(width)
NADARAYA_MISSPELLS(centre)
NADARAYA_MISSPELLS(alpha_derivative)
NADARAYA_MISSPELLS(has_scale)
NADARAYA_MISSPELLS(is_product)
NADARAYA_MISSPELLS(radius)
NADARAYA_MISSPELLS(distance_factor)
NADARAYA_MISSPELLS(prepared)
NADARAYA_MISSPELLS(selects)
NADARAYA_MISSPELLS(check)
NADARAYA_MISSPELLS(bandwidth)
NADARAYA_MISSPELLS(nearest_width)
NADARAYA_MISSPELLS(concurrency)
NADARAYA_MISSPELLS(scratch)

#undef NADARAYA_MISSPELLS
#undef NADARAYA_LACKS_SLIPS
#undef NADARAYA_LACKS
#undef NADARAYA_DECLARE_SLIPS
#undef NADARAYA_DECLARE
#undef NADARAYA_NEAR_visible
#undef NADARAYA_NEAR_bias
#undef NADARAYA_NEAR_validate
#undef NADARAYA_NEAR_zero_gradient
#undef NADARAYA_NEAR_exponential
#undef NADARAYA_NEAR_homogeneous
#undef NADARAYA_NEAR_elementwise
#undef NADARAYA_NEAR_width
#undef NADARAYA_NEAR_centre
#undef NADARAYA_NEAR_alpha_derivative
#undef NADARAYA_NEAR_has_scale
#undef NADARAYA_NEAR_is_product
#undef NADARAYA_NEAR_radius
#undef NADARAYA_NEAR_distance_factor
#undef NADARAYA_NEAR_prepared
#undef NADARAYA_NEAR_selects
#undef NADARAYA_NEAR_check
#undef NADARAYA_NEAR_bandwidth
#undef NADARAYA_NEAR_nearest_width
#undef NADARAYA_NEAR_concurrency
#undef NADARAYA_NEAR_scratch

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
