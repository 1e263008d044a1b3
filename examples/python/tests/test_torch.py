"""nadaraya.torch: gradients against finite differences, PyTorch's checks of custom operators, torch.compile, errors."""

import gc

import numpy
import pytest

torch = pytest.importorskip("torch")

import nadaraya  # noqa: E402
import nadaraya.torch  # noqa: E402
from nadaraya.torch import _operator, _tapes  # noqa: E402
from nadaraya.torch import EntmaxAttention, attention, entmax, entmax_loss, sparsemax  # noqa: E402

DOUBLE = torch.float64


def random(*shape, seed=0, dtype=DOUBLE):
    values = numpy.random.default_rng(seed + sum(shape)).standard_normal(shape)
    return torch.from_numpy(values).to(dtype).requires_grad_()


def heads(dtype=DOUBLE):
    """Two query heads for each key head; keys lie token by token."""
    key = random(2, 6, 2, 3, dtype=dtype).detach().transpose(1, 2).requires_grad_()
    return random(2, 4, 5, 3, dtype=dtype), key, random(2, 2, 6, 4, dtype=dtype)


def parameter(*values):
    return torch.tensor(values if len(values) > 1 else values[0], dtype=DOUBLE, requires_grad=True)


@pytest.mark.parametrize(
    "options",
    [
        dict(),
        dict(kernel="gaussian", mask="causal", scale=0.7),
        dict(kernel="epanechnikov", mask="window", window=3, key_lengths=torch.tensor([6, 4])),
        dict(kernel="triweight", normalization="anchored", bandwidth=[1.0, 1.5, 2.0, 2.5]),
        dict(kernel="polynomial", exponent=2.5, normalization="fixed", similarity="euclidean", bandwidth=3.0),
        dict(kernel="gaussian", normalization="nearest", neighbors=3, alibi=[0.1, 0.2, 0.3, 0.4]),
    ],
    ids=str,
)
def test_is_attend(options):
    q, k, v = (one.detach() for one in heads())
    lengths = options.get("key_lengths")
    expected = nadaraya.attend(
        q.numpy(), k.numpy(), v.numpy(), **{**options, "key_lengths": None if lengths is None else lengths.numpy()}
    )
    assert (attention(q, k, v, **options).numpy() == expected).all()
    recorded = attention(q.requires_grad_(), k, v, **options)
    assert (recorded.detach().numpy() == expected).all()


def test_softmax_is_scaled_dot_product_attention():
    q, k, v = heads()
    mask = torch.arange(6) < torch.tensor([1, 2, 4, 6, 3])[:, None]
    bias = random(4, 5, 6).detach()
    for attn_mask in (None, mask, bias):
        expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask, enable_gqa=True)
        out = attention(q, k, v, attn_mask, kernel="gaussian")
        torch.testing.assert_close(out, expected)
        got = torch.autograd.grad(out.sin().sum(), (q, k, v))
        want = torch.autograd.grad(expected.sin().sum(), (q, k, v))
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_dimensions_before_the_tokens(shape):
    q, k, v = random(*shape, 5, 2), random(*shape, 4, 2), random(*shape, 4, 3)
    out = attention(q, k, v)
    assert out.shape == (*shape, 5, 3)
    assert torch.autograd.gradcheck(attention, (q, k, v))


def test_gradients():
    q, k, v = heads()
    alpha, scale, bandwidth = parameter(1.2, 1.5, 1.7, 2.0), parameter(0.8), parameter(1.5, 2.0, 2.5, 3.0)
    check = torch.autograd.gradcheck
    assert check(lambda *x: attention(*x[:3], kernel="polynomial", alpha=x[3], scale=x[4]), (q, k, v, alpha, scale))
    assert check(
        lambda *x: attention(*x[:3], kernel="biweight", normalization="anchored", bandwidth=x[3], mask="causal"),
        (q, k, v, bandwidth),
    )
    # Expanded gradients and inputs, of which elements share memory.
    assert check(lambda x: attention(x.expand(2, 4, 5, 3), k, v).sum((0, 2)), (random(5, 3),))


