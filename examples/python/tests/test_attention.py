"""attend, forward, backward and weights against the definitions."""

import concurrent.futures
import ctypes
import itertools
import pathlib
import threading

import numpy as np
import oracle
import pytest

import nadaraya as nd

KERNELS = [
    dict(kernel="epanechnikov"),
    dict(kernel="biweight"),
    dict(kernel="triweight"),
    dict(kernel="polynomial", exponent=2.5),
    dict(kernel="polynomial", alpha=1.3),
    dict(kernel="gaussian"),
    dict(kernel="uniform"),
]
NORMALIZATIONS = [
    dict(normalization="adaptive"),
    dict(normalization="fixed", bandwidth=1.9),
    dict(normalization="anchored", bandwidth=1.1),
    dict(normalization="unnormalized", bandwidth=1.9, mass=3.0),
    dict(normalization="nearest", neighbors=4),
]
SIMILARITIES = [
    dict(similarity="dot"),
    dict(similarity="dot", scale=0.8),
    dict(similarity="cosine", scale=3.0),
    dict(similarity="euclidean", scale=0.5),
]
MASKS = [dict(mask="none"), dict(mask="causal"), dict(mask="strictly-causal"), dict(mask="window", window=5)]


def exists(kernel, normalization, similarity):
    """The combinations that have a meaning."""
    name, kind = normalization["normalization"], kernel["kernel"]
    if name == "adaptive":
        return kind != "uniform"
    if name in ("fixed", "unnormalized") or (name == "nearest" and kind not in ("gaussian", "uniform")):
        return similarity["similarity"] != "dot"
    return True


CHOICES = [{**k, **n, **s} for k, n, s in itertools.product(KERNELS, NORMALIZATIONS, SIMILARITIES) if exists(k, n, s)]


