"""Attention of tensors."""

from typing import Optional, Sequence, Union

from torch import Tensor

from ._memory import check_device
from ._operator import Floats, attend

PerHead = Union[float, Sequence[float], Tensor, None]


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
    """scaled_dot_product_attention of torch.nn.functional with weights that may be exactly zero.

    out_i = sum_j p_ij value_j. The default is 1.5-entmax of scale query.key; kernel="epanechnikov" is sparsemax,
    "polynomial" with alpha alpha-entmax, "gaussian" softmax. Keywords are those of `nadaraya.attend`.

    Parameters
    ----------
    query, key, value
        [..., Nq, D], [..., Nk, D], [..., Nk, Dv] with up to two dimensions before: [H, N, D], [B, H, N, D]. key and
        value may have fewer heads (grouped-query attention). float32, float64, bfloat16 or float16, all alike, on the
        CPU, of any strides; rows that are contiguous are not copied. 16 bits are computed with in float32, of which
        they are copies where something requires a gradient.
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
    [..., Nq, Dv] of query's dtype. A query that sees no key gets zeros.

    Raises ValueError or TypeError, naming the argument, if a shape, dtype, device, name or parameter does not fit.
    """
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        check_device(name, tensor)
    if attn_mask is not None and attn_mask.requires_grad:
        raise ValueError("attn_mask is a constant and must not require a gradient; pass attn_mask.detach()")
    heads = query.shape[-3] if query.ndim > 2 else 1
    tensors = (query, key, value, attn_mask, key_lengths, _learned("scale", scale, heads),
               _learned("bandwidth", bandwidth, heads), _learned("alpha", alpha, heads))  # fmt: skip
    choice = (kernel, normalization, similarity, mask, window, neighbors, _floats(exponent), _floats(alpha),
              _floats(bandwidth), _floats(scale), _floats(mass), _floats(alibi))  # fmt: skip
    return attend(tensors, choice)


def _learned(name: str, parameter: PerHead, heads: int) -> Optional[Tensor]:
    if not isinstance(parameter, Tensor):
        return None
    check_device(name, parameter)
    if parameter.ndim > 1 or (parameter.ndim == 1 and parameter.shape[0] != heads):
        raise ValueError(f"{name} must be [] or [{heads}], a number for each query head, got {list(parameter.shape)}")
    return parameter


def _floats(numbers: PerHead) -> Floats:
    if numbers is None or isinstance(numbers, Tensor):
        return None
    return (float(numbers),) if isinstance(numbers, (int, float)) else tuple(float(one) for one in numbers)