def test_parameters_keep_their_dtype():
    q, k, v = heads(torch.float32)
    alpha = torch.tensor([1.5] * 4, requires_grad=True)
    attention(q, k, v, kernel="polynomial", alpha=alpha).sum().backward()
    assert alpha.grad.dtype == torch.float32 and alpha.grad.shape == (4,)
    assert q.grad.dtype == torch.float32


CHOICE = ("polynomial", "adaptive", "dot", "causal", None, None, None, None, None, None, None, None)


def test_operators_pass_opcheck():
    q, k, v = heads()
    attend = torch.ops.nadaraya.attention.default
    tensors = (q, k, v, None, torch.tensor([6, 4]), parameter(0.8), None, parameter(1.2, 1.5, 1.7, 2.0))
    torch.library.opcheck(attend, (*tensors, *CHOICE, True))
    plain = (q.detach(), k.detach(), v.detach(), random(5, 6).detach(), None, None, None, None)
    torch.library.opcheck(attend, (*plain, "biweight", *CHOICE[1:], False))
    x = random(3, 7)
    torch.library.opcheck(torch.ops.nadaraya.entmax.default, (x, None, 1.5))
    torch.library.opcheck(torch.ops.nadaraya.entmax.default, (x, parameter(1.3), 0.0))
    torch.library.opcheck(torch.ops.nadaraya.entmax_loss.default, (x, torch.tensor([0, 2, 1]), 1.5))


def gradients_of(model, *inputs, **options):
    parameters = [*model.parameters(), *(one for one in inputs if one.requires_grad)]
    out = model(*inputs, **options)
    return [out, *torch.autograd.grad(out.square().sum(), parameters)]


def test_compiles_without_a_graph_break(monkeypatch):
    torch.manual_seed(0)
    model = EntmaxAttention(12, 4, 2).double()
    inputs = random(2, 7, 12), random(2, 9, 12)
    expected = gradients_of(model, *inputs, mask="causal")
    found = []
    recall = _operator.recall
    monkeypatch.setattr(_operator, "recall", lambda *of: found.append(recall(*of)) or found[-1])
    compiled = torch.compile(model, fullgraph=True)
    before = len(_tapes._tapes)
    got = gradients_of(compiled, *inputs, mask="causal")
    assert len(_tapes._tapes) == before
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    assert [tape is not None for tape in found] == [True]  # forward did not run again
    with torch.no_grad():
        torch.testing.assert_close(compiled(*inputs, mask="causal"), expected[0])

    @torch.compile(fullgraph=True, backend="aot_eager")
    def loss(scores, target):
        return entmax_loss(entmax(scores, 1.3).log1p(), target)

    scores, target = random(5, 4), torch.tensor([0, 3, 1, 2, -100])
    torch.testing.assert_close(loss(scores, target), entmax_loss(entmax(scores, 1.3).log1p(), target))


def test_exports():
    model = EntmaxAttention(8, 2)
    x = torch.randn(2, 5, 8)
    exported = torch.export.export(model, (x,), {"mask": "causal"})
    assert any("nadaraya.attention" in str(node.target) for node in exported.graph.nodes)
    torch.testing.assert_close(exported.module()(x, mask="causal"), model(x, mask="causal"))


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_functional_transforms():
    q, k, v = (one.detach() for one in heads())
    mapped = torch.func.vmap(lambda q: attention(q, k[0], v[0]))(q)
    torch.testing.assert_close(mapped, attention(q, k[:1].expand(2, -1, -1, -1), v[:1].expand(2, -1, -1, -1)))
    with pytest.raises(RuntimeError):
        torch.func.grad(lambda q: attention(q, k, v).square().sum())(q)


def test_tapes_live_as_long_as_the_graph():
    tapes = _tapes._tapes
    gc.collect()
    before = len(tapes)
    q, k, v = heads()
    out = attention(q, k, v)
    assert len(tapes) == before + 1
    first = torch.autograd.grad(out.sum(), (q, k, v), retain_graph=True)
    second = torch.autograd.grad(out.sum(), (q, k, v))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert len(tapes) == before
    attention(q, k, v)
    assert len(tapes) == before
    with torch.no_grad():
        held = attention(q, k, v)
    assert len(tapes) == before and not held.requires_grad


