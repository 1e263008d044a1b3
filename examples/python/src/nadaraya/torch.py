"""nadaraya for PyTorch: sparse attention and entmax of tensors, with gradients, also under torch.compile.

>>> import torch, nadaraya.torch
>>> q, k, v = (torch.randn(2, 8, 512, 64, requires_grad=True) for _ in range(3))
>>> nadaraya.torch.attention(q, k, v, mask="causal").sum().backward()

Tensors are float32 or float64 on the CPU. Everything is a custom operator (torch.ops.nadaraya.*) without side effects,
which torch.compile calls without a graph break. There are first derivatives only: a second one is an error, as are the
gradients of torch.func, which PyTorch has not for custom operators. Up to torch.get_num_threads() threads work.

Between forward and backward a tape keeps the support of each query. An operator can only return tensors, so the tape
belongs to the memory of a tensor of one byte, and is freed with what autograd saves: see `_remember`.
"""

import atexit
import functools
import weakref
from typing import Any, List, Optional, Sequence, Tuple, Union

import numpy
import torch
from torch import Tensor, nn

from . import _core

__all__ = ["EntmaxAttention", "attention", "entmax", "entmax_loss", "sparsemax"]

Floats = Optional[Sequence[float]]
PerHead = Union[float, Sequence[float], Tensor, None]


def _array(name: str, tensor: Tensor) -> Any:
    """The tensor's memory as an array of NumPy."""
    if tensor.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name} must be float32 or float64, got {tensor.dtype}")
    return tensor.detach().numpy()


def _check_device(name: str, tensor: Tensor) -> None:
    if not (tensor.is_cpu or tensor.is_meta):
        raise ValueError(f"{name} must be on the CPU, got a tensor on {tensor.device}")


# (tape, where its operands are, the end of its byte), by the address of the byte.
_tapes: dict = {}


def _remember(tape: Any, operands: Tuple[Tensor, ...]) -> Tensor:
    """A tensor of one byte that stands for a tape and keeps it as long as the tensor's memory lives.

    The byte is always 0. Its address names the tape, so that a copy, as a compiler may make one, names none: then
    backward runs forward again, as it does where the operands have been moved.
    """
    byte = numpy.zeros(1, numpy.uint8)
    handle = torch.from_numpy(byte)
    address = handle.data_ptr()
    # Only the tensor holds the array from here on. The callback runs before the address can be used again.
    end = weakref.ref(byte, lambda _: _tapes.pop(address, None))
    _tapes[address] = (tape, _places(operands), end)
    return handle


def _recall(handle: Tensor, operands: Tuple[Tensor, ...]) -> Any:
    """The tape, or None unless these are the operands that it refers to."""
    found = _tapes.get(handle.data_ptr())
    return found[0] if found is not None and found[1] == _places(operands) else None


def _places(operands: Tuple[Tensor, ...]) -> List[Any]:
    return [(one.data_ptr(), one.shape, one.stride()) for one in operands]


@functools.lru_cache(maxsize=256)
def _operator_of(choice: Tuple[Any, ...]) -> Any:
    return _new_operator(choice, None, None, None, None, None)


# Whatever refers to the extension module must go before it does.
atexit.register(_operator_of.cache_clear)
atexit.register(_tapes.clear)


def _new_operator(
    choice: Tuple[Any, ...], attn_mask: Optional[Tensor], key_lengths: Optional[Tensor], scale: Optional[Tensor],
    bandwidth: Optional[Tensor], alpha: Optional[Tensor],
) -> Any:  # fmt: skip
    kernel, normalization, similarity, mask, window, neighbors, exponent, alphas, bandwidths, scales, mass, alibi = choice

    def number(values: Floats, learned: Optional[Tensor] = None) -> Any:
        if learned is not None:
            return learned.tolist()
        return None if values is None else values[0] if len(values) == 1 else values

    masks = [] if mask == "none" and window is None else [(mask, window)]
    if alibi is not None:
        masks.append(("alibi", number(alibi)))
    if key_lengths is not None:
        masks.append(("key_lengths", key_lengths.numpy()))
    if attn_mask is not None:
        masks.append(("boolean" if attn_mask.dtype == torch.bool else "bias", attn_mask.detach().numpy()))
    return _core.Operator(
        kernel, normalization, similarity, masks, number(exponent), number(alphas, alpha),
        number(bandwidths, bandwidth), neighbors, number(scales, scale), number(mass),
    )  # fmt: skip


