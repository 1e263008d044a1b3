"""Entmax of tensors and its loss, as custom operators."""

from typing import Any, Optional, Tuple, Union

import torch
from torch import Tensor

from .. import _core
from ._memory import array, check_device


def _rows(name: str, tensor: Tensor) -> Any:
    """The last dimension as the rows of a matrix."""
    of = array(name, tensor)
    return of if of.ndim == 2 else of.reshape(tensor.shape[:-1].numel(), tensor.shape[-1])


@torch.library.custom_op("nadaraya::entmax", mutates_args=(), device_types="cpu")
def _entmax(x: Tensor, learned: Optional[Tensor], alpha: float) -> Tensor:
    value = alpha if learned is None else learned.item()
    return torch.from_numpy(_core.entmax(_rows("x", x), value, torch.get_num_threads())).view(x.shape)


@_entmax.register_fake
def _(x: Tensor, learned: Optional[Tensor], alpha: float) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.custom_op("nadaraya::entmax_backward", mutates_args=(), device_types="cpu")
def _entmax_backward(
    grad: Tensor, p: Tensor, x: Optional[Tensor], learned: Optional[Tensor], alpha: float
) -> Tuple[Tensor, Tensor]:
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
    check_device("x", x)
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
    targets = array("target", target) if target.is_floating_point() else target.long().numpy()
    losses, gradient = _core.entmax_loss(array("scores", scores), targets, alpha)
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

    L = Omega(y) - Omega(p) + z.(p - y), p = entmax(z, alpha), with gradient p - y; exactly 0 once the target class
    leads by 1 / (alpha - 1). scores [..., C]; target: class indices [...], or distributions [..., C]. Rows with the
    class ignore_index have loss 0 and do not count in the mean. reduction: "mean", "sum" or "none" ([...]).
    Source: Blondel, Martins & Niculae 2020.
    """
    check_device("scores", scores)
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'reduction must be "mean", "sum" or "none", got {reduction!r}')
    if target.requires_grad:
        raise ValueError("target is a constant and must not require a gradient; pass target.detach()")
    distributions = target.is_floating_point()
    if scores.ndim == 0 or target.shape != (scores.shape if distributions else scores.shape[:-1]):
        raise ValueError(
            f"target must be class indices {list(scores.shape[:-1])} or distributions {list(scores.shape)}, "
            f"got {list(target.shape)}"
        )
    rows = scores.reshape(scores.shape[:-1].numel(), scores.shape[-1])
    if distributions:
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