def test_a_copied_tape_is_formed_again():
    """As by hooks that keep saved tensors elsewhere."""
    q, k, v = heads()
    alpha = parameter(1.2, 1.5, 1.7, 2.0)
    expected = torch.autograd.grad(attention(q, k, v, kernel="polynomial", alpha=alpha).sum(), (q, k, v, alpha))
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x.detach().clone(), lambda x: x):
        out = attention(q, k, v, kernel="polynomial", alpha=alpha)
    torch.testing.assert_close(torch.autograd.grad(out.sum(), (q, k, v, alpha)), expected, rtol=0, atol=0)


def test_inputs_must_not_change_before_backward():
    q, k, v = heads()
    moved = k * 1.0
    out = attention(q, moved, v)
    moved += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_there_are_no_second_derivatives():
    q, k, v = heads()
    for out in (attention(q, k, v), sparsemax(q), entmax_loss(q[0, 0], torch.tensor([0, 1, 2, 0, 1]))):
        with pytest.raises(RuntimeError):
            (first,) = torch.autograd.grad(out.square().sum(), q, create_graph=True)
            torch.autograd.grad(first.square().sum(), q)


@pytest.mark.parametrize(
    "change, error, message",
    [
        (dict(query=random(2, 4, 5, 2)), ValueError, "query"),
        (dict(value=random(2, 2, 7, 4)), ValueError, "value"),
        (dict(key=random(2, 2, 6, 3, dtype=torch.float32)), TypeError, "dtype"),
        (dict(query=random(2, 4, 5, 3).detach().bfloat16()), TypeError, "query and key must have the same dtype"),
        (
            dict(query=random(2, 4, 5, 3).detach().int()),
            TypeError,
            "query must be float32, float64, bfloat16 or float16",
        ),
        (dict(kernel="box"), ValueError, "kernel"),
        (dict(alpha=parameter(1.5)), ValueError, "alpha"),
        (dict(kernel="polynomial", alpha=parameter(1.5, 1.5)), ValueError, r"alpha must be \[\] or \[4\]"),
        (dict(attn_mask=torch.ones(5, 7, dtype=torch.bool)), ValueError, "mask"),
        (dict(attn_mask=random(5, 6)), ValueError, "attn_mask"),
        (dict(key_lengths=torch.tensor([1, 2, 3])), ValueError, "key_lengths"),
        (dict(key_lengths=torch.tensor([1.0, 2.0])), TypeError, "key_lengths"),
    ],
    ids=lambda one: "-".join(one) if isinstance(one, dict) else "",
)
def test_errors(change, error, message):
    q, k, v = heads()
    with pytest.raises(error, match=message):
        attention(**{**dict(query=q, key=k, value=v), **change})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_sixteen_bits_are_computed_in_float32(dtype):
    narrow = [one.detach().to(dtype) for one in heads()]
    wide = [one.float().requires_grad_() for one in narrow]
    bias = random(5, 6).detach().to(dtype)
    for options in [dict(mask="causal"), dict(attn_mask=bias, similarity="cosine")]:
        expected = attention(*wide, **{**options, "attn_mask": bias.float() if "attn_mask" in options else None})
        out = attention(*narrow, **options)
        assert out.dtype == dtype
        torch.testing.assert_close(out, expected.to(dtype))
    learned = [one.clone().requires_grad_() for one in narrow]
    out = attention(*learned, mask="causal")
    expected = attention(*wide, mask="causal")
    assert out.dtype == dtype and (out == expected.to(dtype)).all()
    out.sum().backward()
    for one, gradient in zip(learned, torch.autograd.grad(expected.sum(), wide)):
        assert one.grad.dtype == dtype and (one.grad == gradient.to(dtype)).all()


