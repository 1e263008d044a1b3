"""float16 and bfloat16: read as they are stored, computed with in float32."""

import numpy as np
import pytest
from test_attention import arrays

import nadaraya as nd


def _bfloat16():
    return pytest.importorskip("ml_dtypes").bfloat16


@pytest.fixture(params=["float16", "bfloat16"])
def dtype(request):
    return np.dtype(_bfloat16() if request.param == "bfloat16" else "float16")


def stored(dtype, **shape):
    """Arrays of 16 bits, and the same numbers in float32."""
    narrow = [one.astype(dtype) for one in arrays(**shape)]
    return narrow, [one.astype("float32") for one in narrow]


SHAPE = dict(batch=(2,), heads=(4,), key_heads=2, queries=30, keys=40, dim=8, value_dim=5)


@pytest.mark.parametrize("similarity", ["dot", "cosine", "euclidean"])
def test_attention_is_that_of_the_numbers_in_float32(dtype, similarity):
    narrow, wide = stored(dtype, **SHAPE)
    seen = np.random.default_rng(1).random((2, 1, 30, 40)) < 0.7
    for options in [dict(mask="causal"), dict(mask=seen), dict(kernel="gaussian", alibi=[0.1, 0.2, 0.3, 0.4])]:
        out = nd.attend(*narrow, similarity=similarity, **options)
        assert out.dtype == np.float32
        assert abs(out - nd.attend(*wide, similarity=similarity, **options)).max() <= 2e-5
        assert (nd.Operator(similarity=similarity, **options)(*narrow, threads=3) == out).all()


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_training_is_that_of_the_numbers_in_float32(dtype, similarity):
    narrow, wide = stored(dtype, **SHAPE)
    for options in [dict(mask="causal"), dict(kernel="gaussian"), dict(kernel="polynomial", alpha=[1.2, 1.4, 1.6, 1.8])]:
        out, tape = nd.forward(*narrow, similarity=similarity, **options)
        expected, wide_tape = nd.forward(*wide, similarity=similarity, **options)
        assert out.dtype == np.float32 and (out == expected).all()
        for one, other in zip(nd.backward(tape, out), nd.backward(wide_tape, out), strict=True):
            assert (one is None and other is None) or (np.asarray(one) == np.asarray(other)).all()


def test_bits_are_those_of_a_cache(dtype):
    narrow, (query, key, value) = stored(dtype, **SHAPE)
    cache = nd.KeyValueCache(8, 5, heads=2, batch=2)
    cache.append(key, value)
    assert (nd.attend(*narrow, mask="causal") == cache.attend(query, mask="causal")).all()


def test_strides_and_out(dtype):
    narrow, wide = stored(dtype, heads=(3,))
    turned = [np.asfortranarray(one.view("uint16")).view(dtype) for one in narrow]
    out = np.empty((3, 9, 3), "float32")
    assert nd.attend(*turned, out=out) is out
    assert (out == nd.attend(*narrow)).all()
    with pytest.raises(TypeError, match="out must be float32 as the result is, got float64"):
        nd.attend(*narrow, out=np.empty((3, 9, 3)))


@pytest.mark.parametrize("similarity", ["dot", "cosine", "euclidean"])
def test_cache_of_16_bits(dtype, similarity):
    narrow, (query, key, value) = stored(dtype, **SHAPE)
    caches = []
    for keys, values in [narrow[1:], (key, value)]:
        cache = nd.KeyValueCache(8, 5, heads=2, batch=2, similarity=similarity, dtype=dtype)
        for first, last in [(0, 17), (17, 40)]:
            cache.append(keys[:, :, first:last], values[:, :, first:last])
        caches.append(cache)
    out = caches[0].attend(query, mask="window", window=9)
    assert out.dtype == np.float32
    for cache in (*caches, caches[0].copy()):
        for queries in (query, narrow[0]):
            assert (cache.attend(queries, mask="window", window=9) == out).all()
    expected = nd.attend(query, key, value, similarity=similarity, mask="window", window=9)
    # A cache for the cosine stores unit rows, rounded.
    tolerance = {"float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype.name] if similarity == "cosine" else 2e-5
    assert abs(out - expected).max() <= tolerance


def test_a_cache_rounds_to_its_dtype():
    cache = nd.KeyValueCache(1, dtype="float16")
    cache.append(np.ones((1, 1), "float32"), np.full((1, 1), 1 + 2.0**-12, "float32"))
    assert cache.attend(np.ones((1, 1), "float32")) == 1


def test_refusals(dtype):
    (query, key, value), _ = stored(dtype)
    with pytest.raises(TypeError, match=f"query must be float32 or float64, got {dtype.name}"):
        nd.weights(query, key)
    out, tape = nd.forward(query, key, value)
    with pytest.raises(TypeError, match=f"grad_output must be float32 as the output is, got {dtype.name}"):
        nd.backward(tape, out.astype(dtype))
    with pytest.raises(TypeError, match=f"query and value must have the same dtype, got {dtype.name} and float32"):
        nd.attend(query, key, value.astype("float32"))
    with pytest.raises(ValueError, match=r"\[1 x 1 x 11 x 4\].*\(query"):
        nd.attend(query, key, value[:5])
    cache = nd.KeyValueCache(4, 3, dtype=dtype)
    with pytest.raises(TypeError, match=f"dtype of the cache, {dtype.name}, or float32, got float64"):
        cache.append(key.astype(float), value.astype(float))
    with pytest.raises(
        TypeError, match=f"query must have the dtype of the cache, {dtype.name}, or float32, got float64"
    ):
        cache.attend(query.astype(float))
    with pytest.raises(TypeError, match="dtype of the cache, float32, got"):
        nd.KeyValueCache(4, 3).append(key, value)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_tensors(name):
    torch = pytest.importorskip("torch")
    narrow = [torch.from_numpy(one).to(getattr(torch, name)) for one in arrays(heads=(3,))]
    assert abs(nd.attend(*narrow) - nd.attend(*(one.float() for one in narrow))).max() <= 2e-5