def _operands(tensors: Tuple[Any, ...], choice: Tuple[Any, ...]) -> Tuple[Any, ...]:
    """The operator, and query, key and value as arrays. tensors: those of _attention."""
    query, key, value, *own = tensors
    plain = own[0] is own[1] is own[2] is own[3] is own[4] is None
    operator = _operator_of(choice) if plain else _new_operator(choice, *own)
    return operator, _array("query", query), _array("key", key), _array("value", value)


def _forward(tensors: Tuple[Any, ...], choice: Tuple[Any, ...], record: bool) -> Tuple[Tensor, Tensor]:
    operator, *arrays = _operands(tensors, choice)
    if not record:
        return torch.from_numpy(operator(*arrays, None, torch.get_num_threads())), torch.empty(0, dtype=torch.uint8)
    out, tape = operator.forward(*arrays, None, torch.get_num_threads())
    return torch.from_numpy(out), _remember(tape, tensors[:3])


def _backward(grad_out: Tensor, handle: Tensor, tensors: Tuple[Any, ...], choice: Tuple[Any, ...]) -> Tuple[Tensor, ...]:
    tape = _recall(handle, tensors[:3])
    if tape is None:
        operator, *arrays = _operands(tensors, choice)
        tape = operator.forward(*arrays, None, torch.get_num_threads())[1]
    return tuple(map(torch.from_numpy, tape.backward(_array("grad_out", grad_out), torch.get_num_threads())))


def _gradients(gradients: Tuple[Tensor, ...], tensors: Sequence[Optional[Tensor]]) -> List[Optional[Tensor]]:
    """One for each of the tensors."""
    inputs, sums = gradients[:3], gradients[3:]

    def of(parameter: Optional[Tensor], by_head: Tensor) -> Optional[Tensor]:
        if parameter is None:
            return None
        return (by_head if parameter.ndim else by_head.sum()).to(parameter.dtype)

    return [*inputs, None, None, *map(of, tensors[5:], sums)]


def _choice(*choice: Any) -> Tuple[Any, ...]:
    """With sequences as tuples, which a cache can look up."""
    return tuple(tuple(one) if isinstance(one, list) else one for one in choice)


@torch.library.custom_op("nadaraya::attention", mutates_args=(), device_types="cpu")
def _attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Optional[Tensor], key_lengths: Optional[Tensor],
    scale: Optional[Tensor], bandwidth: Optional[Tensor], alpha: Optional[Tensor], kernel: str, normalization: str,
    similarity: str, mask: str, window: Optional[int], neighbors: Optional[int], exponent: Optional[Sequence[float]],
    alphas: Optional[Sequence[float]], bandwidths: Optional[Sequence[float]], scales: Optional[Sequence[float]],
    mass: Optional[Sequence[float]], alibi: Optional[Sequence[float]], record: bool,
) -> Tuple[Tensor, Tensor]:  # fmt: skip
    """(out, handle of the tape), the latter empty unless `record`."""
    tensors = query, key, value, attn_mask, key_lengths, scale, bandwidth, alpha
    return _forward(tensors, _choice(kernel, normalization, similarity, mask, window, neighbors, exponent, alphas,
                                     bandwidths, scales, mass, alibi), record)  # fmt: skip


@_attention.register_fake
def _(query: Tensor, key: Tensor, value: Tensor, *choice: Any) -> Tuple[Tensor, Tensor]:
    handle = query.new_empty(int(choice[-1]), dtype=torch.uint8)
    return query.new_empty((*query.shape[:-1], value.shape[-1])), handle