def test_sixteen_bits_compile():
    narrow = [one.detach().bfloat16() for one in heads()]
    compiled = torch.compile(lambda q, k, v: attention(q, k, v, mask="causal") * 2, fullgraph=True, backend="aot_eager")
    assert (compiled(*narrow) == attention(*narrow, mask="causal") * 2).all()
    narrow[0].requires_grad_()
    assert (compiled(*narrow) == attention(*narrow, mask="causal") * 2).all()


@pytest.mark.parametrize("alpha", [1.0, 1.2, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("dim", [-1, 0, 1])
def test_entmax(alpha, dim):
    x = random(3, 5, 4)
    p = entmax(x, alpha, dim)
    assert (p.detach().numpy() == nadaraya.entmax(x.detach().numpy(), alpha, dim)).all()
    torch.testing.assert_close(p.sum(dim), torch.ones_like(p.sum(dim)))
    if alpha == 1:
        torch.testing.assert_close(p, x.softmax(dim))
    if alpha == 2:
        torch.testing.assert_close(p, sparsemax(x, dim))
    assert torch.autograd.gradcheck(lambda x: entmax(x, alpha, dim), (x,))
    if 1 < alpha < 3:
        assert torch.autograd.gradcheck(lambda x, a: entmax(x, a, dim), (x, parameter(alpha)))


@pytest.mark.parametrize("alpha", [1.0, 1.5, 2.0])
def test_entmax_loss(alpha):
    scores, classes = random(4, 5, 3), torch.tensor([[0, 1, 2, 0, 1]] * 4)
    classes[1, 2] = -100
    for reduction in ("none", "sum", "mean"):
        loss = entmax_loss(scores, classes, alpha, reduction=reduction)
        if alpha == 1:
            want = torch.nn.functional.cross_entropy(scores.transpose(1, 2), classes, reduction=reduction)
            torch.testing.assert_close(loss, want)
        assert torch.autograd.gradcheck(lambda z: entmax_loss(z, classes, alpha, reduction=reduction), (scores,))
    targets = scores.detach().softmax(-1)
    p = entmax(scores, alpha).detach()
    (gradient,) = torch.autograd.grad(entmax_loss(scores, targets, alpha, reduction="sum"), scores)
    torch.testing.assert_close(gradient, p - targets)
    assert entmax_loss(scores, p, alpha).item() <= 1e-12
    with pytest.raises(ValueError, match="target"):
        entmax_loss(scores, classes[:, :4], alpha)
    with pytest.raises(ValueError, match="reduction"):
        entmax_loss(scores, classes, alpha, reduction="median")


def test_empty_tensors():
    for queries, keys in ((0, 3), (3, 0)):
        q, k, v = random(2, queries, 4), random(2, keys, 4), random(2, keys, 5)
        out = attention(q, k, v)
        assert out.shape == (2, queries, 5) and (out == 0).all()
        assert all((one == 0).all() for one in torch.autograd.grad(out.sum(), (q, k, v)))
    assert entmax(random(0, 4)).shape == (0, 4) and entmax(random(3, 0)).shape == (3, 0)


def test_module_learns_alpha():
    torch.manual_seed(0)
    model = EntmaxAttention(8, 2, alpha=1.4)
    assert model.alpha.detach().tolist() == pytest.approx([1.4, 1.4])
    x = torch.randn(3, 6, 8)
    assert model(x, attn_mask=torch.ones(6, 6, dtype=torch.bool).tril()).shape == x.shape
    torch.testing.assert_close(model(x, mask="causal"), model(x, attn_mask=torch.ones(6, 6, dtype=torch.bool).tril()))
    model(x).square().sum().backward()
    assert (model.raw_alpha.grad != 0).all()
    reloaded = EntmaxAttention(8, 2)
    reloaded.load_state_dict(model.state_dict())
    assert (reloaded(x) == model(x)).all()
    with pytest.raises(ValueError, match="num_heads"):
        EntmaxAttention(8, 3)
    with pytest.raises(ValueError, match="alpha"):
        EntmaxAttention(8, 2, alpha=2.5)