def arrays(seed=0, batch=(), heads=(), key_heads=None, queries=9, keys=11, dim=4, value_dim=3, dtype="float64"):
    random = np.random.default_rng(seed)
    kv_heads = heads if key_heads is None else (key_heads,)
    shapes = [(*batch, *heads, queries, dim), (*batch, *kv_heads, keys, dim), (*batch, *kv_heads, keys, value_dim)]
    return [random.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("mask", MASKS, ids=lambda o: o["mask"])
def test_every_combination_is_that_of_its_definition(mask):
    query, key, value = arrays()
    for choice in CHOICES:
        expected = oracle.attend(query, key, value, **choice, **mask)
        error = abs(nd.attend(query, key, value, **choice, **mask) - expected).max()
        assert error <= 1e-12, choice
        single = [one.astype("float32") for one in (query, key, value)]
        error = abs(
            nd.attend(*single, **choice, **mask)
            - oracle.attend(*(one.astype(float) for one in single), **choice, **mask)
        ).max()
        assert error <= 2e-5, choice


@pytest.mark.parametrize(
    "shape",
    [
        dict(),
        dict(heads=(4,)),
        dict(heads=(4,), key_heads=2),
        dict(batch=(2,), heads=(4,), key_heads=1),
        dict(batch=(2,), heads=(6,), key_heads=3),
    ],
)
def test_every_rank_and_grouped_keys(shape):
    query, key, value = arrays(**shape)
    out = nd.attend(query, key, value, mask="causal")
    assert out.shape == (*query.shape[:-1], value.shape[-1]) and out.dtype == query.dtype
    assert abs(out - oracle.attend(query, key, value, mask="causal")).max() <= 1e-13


def finite_differences(function, x, step=1e-6):
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + step
        up = function()
        x[i] = kept - step
        gradient[i] = (up - function()) / (2 * step)
        x[i] = kept
    return gradient


@pytest.mark.parametrize(
    "choice",
    [
        dict(kernel="biweight", scale=0.8, mask="causal"),
        dict(kernel="polynomial", alpha=1.3),
        dict(kernel="polynomial", exponent=3.5, similarity="euclidean", scale=0.5),
        dict(kernel="triweight", normalization="fixed", bandwidth=1.9, similarity="cosine", scale=2.0),
        dict(kernel="biweight", normalization="anchored", bandwidth=1.3),
        dict(kernel="gaussian", normalization="nearest", neighbors=4),
        dict(kernel="triweight", normalization="unnormalized", bandwidth=2.5, mass=2.0, similarity="euclidean"),
    ],
    ids=str,
)
def test_gradients_by_finite_differences(choice):
    inputs = arrays(heads=(2,), key_heads=1, queries=5, keys=6)
    direction = np.random.default_rng(5).standard_normal((2, 5, 3))
    options = dict(choice)
    loss = lambda: float((nd.attend(*inputs, **options) * direction).sum())
    out, tape = nd.forward(*inputs, **options)
    assert (out == nd.attend(*inputs, **options)).all()
    gradients = nd.backward(tape, direction)
    for array, gradient in zip(inputs, gradients):
        assert gradient.shape == array.shape
        assert abs(gradient - finite_differences(loss, array)).max() <= 2e-6
    for name in ("scale", "bandwidth", "alpha"):
        if name not in choice:
            continue
        parameter = np.array([choice[name]])

        def of_parameter():
            options[name] = float(parameter[0])
            return loss()

        expected = finite_differences(of_parameter, parameter)[0]
        options[name] = choice[name]
        assert isinstance(getattr(gradients, name), float)
        assert abs(getattr(gradients, name) - expected) <= 2e-6 * max(1, abs(expected))
    assert (gradients.alpha is None) == (choice["kernel"] != "polynomial")
    assert (gradients.bandwidth is None) == ("bandwidth" not in choice)


def test_parameters_of_each_head():
    query, key, value = arrays(batch=(2,), heads=(3,), key_heads=3)
    alphas, scales = np.array([1.1, 1.5, 1.9]), [0.5, 1.0, 2.0]
    out, tape = nd.forward(query, key, value, kernel="polynomial", alpha=alphas, scale=scales)
    gradients = tape.backward(np.ones_like(out))
    assert gradients.alpha.shape == gradients.scale.shape == (3,)
    for h in range(3):
        one, other = nd.forward(
            query[:, h : h + 1],
            key[:, h : h + 1],
            value[:, h : h + 1],
            kernel="polynomial",
            alpha=alphas[h],
            scale=scales[h],
        )
        assert (out[:, h : h + 1] == one).all()
        assert gradients.alpha[h] == other.backward(np.ones_like(one)).alpha
    with pytest.raises(ValueError, match="alpha must be one number or one for each of 3 query heads, got 2"):
        nd.attend(query, key, value, kernel="polynomial", alpha=[1.1, 1.2])


def fitted(query, key, value, degree, ridge, **choice):
    """At each query the value of the polynomial of the keys that weighted least squares fits, for one head."""
    powers = [p for p in itertools.product(range(degree + 1), repeat=key.shape[1]) if 1 <= sum(p) <= degree]
    out = np.zeros((len(query), value.shape[1]))
    for i, w in enumerate(oracle.weights(query, key, **choice)):
        x = np.stack([np.ones(len(key)), *(np.prod((key - query[i]) ** p, axis=1) for p in powers)], axis=1)
        penalty = ridge * w.sum() * np.diag([0.0] + [1.0] * len(powers))
        out[i] = np.linalg.solve(x.T @ (w[:, None] * x) + penalty, x.T @ (w[:, None] * value))[0]
    return out


@pytest.mark.parametrize("mix", ["linear", "quadratic", "cubic"])
def test_mixes_are_fits_of_least_squares(mix):
    query, key, value = arrays(dim=2)
    degree = 1 + ["linear", "quadratic", "cubic"].index(mix)
    expected = fitted(query, key, value, degree, 0.1, kernel="gaussian")
    assert abs(nd.attend(query, key, value, kernel="gaussian", mix=mix, ridge=0.1) - expected).max() <= 1e-10
    weights = nd.weights(query, key, kernel="gaussian", mix=mix, ridge=0.1)
    assert abs(weights @ value - expected).max() <= 1e-10


def test_the_gradient_of_the_ridge():
    query, key, value = arrays(heads=(3,), key_heads=3)
    out, tape = nd.forward(query, key, value, mix="linear", ridge=[0.1, 0.2, 0.3])
    gradients = tape.backward(np.ones_like(out))
    for h, ridge in enumerate([0.1, 0.2, 0.3]):
        more, less = (nd.attend(query[h], key[h], value[h], mix="linear", ridge=ridge + e).sum() for e in (1e-6, -1e-6))
        assert abs(gradients.ridge[h] - (more - less) / 2e-6) <= 1e-6
    out, tape = nd.forward(query, key, value, mix="linear")
    assert isinstance(tape.backward(out).ridge, float)
    out, tape = nd.forward(query, key, value)
    assert tape.backward(out).ridge is None
    with pytest.raises(ValueError, match="ridge goes with mix linear, quadratic or cubic only"):
        nd.attend(query, key, value, ridge=0.1)
    with pytest.raises(ValueError, match="mix must be one of constant, linear, quadratic, cubic; got 'square'"):
        nd.attend(query, key, value, mix="square")
    with pytest.raises(ValueError, match="a quadratic or cubic fit takes keys of at most 3 columns, got 4"):
        nd.attend(query, key, value, mix="cubic")
    with pytest.raises(TypeError, match="mix must be a name, got int"):
        nd.attend(query, key, value, mix=1)


def test_masks_by_name_object_and_array():
    query, key, value = arrays(batch=(3,), heads=(2,), key_heads=2)
    run = lambda **options: nd.attend(query, key, value, **options)
    same = lambda a, b: np.testing.assert_array_equal(a, b)
    causal = oracle.visible("causal", 9, 11)
    same(run(mask="causal"), run(mask=nd.Causal()))
    same(run(mask="causal"), run(mask=causal))
    same(run(mask="strictly-causal"), run(mask=nd.StrictlyCausal()))
    same(run(mask="window", window=4), run(mask=nd.SlidingWindow(4)))
    same(run(), run(mask=nd.NoMask()))
    same(run(), run(mask=None))
    same(run(mask="causal", window=None), run(mask=nd.Causal() & nd.NoMask()))
    random = np.random.default_rng(3)
    for shape in [(9, 11), (1, 11), (2, 1, 11), (2, 9, 11), (3, 1, 9, 11), (3, 2, 9, 11), (3, 1, 1, 11)]:
        seen = random.random(shape) < 0.6
        seen[..., 0] = True
        full = np.broadcast_to(seen, (3, 2, 9, 11))
        bias = random.standard_normal(shape)
        added = np.broadcast_to(bias, (3, 2, 9, 11))
        out, biased, together = run(mask=seen), run(bias=bias), run(mask=nd.Causal() & nd.BooleanMask(seen), bias=bias)
        for b, h in np.ndindex(3, 2):
            one = (query[b, h], key[b, h], value[b, h])
            assert abs(out[b, h] - oracle.attend(*one, seen=full[b, h])).max() <= 1e-13
            assert abs(biased[b, h] - oracle.attend(*one, bias=added[b, h])).max() <= 1e-13
            assert (
                abs(together[b, h] - oracle.attend(*one, mask="causal", seen=full[b, h], bias=added[b, h])).max()
                <= 1e-13
            )
    hidden = np.where(causal, 0.0, -np.inf)
    assert abs(run(bias=hidden) - run(mask="causal")).max() <= 1e-15


def test_key_lengths():
    query, key, value = arrays(batch=(3,), heads=(2,), key_heads=1)
    for lengths in [[4, 11, 0], np.array([1, 2, 3], dtype="int32")]:
        out = nd.attend(query, key, value, key_lengths=lengths)
        for b, length in enumerate(lengths):
            expected = nd.attend(query[b], key[b, :, :length], value[b, :, :length])
            assert abs(out[b] - expected).max() <= 1e-15
    each = np.random.default_rng(1).integers(0, 12, (3, 9))
    out, tape = nd.forward(query, key, value, mask=nd.KeyLengths(each))
    for b, h, i in np.ndindex(3, 2, 9):
        expected = nd.attend(query[b, h, i : i + 1], key[b, 0, : each[b, i]], value[b, 0, : each[b, i]])
        assert abs(out[b, h, i] - expected[0]).max() <= 1e-15
    assert tape.empty_rows == 2 * (each == 0).sum()
    gradients = tape.backward(np.ones_like(out))
    assert (gradients.query[:, 0][each == 0] == 0).all() and abs(
        gradients.value.sum() - 3 * (tape.support_sizes > 0).sum()
    ) <= 1e-10
    with pytest.raises(ValueError, match=r"key_lengths must be one number, \[batch\] or \[batch, queries\].*got \[2\]"):
        nd.attend(query, key, value, key_lengths=[1, 2])
    with pytest.raises(ValueError, match="^mask: a length must lie between 0 and the 11 keys, got 12"):
        nd.attend(query, key, value, key_lengths=12)
    with pytest.raises(TypeError, match="key_lengths must be integers"):
        nd.attend(query, key, value, key_lengths=[1.0, 2.0, 3.0])


def test_alibi():
    query, key, value = arrays(heads=(2,))
    distance = abs(np.arange(9)[:, None] + 2 - np.arange(11)[None])
    for slopes in ([0.25, 0.5], 0.5):
        bias = -np.broadcast_to(slopes, 2)[:, None, None] * distance
        out = nd.attend(query, key, value, mask="causal", alibi=slopes)
        assert abs(out - nd.attend(query, key, value, mask="causal", bias=bias)).max() <= 1e-15
        assert (out == nd.attend(query, key, value, mask=nd.Causal() & nd.Alibi(slopes))).all()


def test_policy_objects_are_their_names():
    query, key, value = arrays()
    for named, objects in [
        (dict(kernel="polynomial", alpha=1.3), dict(kernel=nd.RectifiedPower(alpha=1.3))),
        (dict(kernel="polynomial", exponent=3.0), dict(kernel=nd.RectifiedPower(3.0))),
        (
            dict(kernel="gaussian", normalization="fixed", bandwidth=1.2, similarity="euclidean"),
            dict(kernel=nd.Gaussian(), normalization=nd.FixedBandwidth(1.2), similarity=nd.SquaredDistance()),
        ),
        (
            dict(kernel="uniform", normalization="nearest", neighbors=3, similarity="cosine", scale=2.0),
            dict(kernel=nd.Uniform(), normalization=nd.NearestNeighbors(3), similarity=nd.Cosine(2.0)),
        ),
        (
            dict(kernel="epanechnikov", normalization="anchored", bandwidth=1.2),
            dict(kernel=nd.Epanechnikov(), normalization=nd.Anchored(1.2), similarity=nd.DotProduct()),
        ),
        (
            dict(kernel="triweight", normalization="unnormalized", bandwidth=3.0, mass=2.0, similarity="euclidean"),
            dict(kernel=nd.Triweight(), normalization=nd.Unnormalized(3.0, 2.0), similarity=nd.SquaredDistance()),
        ),
        (dict(kernel="biweight"), dict(kernel=nd.Biweight(), normalization=nd.Adaptive())),
    ]:
        assert (nd.attend(query, key, value, **named) == nd.attend(query, key, value, **objects)).all()
    with pytest.raises(ValueError, match="alpha is given twice"):
        nd.attend(query, key, value, kernel=nd.RectifiedPower(alpha=1.3), alpha=1.4)
    with pytest.raises(TypeError, match="kernel must be a name or a nadaraya.Kernel, got Causal"):
        nd.attend(query, key, value, kernel=nd.Causal())


def test_weights():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    query, key, value = arrays(batch=(2,), heads=(4,), key_heads=2)
    options = dict(kernel="epanechnikov", mask="causal", scale=2.0)
    nested = nd.weights(query, key, **options)
    out, tape = nd.forward(query, key, value, **options)
    for b, h in np.ndindex(2, 4):
        one = nested[b][h]
        assert isinstance(one, scipy_sparse.csr_array) and one.shape == (9, 11)
        assert abs(one.toarray() - oracle.weights(query[b, h], key[b, h // 2], **options)).max() <= 1e-13
        assert (np.diff(one.indptr) == tape.support_sizes[b, h]).all()
    assert isinstance(nd.weights(query[0, 0], key[0, 0]), scipy_sparse.csr_array)
    assert len(nd.weights(query[0], key[0])) == 4
    assert tape.mean_support == tape.support_sizes.mean()
    with pytest.raises(ValueError, match="query and key"):
        nd.weights(query, key[..., :2])


def test_strides_views_and_alignment():
    query, key, value = arrays(batch=(2,), heads=(4,), key_heads=2)
    expected, tape = nd.forward(query, key, value)
    expected_gradients = tape.backward(np.ones_like(expected))
    token_first = [np.ascontiguousarray(one.swapaxes(1, 2)).swapaxes(1, 2) for one in (query, key, value)]
    backwards = [one[..., ::-1].copy()[..., ::-1] for one in (query, key, value)]
    fortran = [np.asfortranarray(one) for one in (query, key, value)]
    every_second = [np.repeat(one, 2, axis=-2)[..., ::2, :] for one in (query, key, value)]
    read_only = [one.copy() for one in (query, key, value)]
    for one in read_only:
        one.flags.writeable = False
    for inputs in (token_first, backwards, fortran, every_second, read_only):
        out, tape = nd.forward(*inputs)
        assert (out == expected).all()
        for gradient, wanted in zip(tape.backward(np.asfortranarray(np.ones_like(out)))[:3], expected_gradients):
            assert (gradient == wanted).all()
    packed = np.zeros(9 * 4 * 8 + 1, dtype="uint8")[1:].view("float64").reshape(9, 4)
    with pytest.raises((ValueError, TypeError), match="query must be"):
        nd.attend(packed, key[0, 0], value[0, 0])


def test_out():
    query, key, value = arrays(heads=(2,))
    expected = nd.attend(query, key, value)
    out = np.full((2, 9, 6), 7.0)
    assert nd.attend(query, key, value, out=out[..., ::2]).base is out
    assert (out[..., ::2] == expected).all() and (out[..., 1::2] == 7).all()
    transposed = np.empty((9, 2, 3)).swapaxes(0, 1)
    assert (nd.forward(query, key, value, out=transposed)[0] == expected).all()
    with pytest.raises(ValueError, match=r"out must be \[2, 9, 3\], got \[2, 9, 4\]"):
        nd.attend(query, key, value, out=np.empty((2, 9, 4)))
    with pytest.raises(TypeError, match="out must be float64 as the result is, got float32"):
        nd.attend(query, key, value, out=np.empty((2, 9, 3), "float32"))
    with pytest.raises(ValueError, match="must not share memory"):
        nd.attend(query, query, query, out=query)
    frozen = np.empty((2, 9, 3))
    frozen.flags.writeable = False
    with pytest.raises(TypeError, match="out must be a writable array"):
        nd.attend(query, key, value, out=frozen)


class Foreign:
    """An array of another library."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class OnDevice:
    """A float32 array [4, 4] of DLPack on another device, in memory that nobody may read."""

    class Tensor(ctypes.Structure):
        _fields_ = [
            ("data", ctypes.c_void_p),
            ("device_type", ctypes.c_int32),
            ("device_id", ctypes.c_int32),
            ("ndim", ctypes.c_int32),
            ("code", ctypes.c_uint8),
            ("bits", ctypes.c_uint8),
            ("lanes", ctypes.c_uint16),
            ("shape", ctypes.POINTER(ctypes.c_int64)),
            ("strides", ctypes.POINTER(ctypes.c_int64)),
            ("byte_offset", ctypes.c_uint64),
            ("manager", ctypes.c_void_p),
            ("deleter", ctypes.c_void_p),
        ]

    def __init__(self, device_type):
        self.shape = (ctypes.c_int64 * 2)(4, 4)
        self.tensor = self.Tensor(4096, device_type, 0, 2, 2, 32, 1, self.shape, None, 0, None, None)

    def __dlpack__(self, **options):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.tensor), b"dltensor", None)

    def __dlpack_device__(self):
        return self.tensor.device_type, 0


def test_dlpack():
    query, key, value = arrays(dtype="float32")
    assert (nd.attend(Foreign(query), Foreign(key), Foreign(value)) == nd.attend(query, key, value)).all()
    assert (nd.attend(memoryview(query), key, value) == nd.attend(query, key, value)).all()
    out = np.empty((9, 3), "float32")
    written = Foreign(out)
    assert nd.attend(query, key, value, out=written) is written and (out == nd.attend(query, key, value)).all()


@pytest.mark.parametrize("device", [2, 10], ids=["cuda", "rocm"])
def test_arrays_on_other_devices_are_refused(device):
    tensor = OnDevice(device)
    with pytest.raises(TypeError, match=f"key must be on the CPU, got an array on DLPack device type {device}"):
        nd.attend(np.zeros((4, 4), "float32"), tensor, np.zeros((4, 4), "float32"))
    with pytest.raises(TypeError, match="out must be on the CPU"):
        nd.attend(*np.zeros((3, 4, 4), "float32"), out=tensor)
    with pytest.raises(TypeError, match="must be an array on the CPU"):
        nd.softmax(tensor)


def test_types_that_are_refused():
    query, key, value = arrays()
    for bad, message in [
        ([[1.0, 2.0]], "query must be an array on the CPU.*got list"),
        (None, "query must be an array.*got NoneType"),
        (query.astype("int64"), "query must be float32, float64, bfloat16 or float16, got int64"),
        (query.astype("float16"), "query and key must have the same dtype, got float16 and float64"),
        (query.astype("complex64"), "query must be float32, float64, bfloat16 or float16, got complex64"),
        (query.astype("float32"), "query and key must have the same dtype, got float32 and float64"),
        (query.astype(">f8"), "query must be an array"),
    ]:
        with pytest.raises(TypeError, match=message):
            nd.attend(bad, key, value)
    with pytest.raises(TypeError, match="mask must be boolean, got float64"):
        nd.attend(query, key, value, mask=np.ones((9, 11)))
    with pytest.raises(TypeError, match="bias must have the dtype of query, got float32"):
        nd.attend(query, key, value, bias=np.ones((9, 11), "float32"))
    with pytest.raises(TypeError, match="scale must be a number"):
        nd.attend(query, key, value, scale="big")
    for options, message in [
        (dict(threads=1.5), "threads must be an integer"),
        (dict(normalization="nearest", neighbors=2.0), "neighbors must be an integer"),
        (dict(mask="window", window="wide"), "window must be an integer"),
    ]:
        with pytest.raises(TypeError, match=message):
            nd.attend(query, key, value, **options)
    with pytest.raises(TypeError, match="unexpected keyword argument 'tile'"):
        nd.attend(query, key, value, tile=4)
    with pytest.raises(TypeError, match="unexpected keyword argument 'tile'"):
        nd.forward(query, key, value, tile=4)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(kernel="box"), "kernel must be one of epanechnikov, .*got 'box'"),
        (dict(normalization="softmax"), "normalization must be one of adaptive"),
        (dict(similarity="manhattan"), "similarity must be one of dot"),
        (dict(mask="block"), "mask must be one of none, causal"),
        (dict(kernel="polynomial"), "kernel polynomial needs exponent or alpha"),
        (dict(alpha=1.5), "exponent or alpha goes with kernel polynomial only"),
        (dict(kernel="polynomial", exponent=2, alpha=1.5), "give one"),
        (dict(kernel="polynomial", alpha=1), "alpha must be finite and exceed 1"),
        (dict(kernel="polynomial", alpha=[1.5, float("nan")]), "alpha must be finite and exceed 1"),
        (
            dict(normalization="fixed", similarity="cosine"),
            "normalization fixed, anchored or unnormalized needs bandwidth",
        ),
        (dict(normalization="fixed", bandwidth=1), "normalization fixed compares distances"),
        (dict(normalization="anchored", bandwidth=0), "bandwidth must be positive and finite"),
        (dict(normalization="anchored", bandwidth=1e-300), "bandwidth 1e-300: bandwidth must be positive"),
        (dict(mass=2), "mass goes with normalization unnormalized only"),
        (dict(kernel="uniform"), "kernel uniform has no normalization adaptive"),
        (dict(normalization="nearest", neighbors=0), "neighbors must be at least 1"),
        (dict(scale=float("nan")), "scale must be finite"),
        (dict(mask="window"), "mask window needs window"),
        (dict(mask="causal", window=3), "window goes with mask window only"),
        (dict(mask=nd.Causal(), window=3), "window goes with mask window only"),
        (dict(mask="window", window=0), "window must be at least 1"),
        (dict(mask=np.ones((9, 10), bool)), r"mask must broadcast to .*\[1, 1, 9, 11\], got \[9, 10\]"),
        (dict(mask=np.ones((1, 1, 1, 9, 11), bool)), "mask must have at most 4 dimensions"),
        (dict(bias=np.ones((2, 9, 11))), r"bias must broadcast to .*got \[2, 9, 11\]"),
        (dict(threads=0), "threads must be at least 1, got 0"),
        (dict(threads=5000), "threads must be at most 4096, got 5000"),
        (dict(mask="window", window=2**70), "window is out of range"),
        (
            dict(similarity="cosine", normalization="fixed", bandwidth=1.0, alibi=1.0),
            "the normalization compares distances, and an additive bias is none",
        ),
    ],
    ids=str,
)
def test_options_that_are_refused(options, message):
    inputs = arrays()
    for call in (nd.attend, nd.forward):
        with pytest.raises(ValueError, match=message):
            call(*inputs, **options)


def test_shapes_that_are_refused():
    query, key, value = arrays(batch=(2,), heads=(4,), key_heads=2)
    for inputs, message in [
        ((query[0], key, value), r"alike, got query \[4, 9, 4\], key \[2, 2, 11, 4\]"),
        ((query[0, 0, 0], key[0, 0, 0], value[0, 0, 0]), r"got query \[4\]"),
        ((query[None], key[None], value[None]), "alike"),
        ((query[:1], key, value), r"same batch, got query \[1, 4, 9, 4\], key \[2, 2, 11, 4\]"),
        ((query, key, value[:1]), r"same batch, got .* value \[1, 2, 11, 3\]"),
        ((query[..., :3], key, value), r"same batch and dim.*query \[2, 4, 9, 3\]"),
        ((query[:, :3], key, value), "heads of key must divide"),
        ((query, key, value[..., :5, :]), r"same batch, heads and tokens.*value \[2, 2, 5, 3\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            nd.attend(*inputs)
    out, tape = nd.forward(query, key, value)
    with pytest.raises(
        ValueError, match=r"grad_output must have the shape of the output, \[2, 4, 9, 3\], got \[4, 9, 3\]"
    ):
        tape.backward(out[0])
    with pytest.raises(TypeError, match="query and grad_output must have the same dtype"):
        tape.backward(out.astype("float32"))
    with pytest.raises(ValueError, match="float32"):
        nd.attend(*(one.astype("float32") for one in (query, key, value)), scale=1e300)


def test_sizes_of_zero():
    for shape in [dict(queries=0), dict(keys=0), dict(value_dim=0), dict(dim=0), dict(queries=0, keys=0)]:
        query, key, value = arrays(heads=(2,), **shape)
        out, tape = nd.forward(query, key, value, mask="causal")
        assert out.shape == (2, query.shape[1], value.shape[2])
        assert (tape.empty_rows > 0) == (shape == dict(keys=0))
        gradients = tape.backward(np.ones_like(out))
        assert gradients.query.shape == query.shape and gradients.value.shape == value.shape


def test_special_values():
    query, key, value = arrays()
    expected = nd.attend(query, key, value, mask="causal")
    key[10], value[10] = np.nan, np.nan
    out = nd.attend(query, key, value, mask="causal")
    assert (out[:8] == expected[:8]).all() and np.isnan(out[8]).all()


def test_results_do_not_depend_on_threads():
    query, key, value = arrays(batch=(2,), heads=(4,), key_heads=2, queries=200, keys=300, dim=16, dtype="float32")
    runs = []
    for threads in (1, 2, 3, None):
        out, tape = nd.forward(query, key, value, mask="causal", threads=threads)
        runs.append([out, *tape.backward(np.ones_like(out), threads=threads)[:3]])
    for other in runs[1:]:
        assert all((a == b).all() for a, b in zip(runs[0], other))


def test_the_lock_of_the_interpreter_is_released():
    query, key, value = arrays(queries=3000, keys=3000, dim=64, value_dim=64, dtype="float32")
    ticks, done = [0], threading.Event()

    def tick():
        while not done.is_set():
            ticks[0] += 1
            done.wait(1e-4)

    thread = threading.Thread(target=tick)
    thread.start()
    before = ticks[0]
    nd.attend(query, key, value, kernel="gaussian", threads=1)
    during = ticks[0] - before
    done.set()
    thread.join()
    assert during >= 3


def test_calls_at_the_same_time():
    inputs = arrays(heads=(3,), queries=60, keys=70, dim=16, dtype="float32")
    operator = nd.Operator("triweight", mask="causal")
    expected, tape = operator.forward(*inputs)
    gradients = tape.backward(expected)

    def work(_):
        out, own = operator.forward(*inputs)
        results = [out, *own.backward(out)[:3], *tape.backward(expected)[:3], operator(*inputs)]
        wanted = [expected, *gradients[:3], *gradients[:3], expected]
        return all((a == b).all() for a, b in zip(results, wanted, strict=True))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))


def test_a_tape_keeps_what_it_needs():
    query, key, value = arrays(heads=(2,))
    out, expected = nd.forward(query, key, value, mask=nd.BooleanMask(np.ones((9, 11), bool)))
    expected = expected.backward(out)
    tape = nd.forward(*(one.copy() for one in (query, key, value)), mask=nd.BooleanMask(np.ones((9, 11), bool)))[1]
    rubbish = [np.full_like(query, np.nan) for _ in range(20)]
    for _ in range(2):
        assert all((a == b).all() for a, b in zip(tape.backward(out)[:3], expected))
    del rubbish


def test_operator_is_attend():
    query, key, value = arrays()
    operator = nd.Operator("polynomial", alpha=1.4, mask="causal")
    assert (
        operator(query, key, value) == nd.attend(query, key, value, kernel="polynomial", alpha=1.4, mask="causal")
    ).all()
    single = [one.astype("float32") for one in (query, key, value)]
    assert operator(*single).dtype == "float32"


FIXTURES = {
    "anchored_biweight_causal": dict(
        kernel="biweight", normalization="anchored", scale=0.2, mask="causal", bandwidth=1.5
    ),
    "anchored_epan": dict(kernel="epanechnikov", normalization="anchored", scale=0.2, bandwidth=1.0),
    "entmax15_causal": dict(kernel="biweight", scale=0.125, mask="causal"),
    "entmax43_strict": dict(kernel="triweight", scale=0.2, mask="strictly-causal"),
    "entmax_r10_window": dict(kernel="polynomial", scale=0.3, mask="window", exponent=10.0, window=37),
    "entmax_r2p5": dict(kernel="polynomial", scale=0.3, exponent=2.5),
    "fixed_biweight_causal": dict(
        kernel="biweight", normalization="fixed", similarity="euclidean", mask="causal", bandwidth=1.3
    ),
    "fixed_epan": dict(kernel="epanechnikov", normalization="fixed", similarity="euclidean", bandwidth=1.25),
    "fixed_gauss": dict(kernel="gaussian", normalization="fixed", similarity="euclidean", bandwidth=0.4),
    "fixed_triweight_empty": dict(kernel="triweight", normalization="fixed", similarity="euclidean", bandwidth=1.15),
    "fixed_uniform": dict(kernel="uniform", normalization="fixed", similarity="euclidean", bandwidth=1.3),
    "softmax_causal": dict(kernel="gaussian", scale=0.125, mask="causal"),
    "sparsemax": dict(kernel="epanechnikov", scale=0.125),
    "topk_softmax": dict(kernel="gaussian", normalization="nearest", scale=0.2, neighbors=16),
    "topk_uniform_causal": dict(kernel="uniform", normalization="nearest", scale=0.2, mask="causal", neighbors=16),
}
DATA = pathlib.Path(__file__).parents[3] / "tests" / "data" / "attention"


@pytest.mark.skipif(not DATA.is_dir(), reason="the library's test data are not here")
def test_fixtures_are_all_known():
    assert sorted(FIXTURES) == sorted(path.name for path in DATA.iterdir())


@pytest.mark.skipif(not DATA.is_dir(), reason="the library's test data are not here")
@pytest.mark.parametrize("name", FIXTURES)
def test_fixtures_of_the_program_attend(name):
    load = lambda array: np.load(DATA / name / f"{array}.npy")
    out, tape = nd.forward(load("query"), load("key"), load("value"), **FIXTURES[name])
    assert abs(out - load("out")).max() <= 1e-10
    gradients = tape.backward(load("grad_output"))
    for array in ("query", "key", "value"):
        assert abs(getattr(gradients, array) - load(f"grad_{array}")).max() <= 1e-10
