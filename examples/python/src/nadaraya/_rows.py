"""Softmax, sparsemax and alpha-entmax along an axis, their pullbacks and losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

import numpy

from . import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _along(axis: int, function: Callable[..., NDArray[Any]], *arrays: Any) -> NDArray[Any]:
    """function of matrices whose rows run along the axis of the arrays."""
    first = _array(arrays[0])
    if axis == -1 and first.ndim == 2:
        return function(*map(_array, arrays))
    if first.ndim == 0:
        raise ValueError("x must have at least one dimension, got []")
    moved = [numpy.moveaxis(_array(one), axis, -1) for one in arrays]
    for one in moved:
        if one.shape != moved[0].shape:
            raise ValueError(f"arrays must have the same shape, got {[list(_array(a).shape) for a in arrays]}")
    shape = moved[0].shape
    rows = int(numpy.prod(shape[:-1]))
    result = function(*(one.reshape(rows, shape[-1]) for one in moved))
    return numpy.moveaxis(result.reshape(shape), -1, axis)


def _array(x: Any) -> NDArray[Any]:
    if isinstance(x, numpy.ndarray):
        return x
    if not hasattr(x, "__dlpack__"):
        return numpy.asarray(x)
    try:
        return numpy.from_dlpack(x)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise TypeError(f"must be an array on the CPU that NumPy can read, got {type(x).__name__}: {error}") from error


def softmax(x: Any, axis: int = -1, *, threads: Optional[int] = None) -> NDArray[Any]:
    """p_j = exp(x_j) / sum_k exp(x_k) along an axis, relative to the largest score: nothing overflows.

    x: float32 or float64 of any shape, which is the result's. -inf marks a score that is not visible: its weight is 0,
    and a row of nothing else is a row of zeros. NaN and +inf make their own row NaN.
    """
    return _along(axis, lambda rows: _core.entmax(rows, 1.0, threads), x)


def sparsemax(x: Any, axis: int = -1, *, threads: Optional[int] = None) -> NDArray[Any]:
    """p_j = [x_j - tau]_+, sum p = 1: the Euclidean projection onto the distributions (Martins & Astudillo 2016).

    Special values as for `softmax`. The support is exact.
    """
    return _along(axis, lambda rows: _core.entmax(rows, 2.0, threads), x)


def entmax(x: Any, alpha: float = 1.5, axis: int = -1, *, threads: Optional[int] = None) -> NDArray[Any]:
    """p_j = [(alpha - 1) x_j - tau]_+^(1 / (alpha - 1)), sum p = 1 (Peters, Niculae & Martins 2019).

    alpha >= 1, where 1 is softmax and 2 sparsemax; tau is exact, by selection or by Newton steps to convergence.
    Special values as for `softmax`. Raises ValueError if alpha < 1 or NaN.
    """
    return _along(axis, lambda rows: _core.entmax(rows, alpha, threads), x)


def softmax_pullback(p: Any, grad: Any, axis: int = -1, *, threads: Optional[int] = None) -> NDArray[Any]:
    """dL/dx from p = softmax(x) and grad = dL/dp: p (g - sum p g)."""
    return entmax_pullback(p, grad, 1.0, axis, threads=threads)


def sparsemax_pullback(p: Any, grad: Any, axis: int = -1, *, threads: Optional[int] = None) -> NDArray[Any]:
    """dL/dx from p = sparsemax(x) and grad = dL/dp: g less its mean over the support, on the support."""
    return entmax_pullback(p, grad, 2.0, axis, threads=threads)


def entmax_pullback(
    p: Any, grad: Any, alpha: float = 1.5, axis: int = -1, *, threads: Optional[int] = None
) -> NDArray[Any]:
    """dL/dx from p = entmax(x, alpha) and grad = dL/dp.

    s_j (g_j - sum s g / sum s), s_j = p_j^(2 - alpha) on the support.
    """
    return _along(axis, lambda p, g: _core.entmax_pullback(p, g, alpha, threads), p, grad)


def entmax_alpha_gradient(x: Any, grad: Any, alpha: float, axis: int = -1) -> float:
    """dL/dalpha, summed over all rows, from the scores x and grad = dL/dp at p = entmax(x, alpha)."""
    x, grad = (numpy.moveaxis(_array(one), axis, -1) for one in (x, grad))
    return _core.entmax_alpha_gradient(x.reshape(-1, x.shape[-1]), grad.reshape(-1, grad.shape[-1]), alpha)


class Loss(NamedTuple):
    """A loss for each row of scores, and the gradient of their sum by the scores."""

    losses: NDArray[Any]
    gradient: NDArray[Any]


def entmax_loss(scores: Any, targets: Any, alpha: float = 1.5) -> Loss:
    """The Fenchel-Young loss of alpha-entmax, for each row z of scores and its target y, and its gradient p - y.

    L = Omega(y) - Omega(p) + z.(p - y), p = entmax(z, alpha), Omega(p) = (sum p_j^alpha - 1) / (alpha (alpha - 1)); at
    alpha = 1 Omega(p) = sum p_j log p_j, and L is the cross-entropy less the entropy of the target. scores [..., C];
    targets: class indices [...] or distributions [..., C]. Source: Blondel, Martins & Niculae 2020. Raises ValueError
    if alpha < 1, a class is out of range or a target is no distribution.
    """
    scores, targets = _array(scores), _array(targets)
    if scores.ndim == 0:
        raise ValueError("scores must be [..., C], got []")
    shape = scores.shape
    rows = scores.reshape(int(numpy.prod(shape[:-1])), shape[-1])
    if targets.dtype.kind in "iu":
        if targets.shape != shape[:-1]:
            expected = f"{list(shape[:-1])} for scores {list(shape)}"
            raise ValueError(f"targets of class indices must be {expected}, got {list(targets.shape)}")
        targets = numpy.ascontiguousarray(targets, numpy.int64).reshape(-1)
    else:
        if targets.shape != shape:
            raise ValueError(f"targets must be class indices or {list(shape)} like scores, got {list(targets.shape)}")
        targets = targets.reshape(rows.shape)
    losses, gradient = _core.entmax_loss(rows, targets, alpha)
    return Loss(losses.reshape(shape[:-1]), gradient.reshape(shape))


def softmax_loss(scores: Any, targets: Any) -> Loss:
    """`entmax_loss` at alpha = 1: log sum exp(z) - z.y + sum y log y, for class indices the cross-entropy."""
    return entmax_loss(scores, targets, 1.0)


def sparsemax_loss(scores: Any, targets: Any) -> Loss:
    """`entmax_loss` at alpha = 2 (Martins & Astudillo 2016)."""
    return entmax_loss(scores, targets, 2.0)