@torch.library.custom_op("nadaraya::attention_backward", mutates_args=(), device_types="cpu")
def _attention_backward(
    grad_out: Tensor, handle: Tensor, query: Tensor, key: Tensor, value: Tensor, attn_mask: Optional[Tensor],
    key_lengths: Optional[Tensor], scale: Optional[Tensor], bandwidth: Optional[Tensor], alpha: Optional[Tensor],
    kernel: str, normalization: str, similarity: str, mask: str, window: Optional[int], neighbors: Optional[int],
    exponent: Optional[Sequence[float]], alphas: Optional[Sequence[float]], bandwidths: Optional[Sequence[float]],
    scales: Optional[Sequence[float]], mass: Optional[Sequence[float]], alibi: Optional[Sequence[float]],
) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients by query, key and value, and those by scale, bandwidth and alpha, float64 [H]: 0 where there is none."""
    tensors = query, key, value, attn_mask, key_lengths, scale, bandwidth, alpha
    return _backward(grad_out, handle, tensors, _choice(kernel, normalization, similarity, mask, window, neighbors,
                                                        exponent, alphas, bandwidths, scales, mass, alibi))  # fmt: skip


@_attention_backward.register_fake
def _(grad_out: Tensor, handle: Tensor, query: Tensor, key: Tensor, value: Tensor, *choice: Any) -> Tuple[Tensor, ...]:
    inputs = (one.new_empty(one.shape) for one in (query, key, value))
    heads = query.shape[-3] if query.ndim > 2 else 1
    return (*inputs, *(query.new_empty(heads, dtype=torch.float64) for _ in range(3)))


def _attention_setup(ctx: Any, inputs: Tuple[Any, ...], output: Tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(output[1], *inputs[:8])
    ctx.choice = inputs[8:-1]


def _attention_gradient(ctx: Any, grad_out: Tensor, _: Any) -> Tuple[Optional[Tensor], ...]:
    gradients = _attention_backward(grad_out, *ctx.saved_tensors, *ctx.choice)
    return (*_gradients(gradients, ctx.saved_tensors[1:]), *(None for _ in ctx.choice), None)


_attention.register_autograd(_attention_gradient, setup_context=_attention_setup)


class _EagerAttention(torch.autograd.Function):
    """The operator for a call that nothing traces: what PyTorch does for a custom operator takes longer than a small call."""

    @staticmethod
    def forward(ctx: Any, choice: Tuple[Any, ...], *tensors: Any) -> Tensor:
        out, handle = _forward(tensors, choice, True)
        ctx.save_for_backward(handle, *tensors)
        ctx.choice = choice
        return out

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> Tuple[Optional[Tensor], ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("nadaraya.torch.attention has no second derivatives (create_graph=True)")
        handle, *tensors = ctx.saved_tensors
        return (None, *_gradients(_backward(grad_out, handle, tensors, ctx.choice), tensors))


def _traced(*tensors: Optional[Tensor]) -> bool:
    """Does anything but eager mode look at calls: torch.compile, torch.export, torch.func, a mode, a subclass?"""
    return (
        torch.compiler.is_compiling()
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._functorch.peek_interpreter_stack() is not None
        or any(one is not None and type(one) not in (Tensor, nn.Parameter) for one in tensors)
    )


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Optional[Tensor] = None,
    *,
    kernel: str = "biweight",
    normalization: str = "adaptive",
    similarity: str = "dot",
    mask: str = "none",
    scale: PerHead = None,
    alpha: PerHead = None,
    exponent: PerHead = None,
    bandwidth: PerHead = None,
    neighbors: Optional[int] = None,
    mass: PerHead = None,
    window: Optional[int] = None,
    key_lengths: Optional[Tensor] = None,
    alibi: PerHead = None,
) -> Tensor:
    """Attention in the manner of torch.nn.functional.scaled_dot_product_attention, with weights that may be exactly zero.

    out_i = sum_j p_ij value_j. The default is 1.5-entmax of scale query.key; kernel="epanechnikov" is sparsemax,
    "polynomial" with alpha alpha-entmax, "gaussian" softmax. Keywords are those of `nadaraya.attend`, with its meanings.

    Parameters
    ----------
    query, key, value
        [..., Nq, D], [..., Nk, D], [..., Nk, Dv] with up to two dimensions before: [H, N, D], [B, H, N, D]. key and value
        may have fewer heads (grouped-query attention). float32 or float64 on the CPU, of any strides; rows that are
        contiguous are not copied.
    attn_mask
        Broadcasts to [B, H, Nq, Nk]. Boolean: True where a key is visible. Of query's dtype: added to the similarities;
        it is a constant and must not require a gradient.
    mask
        "none", "causal", "strictly-causal" or "window". Causal masks are aligned to the last query: key j is visible to
        query i iff j <= i + Nk - Nq (is_causal of PyTorch is aligned to the first).
    scale, alpha, bandwidth
        A number, one for each query head, or a tensor of that shape ([] or [H]), which is differentiable.
    key_lengths
        int64, [], [B] or [B, Nq]: only the first keys are visible.

    Returns
    -------
    [..., Nq, Dv]. A query that sees no key gets zeros.

    Raises ValueError or TypeError, naming the argument, if a shape, dtype, device, name or parameter does not fit.
    """
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        _check_device(name, tensor)
    if attn_mask is not None and attn_mask.requires_grad:
        raise ValueError("attn_mask is a constant and must not require a gradient; pass attn_mask.detach()")
    heads = query.shape[-3] if query.ndim > 2 else 1
    tensors = (query, key, value, attn_mask, key_lengths, _learned("scale", scale, heads),
               _learned("bandwidth", bandwidth, heads), _learned("alpha", alpha, heads))  # fmt: skip
    choice = (kernel, normalization, similarity, mask, window, neighbors, _floats(exponent), _floats(alpha),
              _floats(bandwidth), _floats(scale), _floats(mass), _floats(alibi))  # fmt: skip
    record = torch.is_grad_enabled() and any(one is not None and one.requires_grad for one in tensors)
    if _traced(*tensors):
        return _attention(*tensors, *choice, record)[0]
    return _EagerAttention.apply(choice, *tensors) if record else _forward(tensors, choice, False)[0]


def _learned(name: str, parameter: PerHead, heads: int) -> Optional[Tensor]:
    if not isinstance(parameter, Tensor):
        return None
    _check_device(name, parameter)
    if parameter.ndim > 1 or (parameter.ndim == 1 and parameter.shape[0] != heads):
        raise ValueError(f"{name} must be [] or [{heads}], a number for each query head, got {list(parameter.shape)}")
    return parameter


def _floats(numbers: PerHead) -> Floats:
    if numbers is None or isinstance(numbers, Tensor):
        return None
    return (float(numbers),) if isinstance(numbers, (int, float)) else tuple(float(one) for one in numbers)


class EntmaxAttention(nn.Module):
    """Multi-head attention with alpha-entmax weights and an alpha for each head, learned with the rest.

    As torch.nn.MultiheadAttention with batch_first, without its dropout: four projections and `attention` between. Heads
    that need one key become sparse and cheap, others stay broad (Correia, Niculae & Martins 2019). alpha lies in
    (1.001, 2.001): 1.001 + sigmoid(raw_alpha).

    Parameters
    ----------
    embed_dim
        Of input and output; num_heads must divide it.
    num_heads, num_key_heads
        Query heads, and key heads, which divide them; as many unless given.
    alpha
        To begin with, in (1.001, 2.001).
    bias
        Whether the projections have one.
    """

    def __init__(
        self, embed_dim: int, num_heads: int, num_key_heads: Optional[int] = None, *, alpha: float = 1.5, bias: bool = True
    ) -> None:
        super().__init__()
        key_heads = num_heads if num_key_heads is None else num_key_heads
        if num_heads < 1 or key_heads < 1 or embed_dim % num_heads or num_heads % key_heads:
            raise ValueError(
                "num_heads must divide embed_dim, and num_key_heads num_heads, "
                f"got {num_heads}, {embed_dim} and {key_heads}"
            )
        if not 1.001 < alpha < 2.001:
            raise ValueError(f"alpha must be in (1.001, 2.001), got {alpha}")
        self.head_dim = embed_dim // num_heads
        self.query = nn.Linear(embed_dim, embed_dim, bias)
        self.key = nn.Linear(embed_dim, key_heads * self.head_dim, bias)
        self.value = nn.Linear(embed_dim, key_heads * self.head_dim, bias)
        self.out = nn.Linear(embed_dim, embed_dim, bias)
        self.raw_alpha = nn.Parameter(torch.logit(torch.full((num_heads,), alpha - 1.001)))

    @property
    def alpha(self) -> Tensor:
        """[num_heads], differentiable."""
        return 1.001 + torch.sigmoid(self.raw_alpha)

    def forward(
        self,
        x: Tensor,
        context: Optional[Tensor] = None,
        *,
        mask: str = "none",
        attn_mask: Optional[Tensor] = None,
        key_lengths: Optional[Tensor] = None,
    ) -> Tensor:
        """x [B, N, embed_dim] attends to context [B, M, embed_dim], or to itself -> [B, N, embed_dim]."""
        context = x if context is None else context
        query, key, value = (
            project(of).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for project, of in ((self.query, x), (self.key, context), (self.value, context))
        )
        out = attention(
            query, key, value, attn_mask, kernel="polynomial", alpha=self.alpha, mask=mask, key_lengths=key_lengths
        )
        return self.out(out.transpose(1, 2).flatten(2))


def _rows(name: str, tensor: Tensor) -> Any:
    """The last dimension as the rows of a matrix."""
    array = _array(name, tensor)
    return array if array.ndim == 2 else array.reshape(tensor.shape[:-1].numel(), tensor.shape[-1])


@torch.library.custom_op("nadaraya::entmax", mutates_args=(), device_types="cpu")
def _entmax(x: Tensor, learned: Optional[Tensor], alpha: float) -> Tensor:
    value = alpha if learned is None else learned.item()
    return torch.from_numpy(_core.entmax(_rows("x", x), value, torch.get_num_threads())).view(x.shape)


@_entmax.register_fake
def _(x: Tensor, learned: Optional[Tensor], alpha: float) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.custom_op("nadaraya::entmax_backward", mutates_args=(), device_types="cpu")
def _entmax_backward(grad: Tensor, p: Tensor, x: Optional[Tensor], learned: Optional[Tensor], alpha: float) -> Tuple[Tensor, Tensor]:
    """Gradients by x, and by alpha, float64 []: 0 unless x is given."""
    value = alpha if learned is None else learned.item()
    rows = _rows("grad", grad)
    by_x = torch.from_numpy(_core.entmax_pullback(_rows("p", p), rows, value, torch.get_num_threads())).view(p.shape)
    by_alpha = 0.0 if x is None else _core.entmax_alpha_gradient(_rows("x", x), rows, value)
    return by_x, torch.tensor(by_alpha, dtype=torch.float64)


@_entmax_backward.register_fake
def _(grad: Tensor, p: Tensor, x: Optional[Tensor], learned: Optional[Tensor], alpha: float) -> Tuple[Tensor, Tensor]:
    return p.new_empty(p.shape), p.new_empty((), dtype=torch.float64)


def _entmax_setup(ctx: Any, inputs: Tuple[Any, ...], output: Tensor) -> None:
    x, learned, ctx.alpha = inputs
    ctx.save_for_backward(output, None if learned is None else x, learned)


def _entmax_gradient(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
    p, x, learned = ctx.saved_tensors
    by_x, by_alpha = _entmax_backward(grad, p, x, learned, ctx.alpha)
    return by_x, None if learned is None else by_alpha.to(learned.dtype), None


_entmax.register_autograd(_entmax_gradient, setup_context=_entmax_setup)


def entmax(x: Tensor, alpha: Union[float, Tensor] = 1.5, dim: int = -1) -> Tensor:
    """p_j = [(alpha - 1) x_j - tau]_+^(1 / (alpha - 1)) with sum p = 1 along a dimension, alpha >= 1.

    alpha = 1 is softmax, 1.5 entmax15 and 2 sparsemax of the package entmax; tau is exact. A tensor [] as alpha is
    differentiable. -inf marks a score that is not visible: its weight is 0. Source: Peters, Niculae & Martins 2019.
    """
    _check_device("x", x)
    learned = alpha if isinstance(alpha, Tensor) else None
    if learned is not None and learned.ndim:
        raise ValueError(f"alpha must be a number or a tensor [], got {list(learned.shape)}")
    if x.ndim == 0:
        raise ValueError("x must have at least one dimension, got []")
    moved = x if dim in (-1, x.ndim - 1) else x.movedim(dim, -1)
    p = _entmax(moved, learned, 0.0 if learned is not None else float(alpha))
    return p if moved is x else p.movedim(-1, dim)


def sparsemax(x: Tensor, dim: int = -1) -> Tensor:
    """p_j = [x_j - tau]_+ with sum p = 1 along a dimension: entmax at alpha = 2 (Martins & Astudillo 2016)."""
    return entmax(x, 2.0, dim)


@torch.library.custom_op("nadaraya::entmax_loss", mutates_args=(), device_types="cpu")
def _entmax_loss(scores: Tensor, target: Tensor, alpha: float) -> Tuple[Tensor, Tensor]:
    """Losses [N], and the gradient of their sum [N, C]."""
    targets = _array("target", target) if target.is_floating_point() else target.long().numpy()
    losses, gradient = _core.entmax_loss(_array("scores", scores), targets, alpha)
    return torch.from_numpy(losses), torch.from_numpy(gradient)


@_entmax_loss.register_fake
def _(scores: Tensor, target: Tensor, alpha: float) -> Tuple[Tensor, Tensor]:
    return scores.new_empty(scores.shape[:1]), scores.new_empty(scores.shape)


def _entmax_loss_setup(ctx: Any, inputs: Tuple[Any, ...], output: Tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(output[1])
    ctx.mark_non_differentiable(output[1])


@torch.library.custom_op("nadaraya::entmax_loss_backward", mutates_args=())
def _entmax_loss_backward(grad: Tensor, gradient: Tensor) -> Tensor:
    """An operator, so that a second derivative, which would miss what the gradient depends on, is refused."""
    return grad[:, None] * gradient


@_entmax_loss_backward.register_fake
def _(grad: Tensor, gradient: Tensor) -> Tensor:
    return gradient.new_empty(gradient.shape)


def _entmax_loss_gradient(ctx: Any, grad: Tensor, _: Any) -> Tuple[Optional[Tensor], ...]:
    return _entmax_loss_backward(grad, ctx.saved_tensors[0]), None, None


_entmax_loss.register_autograd(_entmax_loss_gradient, setup_context=_entmax_loss_setup)


def entmax_loss(
    scores: Tensor, target: Tensor, alpha: float = 1.5, *, reduction: str = "mean", ignore_index: int = -100
) -> Tensor:
    """The Fenchel-Young loss of entmax in the manner of torch.nn.functional.cross_entropy, which it is at alpha = 1.

    L = Omega(y) - Omega(p) + z.(p - y), p = entmax(z, alpha), with gradient p - y; exactly 0 once the target class leads
    by 1 / (alpha - 1). scores [..., C]; target: class indices [...], or distributions [..., C]. Rows with the class
    ignore_index have loss 0 and do not count in the mean. reduction: "mean", "sum" or "none" ([...]).
    Source: Blondel, Martins & Niculae 2020.
    """
    _check_device("scores", scores)
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'reduction must be "mean", "sum" or "none", got {reduction!r}')
    if target.requires_grad:
        raise ValueError("target is a constant and must not require a gradient; pass target.detach()")
    expected = scores.shape if target.is_floating_point() else scores.shape[:-1]
    if target.shape != expected or scores.ndim == 0:
        raise ValueError(
            f"target must be class indices {list(scores.shape[:-1])} or distributions {list(scores.shape)}, "
            f"got {list(target.shape)}"
        )
    rows = scores.reshape(expected.numel() if not target.is_floating_point() else scores.shape[:-1].numel(), scores.shape[-1])
    if target.is_floating_point():
        losses = _entmax_loss(rows, target.reshape(rows.shape), alpha)[0]
        counted = losses.new_tensor(losses.shape[0])
    else:
        classes = target.reshape(-1)
        kept = classes != ignore_index
        losses = torch.where(kept, _entmax_loss(rows, torch.where(kept, classes, 0), alpha)[0], 0)
        counted = kept.sum()
    if reduction == "none":
        return losses.view(scores.shape[:-1])
    return losses.sum() if reduction == "sum" else losses.sum() / counted
