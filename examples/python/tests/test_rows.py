"""softmax, sparsemax, entmax and their losses against their definitions."""

import numpy as np
import oracle
import pytest
from test_attention import Foreign, finite_differences

import nadaraya as nd

ALPHAS = [1.0, 1.05, 1.3, 4 / 3, 1.5, 1.8, 2.0, 2.5, 4.0]


def scores(shape=(40, 13), seed=0, dtype="float64"):
    return (2 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_entmax_is_that_of_its_definition(alpha):
    for x in [
        scores(),
        1000 * scores(),
        scores() / 1000,
        np.zeros((3, 7)),
        np.eye(5),
        np.arange(12.0).reshape(2, 6),
        scores((3, 1)),
        -1e6 + scores(),
        scores((4, 700)),
    ]:
        p = nd.entmax(x, alpha)
        assert p.shape == x.shape and (p >= 0).all()
        # The threshold is lost to the rounding of scores that are large.
        assert abs(p - np.array([oracle.entmax(row, alpha) for row in x])).max() <= 1e-11 + 1e-13 * abs(x).max()
        assert abs(p.sum(axis=1) - 1).max() <= 1e-12
    single = scores(dtype="float32")
    p = nd.entmax(single, alpha)
    assert p.dtype == "float32"
    assert abs(p - np.array([oracle.entmax(row, alpha) for row in single.astype(float)])).max() <= 3e-6


def test_names():
    x = scores()
    assert (nd.softmax(x) == nd.entmax(x, 1)).all() and (nd.sparsemax(x) == nd.entmax(x, 2.0)).all()
    assert (nd.entmax(x) == nd.entmax(x, alpha=1.5)).all()


@pytest.mark.parametrize("alpha", ALPHAS)
def test_optimality(alpha):
    """entmax maximizes p.z - Omega(p): no distribution nearby or far is better."""
    x = scores((20, 6))

    def omega(p):
        if alpha == 1:
            return np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0).sum(axis=-1)
        return ((p**alpha).sum(axis=-1) - 1) / (alpha * (alpha - 1))

    p = nd.entmax(x, alpha)
    best = (p * x).sum(axis=1) - omega(p)
    random = np.random.default_rng(1)
    for step in (1, 1e-2, 1e-4):
        other = (1 - step) * p + step * random.dirichlet(np.ones(6), 20)
        assert ((other * x).sum(axis=1) - omega(other) <= best + 1e-14).all()


def test_shift_and_permutation():
    x = scores()
    order = np.random.default_rng(2).permutation(13)
    for alpha in ALPHAS:
        assert abs(nd.entmax(x + 3.25, alpha) - nd.entmax(x, alpha)).max() <= 1e-13
        assert abs(nd.entmax(x[:, order], alpha) - nd.entmax(x, alpha)[:, order]).max() <= 1e-14


def test_known_values():
    np.testing.assert_allclose(nd.sparsemax(np.array([0.5, 0.2, -1.0])), [0.65, 0.35, 0], atol=1e-15)
    np.testing.assert_allclose(nd.sparsemax(np.array([2.0, 0.5])), [1, 0], atol=1e-15)
    np.testing.assert_allclose(nd.sparsemax(np.full(4, 9.0)), np.full(4, 0.25), atol=1e-15)
    # t = z / 2 - tau, t1^2 + t2^2 = 1 and t1 - t2 = 1/2: t1 = (1 + sqrt 7) / 4.
    np.testing.assert_allclose(
        nd.entmax(np.array([1.0, 0.0])), [((1 + 7**0.5) / 4) ** 2, ((7**0.5 - 1) / 4) ** 2], atol=1e-15
    )
    np.testing.assert_allclose(nd.entmax(np.array([2.0, 0.0])), [1, 0], atol=1e-15)


def test_special_values():
    inf = np.inf
    x = np.array([[0.0, -inf, 1.0], [-inf, -inf, -inf], [np.nan, 0, 1], [inf, 0, 1], [1, 2, 3]])
    for alpha in ALPHAS:
        p = nd.entmax(x, alpha)
        assert p[0, 1] == 0 and abs(p[0].sum() - 1) <= 1e-14
        assert (p[1] == 0).all() and np.isnan(p[2:4]).all() and (p[4] == nd.entmax(x[4], alpha)).all()


def test_every_axis():
    x = scores((3, 4, 5, 6))
    for axis in range(-4, 4):
        p = nd.entmax(x, 1.5, axis)
        expected = np.apply_along_axis(lambda row: nd.entmax(row, 1.5), axis, x)
        assert p.shape == x.shape and abs(p - expected).max() == 0
        grad = scores(x.shape, seed=1)
        pulled = nd.entmax_pullback(p, grad, 1.5, axis)
        wanted = nd.entmax_pullback(
            np.moveaxis(p, axis, -1).reshape(-1, x.shape[axis]), np.moveaxis(grad, axis, -1).reshape(-1, x.shape[axis])
        )
        assert (np.moveaxis(pulled, axis, -1).reshape(wanted.shape) == wanted).all()
    assert nd.softmax(np.zeros((0, 3))).shape == (0, 3) and nd.softmax(np.zeros((3, 0))).shape == (3, 0)
    assert nd.sparsemax(np.zeros((2, 0, 3)), axis=1).shape == (2, 0, 3)
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        nd.softmax(np.zeros((3, 3)), axis=2)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_pullbacks_by_finite_differences(alpha):
    x, grad = scores((6, 5), seed=4), scores((6, 5), seed=5)
    loss = lambda: float((nd.entmax(x, alpha) * grad).sum())
    pulled = nd.entmax_pullback(nd.entmax(x, alpha), grad, alpha)
    assert abs(pulled - finite_differences(loss, x)).max() <= 1e-6 * abs(grad).max()
    assert abs(pulled.sum(axis=1)).max() <= 1e-13
    a = np.array([alpha])
    if alpha > 1:
        expected = finite_differences(lambda: float((nd.entmax(x, float(a[0])) * grad).sum()), a)[0]
        assert abs(nd.entmax_alpha_gradient(x, grad, alpha) - expected) <= 1e-5 * max(1, abs(expected))
    if alpha == 1:
        assert (pulled == nd.softmax_pullback(nd.softmax(x), grad)).all()
        assert abs(nd.entmax_alpha_gradient(x, grad, 1.0) - nd.entmax_alpha_gradient(x, grad, 1 + 1e-7)) <= 1e-5
    if alpha == 2:
        assert (pulled == nd.sparsemax_pullback(nd.sparsemax(x), grad)).all()


