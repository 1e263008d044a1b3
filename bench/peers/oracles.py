"""Exact attention in float64, for some queries of one head: what the contestants' results are compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


def softmax(z: Array) -> Array:
    p = np.exp(z - z.max())
    return p / p.sum()


def sparsemax(z: Array) -> Array:
    """The projection onto the simplex: the support is the longest prefix of the sorted scores above its threshold."""
    ordered = np.sort(z)[::-1]
    thresholds = (np.cumsum(ordered) - 1) / np.arange(1, z.size + 1)
    size = np.count_nonzero(ordered > thresholds)
    return np.maximum(z - thresholds[size - 1], 0)


def entmax15(z: Array) -> Array:
    """p = [x - tau]_+^2 with x = z / 2: tau solves a quadratic on each prefix of the sorted scores."""
    x = (z - z.max()) / 2
    ordered = np.sort(x)[::-1]
    count = np.arange(1, z.size + 1)
    mean = np.cumsum(ordered) / count
    deviations = np.cumsum(ordered**2) - count * mean**2
    thresholds = mean - np.sqrt(np.maximum((1 - deviations) / count, 0))
    size = np.count_nonzero(thresholds <= ordered)
    return np.maximum(x - thresholds[size - 1], 0) ** 2


def entmax43(z: Array) -> Array:
    """p = [x - tau]_+^3 with x = z / 3: tau by bisection until the interval cannot be halved."""
    x = (z - z.max()) / 3
    low, high = -1.0, 0.0
    while low < (middle := (low + high) / 2) < high:
        if np.sum(np.maximum(x - middle, 0) ** 3) >= 1:
            low = middle
        else:
            high = middle
    return np.maximum(x - low, 0) ** 3


@dataclass(frozen=True)
class Rule:
    alpha: float
    weights: Callable[[Array], Array]


RULES = {
    "softmax": Rule(1.0, softmax),
    "sparsemax": Rule(2.0, sparsemax),
    "1.5-entmax": Rule(1.5, entmax15),
    "4/3-entmax": Rule(4 / 3, entmax43),
}


@dataclass(frozen=True)
class Exact:
    """The output at the queries asked for, and the gradients of the sum of output * grad_out over them."""

    out: Array
    grad_query: Array
    grad_key: Array
    grad_value: Array


def attention(
    rule: Rule, query: Array, key: Array, value: Array, grad_out: Array, rows: Array, scale: float, causal: bool
) -> Exact:
    """One head: query, key, value [N, D] and the `rows` of it; grad_out [len(rows), D]."""
    query, key, value, grad_out = (x.astype(np.float64) for x in (query[rows], key, value, grad_out))
    scores = scale * (query @ key.T)
    p = np.zeros_like(scores)
    for i, row in enumerate(rows):
        visible = row + 1 if causal else key.shape[0]
        p[i, :visible] = rule.weights(scores[i, :visible])
    # Every rule of the family has the Jacobian diag(s) - s s^T / sum(s), where s = p^(2 - alpha) on the support.
    s = np.where(p > 0, p ** (2 - rule.alpha), 0)
    grad_p = grad_out @ value.T
    grad_scores = s * (grad_p - np.sum(s * grad_p, axis=1, keepdims=True) / np.sum(s, axis=1, keepdims=True))
    return Exact(p @ value, scale * grad_scores @ key, scale * grad_scores.T @ query, p.T @ grad_out)
