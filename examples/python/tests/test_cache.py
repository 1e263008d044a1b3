"""Decoding with cached keys and values is attention on all of them."""

import copy

import numpy as np
import pytest
from test_attention import arrays

import nadaraya as nd


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("similarity", ["dot", "cosine", "euclidean"])
@pytest.mark.parametrize(
    "shape", [dict(), dict(heads=(4,), key_heads=2), dict(batch=(2,), heads=(4,), key_heads=2)], ids=str
)
def test_steps_are_attention_on_all_keys(shape, similarity, dtype):
    query, key, value = arrays(**shape, queries=40, keys=40, dim=8, value_dim=5, dtype=dtype)
    cache = nd.KeyValueCache(
        8, 5, heads=shape.get("key_heads"), batch=2 if "batch" in shape else None, similarity=similarity, dtype=dtype
    )
    cache.reserve(10)
    options = dict(kernel="triweight", mask="causal", scale=2.0)
    tolerance = 1e-13 if dtype == "float64" else 2e-5
    done = 0
    for step in (17, 1, 1, 2, 19):
        rows = slice(done, done + step)
        cache.append(key[..., rows, :], value[..., rows, :])
        done += step
        out = cache.attend(query[..., rows, :], **options)
        expected = nd.attend(
            query[..., rows, :], key[..., :done, :], value[..., :done, :], similarity=similarity, **options
        )
        assert out.shape == expected.shape and out.dtype == dtype
        assert abs(out - expected).max() <= tolerance
        assert len(cache) == done and set(cache.lengths) == {done}
    operator = nd.Operator(similarity=similarity, **options)
    assert (cache.attend_with(operator, query[..., rows, :]) == out).all()
    fork, deep = cache.copy(), copy.deepcopy(cache)
    cache.truncate(18)
    expected = nd.attend(query[..., :18, :], key[..., :18, :], value[..., :18, :], similarity=similarity, **options)
    assert abs(cache.attend(query[..., :18, :], **options) - expected).max() <= tolerance
    assert len(fork) == len(deep) == 40 and (fork.attend(query[..., rows, :], **options) == out).all()


def test_sequences_of_different_lengths():
    query, key, value = arrays(batch=(3,), heads=(4,), key_heads=2, queries=1, keys=20)
    cache = nd.KeyValueCache(4, 3, heads=2, batch=3, dtype="float64")
    lengths = [20, 7, 12]
    for b, n in enumerate(lengths):
        cache.append(key[b, :, :n], value[b, :, :n], sequence=b)
    assert cache.lengths == lengths and len(cache) == 20
    out = cache.attend(query, mask="window", window=6)
    for b, n in enumerate(lengths):
        assert abs(out[b] - nd.attend(query[b], key[b, :, :n], value[b, :, :n], mask="window", window=6)).max() <= 1e-14
    cache.truncate(5, sequence=0)
    assert cache.lengths == [5, 7, 12]
    with pytest.raises(ValueError, match="as many keys in every sequence"):
        cache.attend(query, key_lengths=3)
    with pytest.raises(ValueError, match="between 0 and the 5 of sequence 0, got 6"):
        cache.truncate(6)
    assert cache.lengths == [5, 7, 12]


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_steps_of_different_lengths(dtype):
    """Packed behind each other and padded: the same tokens, and each sequence on its own."""
    stored = [one.astype(dtype) for one in arrays(batch=(2,), heads=(4,), key_heads=2, queries=20, keys=20)]
    query, key, value = stored
    packed = nd.KeyValueCache(4, 3, heads=2, batch=2, dtype=dtype)
    padded = packed.copy()
    done = np.zeros(2, int)
    for step in ([5, 9], [1, 1], [3, 0], [0, 2]):
        sequences = [slice(n, n + m) for n, m in zip(done, step)]
        rows = [np.concatenate([one[b, :, s] for b, s in enumerate(sequences)], axis=1)[None] for one in stored]
        offsets = [0, step[0], sum(step)]
        packed.append(*rows[1:], sequences=offsets)
        out = packed.attend(rows[0], mask="causal", sequences=nd.Packed(offsets))
        pad = [np.full((2, one.shape[1], max(step), one.shape[3]), 9, dtype) for one in stored]
        for b, s in enumerate(sequences):
            for one, wide in zip(stored, pad):
                wide[b, :, : step[b]] = one[b, :, s]
        lengths = nd.Packed.padded(step)
        padded.append(*pad[1:], sequences=lengths)
        out_padded = padded.attend(pad[0], mask="causal", sequences=lengths)
        done += step
        assert packed.lengths == padded.lengths == list(done)
        for b, s in enumerate(sequences):
            one = out[0, :, offsets[b] : offsets[b + 1]]
            expected = nd.attend(query[b, :, s], key[b, :, : done[b]], value[b, :, : done[b]], mask="causal")
            assert abs(one - expected).max(initial=0) <= (1e-14 if dtype == "float64" else 2e-5)
            assert (out_padded[b, :, : step[b]] == one).all() and (out_padded[b, :, step[b] :] == 0).all()