@pytest.mark.parametrize("alpha", ALPHAS)
def test_losses(alpha):
    z = scores((8, 5), seed=6)
    labels = np.random.default_rng(7).integers(0, 5, 8)
    soft = np.random.default_rng(8).dirichlet(np.ones(5), 8)

    def omega(p):
        if alpha == 1:
            return (p * np.log(np.where(p > 0, p, 1))).sum(axis=1)
        return ((p**alpha).sum(axis=1) - 1) / (alpha * (alpha - 1))

    p = nd.entmax(z, alpha)
    for targets, y in [(labels, np.eye(5)[labels]), (labels.astype("int32"), np.eye(5)[labels]), (soft, soft)]:
        loss = nd.entmax_loss(z, targets, alpha)
        expected = omega(y) - omega(p) + (z * (p - y)).sum(axis=1)
        assert abs(loss.losses - expected).max() <= 1e-12 and (loss.losses >= 0).all()
        assert abs(loss.gradient - (p - y)).max() <= 1e-14
        assert (
            abs(
                loss.gradient - finite_differences(lambda: float(nd.entmax_loss(z, targets, alpha).losses.sum()), z)
            ).max()
            <= 1e-6
        )
    if alpha == 1:
        rows = np.arange(8)
        cross_entropy = np.log(np.exp(z).sum(axis=1)) - z[rows, labels]
        assert abs(nd.softmax_loss(z, labels).losses - cross_entropy).max() <= 1e-13
    if alpha == 2:
        assert (nd.sparsemax_loss(z, labels).losses == nd.entmax_loss(z, labels, 2.0).losses).all()
    leads = np.zeros((1, 5))
    leads[0, 3] = 1 / (alpha - 1) if alpha > 1 else 50
    assert nd.entmax_loss(leads, [3], alpha).losses[0] <= (0 if alpha > 1 else 1e-20)


def test_losses_of_more_dimensions():
    z = scores((2, 3, 5))
    labels = np.random.default_rng(7).integers(0, 5, (2, 3))
    loss = nd.entmax_loss(z, labels)
    assert loss.losses.shape == (2, 3) and loss.gradient.shape == z.shape
    assert (loss.losses[1] == nd.entmax_loss(z[1], labels[1]).losses).all()


def test_refusals():
    x = scores()
    for call, error, message in [
        (lambda: nd.entmax(x, 0.5), ValueError, "alpha must be finite and at least 1, got 0.5"),
        (lambda: nd.entmax(x, float("nan")), ValueError, "alpha must be finite"),
        (lambda: nd.entmax(x[:0], 0.5), ValueError, "alpha must be finite"),
        (lambda: nd.entmax(np.float64(3)), ValueError, "at least one dimension"),
        (lambda: nd.entmax(x.astype(int)), TypeError, "x must be float32 or float64, got int64"),
        (lambda: nd.entmax(["scores"]), TypeError, "x must be"),
        (lambda: nd.entmax(x, threads=0), ValueError, "threads must be at least 1"),
        (lambda: nd.entmax_pullback(x, x[:5]), ValueError, "same shape"),
        (lambda: nd.entmax_pullback(x, x.astype("float32")), TypeError, "same dtype"),
        (lambda: nd.entmax_alpha_gradient(x, x[:5], 1.5), ValueError, "same shape"),
        (lambda: nd.entmax_loss(x, np.zeros(3, int)), ValueError, r"targets of class indices must be \[40\]"),
        (lambda: nd.entmax_loss(x, np.full(40, 13)), ValueError, r"class index 13 of row 0 is not in \[0, 13\)"),
        (lambda: nd.entmax_loss(x, x), ValueError, "is not a distribution"),
        (lambda: nd.entmax_loss(x, x[:3]), ValueError, r"targets must be class indices or \[40, 13\]"),
        (lambda: nd.entmax_loss(x, np.ones(40, int), 0.9), ValueError, "alpha must be"),
    ]:
        with pytest.raises(error, match=message):
            call()


def test_threads_and_foreign_arrays():
    x = scores((5000, 40), dtype="float32")
    for alpha in (1.0, 1.5, 1.7):
        expected = nd.entmax(x, alpha, threads=1)
        assert all((nd.entmax(x, alpha, threads=threads) == expected).all() for threads in (2, 5, None))
        assert (nd.entmax(Foreign(x), alpha) == expected).all()
        assert (nd.entmax(x[::-1, ::-1], alpha)[::-1, ::-1] - expected).max() <= 1e-6
