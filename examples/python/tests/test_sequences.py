"""Sequences of different lengths in one call are calls of their own."""

import numpy as np
import pytest
from test_attention import arrays

import nadaraya as nd

OFFSETS = [0, 4, 4, 9]
KEY_OFFSETS = [0, 5, 8, 11]


@pytest.mark.parametrize(
    "shape", [dict(), dict(heads=(4,), key_heads=2), dict(batch=(2,), heads=(4,), key_heads=2)], ids=str
)
@pytest.mark.parametrize(
    "options",
    [dict(mask="causal"), dict(mask="window", window=2), dict(normalization="nearest", kernel="gaussian", neighbors=2)],
    ids=str,
)
def test_packed(shape, options):
    query, key, value = arrays(**shape)
    out, tape = nd.forward(query, key, value, sequences=nd.Packed(OFFSETS, KEY_OFFSETS), **options)
    gradients = tape.backward(out)
    scale, sizes = 0.0, tape.support_sizes
    for s in range(3):
        q, k = slice(OFFSETS[s], OFFSETS[s + 1]), slice(KEY_OFFSETS[s], KEY_OFFSETS[s + 1])
        one, one_tape = nd.forward(query[..., q, :], key[..., k, :], value[..., k, :], **options)
        expected = one_tape.backward(one)
        assert abs(out[..., q, :] - one).max(initial=0) <= 1e-14
        assert abs(gradients.query[..., q, :] - expected.query).max(initial=0) <= 1e-13
        assert abs(gradients.key[..., k, :] - expected.key).max(initial=0) <= 1e-13
        assert abs(gradients.value[..., k, :] - expected.value).max(initial=0) <= 1e-13
        assert (sizes[..., q] == one_tape.support_sizes).all()
        scale += expected.scale
    assert abs(gradients.scale - scale) <= 1e-12
    assert abs(tape.mean_support - sizes.mean()) <= 1e-12 and tape.empty_rows == (sizes == 0).sum()
    assert (nd.attend(query, key, value, sequences=nd.Packed(OFFSETS, KEY_OFFSETS), **options) == out).all()


def test_offsets_alone():
    query, key, value = arrays(heads=(2,), queries=11)
    expected = nd.attend(query, key, value, mask="causal", sequences=nd.Packed([0, 4, 11]))
    operator = nd.Operator(mask="causal")
    for offsets in ([0, 4, 11], np.array([0, 4, 11], "int32")):
        assert (operator(query, key, value, sequences=offsets) == expected).all()
    assert abs(expected[:, 4:] - nd.attend(query[:, 4:], key[:, 4:], value[:, 4:], mask="causal")).max() <= 1e-14


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_padded(dtype):
    query, key, value = arrays(batch=(3,), heads=(4,), key_heads=2, dtype=dtype)
    lengths, key_lengths = [9, 0, 4], [11, 3, 5]
    tolerance = 1e-14 if dtype == "float64" else 1e-5
    for sequences, rows in [
        (nd.Packed.padded(lengths), [lengths, lengths]),
        (nd.Packed.padded(lengths, key_lengths), [lengths, key_lengths]),
        (nd.Packed.padded_keys(key_lengths), [[9] * 3, key_lengths]),
    ]:
        out = nd.attend(query, key, value, mask="causal", sequences=sequences)
        for b, (n, m) in enumerate(zip(*rows)):
            expected = nd.attend(query[b, :, :n], key[b, :, :m], value[b, :, :m], mask="causal")
            assert abs(out[b, :, :n] - expected).max(initial=0) <= tolerance
            assert (out[b, :, n:] == 0).all()
    if dtype != "float16":
        sizes = nd.forward(query, key, value, sequences=nd.Packed.padded(lengths))[1].support_sizes
        assert (sizes[0] > 0).all() and (sizes[1] == 0).all() and (sizes[2, :, 4:] == 0).all()


def test_refusals():
    query, key, value = arrays(batch=(2,), heads=(2,))
    out = np.full((2, 2, 9, 3), 7.0)
    for sequences, options, error, message in [
        ([0, 4, 11], {}, ValueError, "the offsets of query must rise from 0 to its 9 tokens"),
        (nd.Packed([0, 4, 9], [0, 5]), {}, ValueError, "the offsets of key must rise from 0 to its 11 tokens"),
        (nd.Packed([0, 4, 9], [0, 11]), {}, ValueError, "offsets of 2 sequences of queries and of 1 of keys"),
        (nd.Packed.padded([9]), {}, ValueError, "need a length of query for each of 2 batch entries, got 1"),
        (nd.Packed.padded([9, 10]), {}, ValueError, "a length of query must lie between 0 and its 9 tokens, got 10"),
        (
            nd.Packed.padded_keys([3, -1]),
            {},
            ValueError,
            "a length of key must lie between 0 and its 11 tokens, got -1",
        ),
        (
            nd.Packed([0, 9], [0, 11]),
            dict(bias=np.zeros((9, 11))),
            ValueError,
            "masks with an array do not go with sequences",
        ),
        (nd.Packed([0, 9], [0, 11]), dict(key_lengths=3), ValueError, "key_lengths and masks with an array do not go"),
    ]:
        with pytest.raises(error, match=message):
            nd.attend(query, key, value, sequences=sequences, out=out, **options)
        assert (out == 7).all()
        if not options:
            with pytest.raises(error, match=message):
                nd.attend(*(one.astype("float16") for one in (query, key, value)), sequences=sequences)
    for offsets, error, message in [
        (3, ValueError, r"offsets must be a list of integers, got the shape \[\]"),
        ([[0, 9]], ValueError, r"offsets must be a list of integers, got the shape \[1, 2\]"),
        ([0.0, 9.0], TypeError, "offsets must be integers, got float64"),
    ]:
        with pytest.raises(error, match=message):
            nd.Packed(offsets)
