"""The custom operators nadaraya::attention and nadaraya::attention_backward."""

import atexit
import functools
from typing import Any, List, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from .. import _core
from ._memory import STORED, array, in_float, stored_array
from ._tapes import recall, remember

Floats = Optional[Sequence[float]]


@functools.lru_cache(maxsize=256)
def _operator_of(choice: Tuple[Any, ...]) -> Any:
    return _new_operator(choice, None, None, None, None, None)


atexit.register(_operator_of.cache_clear)  # while the extension module is there


def _new_operator(
    choice: Tuple[Any, ...], attn_mask: Optional[Tensor], key_lengths: Optional[Tensor], scale: Optional[Tensor],
    bandwidth: Optional[Tensor], alpha: Optional[Tensor],
) -> Any:  # fmt: skip
    kernel, normalization, similarity, mask, window, neighbors, *numbers = choice
    exponent, alphas, bandwidths, scales, mass, alibi = numbers

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
        masks.append(("boolean" if attn_mask.dtype == torch.bool else "bias", in_float(attn_mask.detach()).numpy()))
    return _core.Operator(
        kernel, normalization, similarity, masks, number(exponent), number(alphas, alpha),
        number(bandwidths, bandwidth), neighbors, number(scales, scale), number(mass), "constant", None,
    )  # fmt: skip


def _operands(tensors: Sequence[Any], choice: Tuple[Any, ...]) -> Tuple[Any, ...]:
    """The operator, and query, key and value as arrays. tensors: the first eight of _attention."""
    query, key, value, *own = tensors
    plain = own[0] is own[1] is own[2] is own[3] is own[4] is None
    operator = _operator_of(choice) if plain else _new_operator(choice, *own)
    return operator, stored_array(query), stored_array(key), stored_array(value)


def _forward(tensors: Tuple[Any, ...], choice: Tuple[Any, ...], record: bool) -> Tuple[Tensor, Tensor]:
    operator, *arrays = _operands(tensors, choice)
    if not record:
        out = torch.from_numpy(operator(*arrays, None, torch.get_num_threads()))
        return out.to(tensors[0].dtype), torch.empty(0, dtype=torch.uint8)
    out, tape = operator.forward(*arrays, None, torch.get_num_threads())
    return torch.from_numpy(out), remember(tape, tensors[:3])


def _backward(grad_out: Tensor, handle: Tensor, tensors: Sequence[Any], choice: Tuple[Any, ...]) -> Tuple[Tensor, ...]:
    tape = recall(handle, tensors[:3])
    if tape is None:
        operator, *arrays = _operands(tensors, choice)
        tape = operator.forward(*arrays, None, torch.get_num_threads())[1]
    gradients = tape.backward(array("grad_out", grad_out), torch.get_num_threads())
    return tuple(map(torch.from_numpy, gradients[:6]))  # the last is by the ridge, which the mix constant does not have


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
    """Gradients by query, key, value, and by scale, bandwidth and alpha: float64 [H], 0 where there is none."""
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
    """The operator for calls that nothing traces: PyTorch's work for a custom operator exceeds that of a small call."""

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


def attend(tensors: Tuple[Any, ...], choice: Tuple[Any, ...]) -> Tensor:
    """tensors: the first eight arguments of _attention; choice: the others but the last."""
    record = torch.is_grad_enabled() and any(one is not None and one.requires_grad for one in tensors)
    if record and tensors[0].dtype in STORED:
        return attend(tuple(map(in_float, tensors)), choice).to(tensors[0].dtype)
    if _traced(*tensors):
        return _attention(*tensors, *choice, record)[0]
    return _EagerAttention.apply(choice, *tensors) if record else _forward(tensors, choice, False)[0]