def test_forget_oldest():
    query, key, value = arrays(batch=(2,), heads=(4,), key_heads=2, queries=1, keys=20)
    cache = nd.KeyValueCache(4, 3, heads=2, batch=2, dtype="float64")
    cache.append(key, value)
    expected = cache.attend(query, mask="window", window=6)
    cache.forget_oldest(14)
    assert cache.lengths == [6, 6] and abs(cache.attend(query) - expected).max() <= 1e-14
    cache.forget_oldest(2, sequence=1)
    assert cache.lengths == [6, 4]
    with pytest.raises(ValueError, match="count must lie between 0 and the 4 of sequence 1, got 5"):
        cache.forget_oldest(5)
    assert cache.lengths == [6, 4]


def test_refused_sequences():
    query, key, value = arrays(batch=(2,), heads=(4,), key_heads=2)
    cache = nd.KeyValueCache(4, 3, heads=2, batch=2, dtype="float64")
    for call, message in [
        (lambda: cache.append(key, value, sequences=[0, 5, 11]), "tokens for 2 x 2 sequences, and the cache has 2"),
        (lambda: cache.append(key, value, sequences=nd.Packed.padded([5, 12])), "length of key must lie between 0 and"),
        (lambda: cache.append(key, value[:, :, :5], sequences=nd.Packed.padded([5, 5])), "key and value must be"),
        (lambda: cache.append(key[0], value[0], sequence=0, sequences=[0, 11]), "either sequence or sequences"),
        (lambda: cache.attend(query, sequences=[0, 5, 9]), "4 dimensions and the sequences of the cache, 2"),
        (
            lambda: cache.attend(query, sequences=nd.Packed.padded([5, 10])),
            "length of query must lie between 0 and its 9",
        ),
        (lambda: cache.attend(query, sequences=nd.Packed.padded([5, 5]), key_lengths=3), "do not go with sequences"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    assert cache.lengths == [0, 0]


def test_masks_of_batch_entries():
    query, key, value = arrays(batch=(2,), heads=(4,), key_heads=2)
    cache = nd.KeyValueCache(4, 3, heads=2, batch=2, dtype="float64")
    cache.append(key, value)
    seen = np.random.default_rng(1).random((2, 1, 9, 11)) < 0.7
    for options in [dict(mask=seen), dict(key_lengths=[3, 8]), dict(alibi=[0.1, 0.2, 0.3, 0.4])]:
        assert abs(cache.attend(query, **options) - nd.attend(query, key, value, **options)).max() <= 1e-14


def test_refusals():
    query, key, value = arrays(heads=(2,))
    cache = nd.KeyValueCache(4, 3, heads=2, dtype="float64")
    cache.append(key, value)
    for call, error, message in [
        (
            lambda: cache.append(key, value[:, :5]),
            ValueError,
            r"key and value must be \[2, n, 4\] and \[2, n, 3\], got key \[2, 11, 4\], value \[2, 5, 3\]",
        ),
        (lambda: cache.append(key[0], value[0]), ValueError, r"must be \[2, n, 4\]"),
        (lambda: cache.append(value, key), ValueError, r"must be \[2, n, 4\]"),
        (
            lambda: cache.append(key.astype("float32"), value.astype("float32")),
            TypeError,
            "dtype of the cache, float64, got float32",
        ),
        (lambda: cache.append(key, value, sequence=0), ValueError, "a cache with a batch"),
        (lambda: cache.attend(query.astype("float32")), TypeError, "dtype of the cache, float64, got float32"),
        (lambda: cache.attend(query[0]), ValueError, "query must have 3 dimensions"),
        (
            lambda: cache.attend(query, similarity="cosine"),
            ValueError,
            "similarity must be that of the cache, dot, got cosine",
        ),
        (lambda: cache.attend(query[..., :3]), ValueError, "query"),
        (lambda: cache.truncate(12), ValueError, "between 0 and the 11"),
        (lambda: nd.KeyValueCache(4, batch=2), ValueError, "needs heads"),
        (lambda: nd.KeyValueCache(-4), ValueError, "must not be negative"),
        (
            lambda: nd.KeyValueCache(4, dtype="int32"),
            TypeError,
            "dtype must be float32, float64, bfloat16 or float16, got int32",
        ),
        (lambda: nd.KeyValueCache(4, similarity="manhattan"), ValueError, "similarity must be one of dot"),
        (lambda: nd.KeyValueCache(4, similarity=3), TypeError, "similarity must be a name"),
    ]:
        with pytest.raises(error, match=message):
            call()
    assert len(cache) == 11
