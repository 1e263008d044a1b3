"""Weights from the definitions, with dense NumPy: what the package is compared with."""

import numpy as np

EXPONENTS = {"uniform": 0, "epanechnikov": 1, "biweight": 2, "triweight": 3}


def profile(kernel, t, exponent):
    """kappa(t) inside the support, 0 outside."""
    if kernel == "gaussian":
        return np.exp((t - 1) / 2)
    return np.where(t > 0, np.maximum(t, 0) ** EXPONENTS.get(kernel, exponent), 0.0)


def entmax(z, alpha):
    """argmax p.z - Omega(p) of one row: the threshold by bisection until the interval no longer shrinks."""
    z = z - z.max()
    if alpha == 1:
        p = np.exp(z)
        return p / p.sum()
    x = (alpha - 1) * z
    power = 1 / (alpha - 1)
    low, high = x.max() - 1, x.max()
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if (np.maximum(x - middle, 0) ** power).sum() >= 1:
            low = middle
        else:
            high = middle
    p = np.maximum(x - low, 0) ** power
    return p / p.sum()


def similarities(query, key, similarity, scale):
    """(z, squared distance) of all pairs."""
    products = query @ key.T
    if similarity == "dot":
        return (1 / np.sqrt(query.shape[1]) if scale is None else scale) * products, None
    scale = 1 if scale is None else scale
    if similarity == "cosine":
        cosine = products / np.linalg.norm(query, axis=1)[:, None] / np.linalg.norm(key, axis=1)
        return scale * (cosine - 1), 2 * scale * (1 - cosine)
    distance = ((query[:, None] - key[None]) ** 2).sum(-1)
    return -scale * distance, scale * distance


def visible(mask, queries, keys, window=None):
    own = np.arange(queries)[:, None] + keys - queries
    j = np.arange(keys)[None]
    if mask == "causal":
        return j <= own
    if mask == "strictly-causal":
        return j < own
    if mask == "window":
        return (j <= own) & (j > own - window)
    return np.ones((queries, keys), bool)


def row(z, distance, kernel, normalization, exponent, bandwidth, neighbors, mass):
    """The weights of the visible keys of one query."""
    if normalization == "adaptive":
        return entmax(z, 1.0 if kernel == "gaussian" else 1 + 1 / EXPONENTS.get(kernel, exponent))
    if normalization == "nearest":
        order = np.argsort(-z, kind="stable")
        kept = order[:neighbors]
        p = np.zeros(len(z))
        if kernel == "gaussian":
            p[kept] = entmax(z[kept], 1.0)
        elif kernel == "uniform" or len(order) <= neighbors:
            p[kept] = 1 / len(kept)
        else:
            p[kept] = profile(kernel, 1 - distance[kept] / distance[order[neighbors]], exponent)
            p /= p.sum()
        return p
    if normalization == "anchored":
        p = profile(kernel, 1 + (z - z.max()) / bandwidth**2, exponent)
    else:
        p = profile(kernel, 1 - distance / bandwidth**2, exponent)
    total = mass if normalization == "unnormalized" else p.sum()
    return p / total if total > 0 else p


def weights(
    query,
    key,
    *,
    kernel="biweight",
    normalization="adaptive",
    similarity="dot",
    mask="none",
    exponent=None,
    alpha=None,
    bandwidth=None,
    neighbors=None,
    scale=None,
    mass=1.0,
    window=None,
    bias=None,
    seen=None,
):
    """[Nq, Nk], for one head."""
    if alpha is not None:
        exponent = 1 / (alpha - 1)
    z, distance = similarities(query, key, similarity, scale)
    if bias is not None:
        z = z + bias
    see = visible(mask, *z.shape, window)
    if seen is not None:
        see = see & seen
    p = np.zeros(z.shape)
    for i, keys in enumerate(see):
        if keys.any():
            d = None if distance is None else distance[i, keys]
            p[i, keys] = row(z[i, keys], d, kernel, normalization, exponent, bandwidth, neighbors, mass)
    return p


def attend(query, key, value, **options):
    """Any rank; key heads may be fewer. Per-head and per-batch options are not for here."""
    if query.ndim == 2:
        return weights(query, key, **options) @ value
    if query.ndim == 3:
        group = len(query) // len(key)
        return np.stack([attend(q, key[h // group], value[h // group], **options) for h, q in enumerate(query)])
    return np.stack([attend(q, k, v, **options) for q, k, v in zip(query, key, value)])
