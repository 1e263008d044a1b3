"""Attention and kernel regression of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional, TypedDict, Union

import numpy

from . import _core
from ._policies import Kernel, Mask, Normalization, PerHead, Policy, Similarity, _integers
from ._sequences import Packed, _lists

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Unpack


def _name(keyword: str, policy: Any, kind: type, parameters: dict[str, Any]) -> str:
    """The name of a policy; its parameters go to those that are given as keywords."""
    if not isinstance(policy, kind):
        raise TypeError(f"{keyword} must be a name or a nadaraya.{kind.__name__}, got {type(policy).__name__}")
    assert isinstance(policy, Policy)
    for name, value in policy._parameters().items():
        if parameters.get(name) is not None:
            raise ValueError(f"{name} is given twice: as a keyword and by {keyword} {policy}")
        parameters[name] = value
    return policy._name


def _mask_parts(mask: Any, window: Any, key_lengths: Any, bias: Any, alibi: Any) -> list[tuple[str, Any]]:
    parts: list[tuple[str, Any]] = []
    if isinstance(mask, str):
        if mask != "none" or window is not None:
            parts.append((mask, window))
    elif mask is not None:
        if window is not None:
            raise ValueError("window goes with mask window only")
        parts.extend(mask._parts() if isinstance(mask, Mask) else [("boolean", mask)])
    if key_lengths is not None:
        parts.append(("key_lengths", _integers("key_lengths", key_lengths)))
    if bias is not None:
        parts.append(("bias", bias))
    if alibi is not None:
        parts.append(("alibi", alibi))
    return parts


class Gradients(NamedTuple):
    """dL by the inputs, each of its input's shape, and by the parameters of the operator, summed over the batch.

    A parameter that was given as one number has one number here, one that was given for each query head an array [H].
    None: the operator has no such parameter.
    """

    query: NDArray[Any]
    key: NDArray[Any]
    value: NDArray[Any]
    scale: Any
    bandwidth: Any
    alpha: Any
    ridge: Any


class Tape:
    """What `forward` hands to `backward`. It keeps the inputs alive; leave them unchanged until then."""

    __slots__ = ("_core", "_parameters")

    def __init__(self, core: _core.Tape, parameters: tuple[Optional[bool], ...]) -> None:
        self._core = core
        self._parameters = parameters  # scale, bandwidth, alpha, ridge: None if there is none, True if each head has one

    def backward(self, grad_output: Any, *, threads: Optional[int] = None) -> Gradients:
        """The gradients of L, given grad_output = dL/dout of the shape of the output."""
        query, key, value, *sums = self._core.backward(grad_output, threads)
        own = [
            None if each is None else array if each else float(array.sum())
            for each, array in zip(self._parameters, sums, strict=True)
        ]
        return Gradients(query, key, value, *own)

    @property
    def mean_support(self) -> float:
        """How many keys have weight, mean over the queries; 0 without queries."""
        return self._core.mean_support

    @property
    def empty_rows(self) -> int:
        """Queries to which no key has weight. Their output is zero."""
        return self._core.empty_rows

    @property
    def support_sizes(self) -> NDArray[numpy.int64]:
        """How many keys have weight for each query, of the shape of query without its last dimension."""
        return self._core.support_sizes


class Operator:
    """Kernel regression with a kernel, a normalization, a similarity, a mask and a mix: see `attend` for the keywords.

    op(query, key, value) is attend(query, key, value, ...) with the choice made once.
    """

    __slots__ = ("_core", "_parameters")

    def __init__(
        self,
        kernel: Union[str, Kernel] = "biweight",
        normalization: Union[str, Normalization] = "adaptive",
        similarity: Union[str, Similarity] = "dot",
        mask: Union[str, Mask, ArrayLike, None] = "none",
        *,
        exponent: Optional[PerHead] = None,
        alpha: Optional[PerHead] = None,
        bandwidth: Optional[PerHead] = None,
        neighbors: Optional[int] = None,
        scale: Optional[PerHead] = None,
        mass: Optional[PerHead] = None,
        window: Optional[int] = None,
        key_lengths: Optional[ArrayLike] = None,
        bias: Any = None,
        alibi: Optional[PerHead] = None,
        mix: str = "constant",
        ridge: Optional[PerHead] = None,
    ) -> None:
        if not isinstance(mix, str):
            raise TypeError(f"mix must be a name, got {type(mix).__name__}")
        if not (type(kernel) is type(normalization) is type(similarity) is str):
            given: dict[str, Any] = dict(
                exponent=exponent, alpha=alpha, bandwidth=bandwidth, neighbors=neighbors, scale=scale, mass=mass
            )
            if not isinstance(kernel, str):
                kernel = _name("kernel", kernel, Kernel, given)
            if not isinstance(normalization, str):
                normalization = _name("normalization", normalization, Normalization, given)
            if not isinstance(similarity, str):
                similarity = _name("similarity", similarity, Similarity, given)
            exponent, alpha, bandwidth, neighbors, scale, mass = given.values()
        masks = _mask_parts(mask, window, key_lengths, bias, alibi)
        self._core = _core.Operator(
            kernel, normalization, similarity, masks, exponent, alpha, bandwidth, neighbors, scale, mass, mix, ridge
        )

    def __call__(
        self,
        query: Any,
        key: Any,
        value: Any,
        *,
        sequences: Union[Packed, ArrayLike, None] = None,
        out: Any = None,
        threads: Optional[int] = None,
    ) -> NDArray[Any]:
        """The regression alone. See `attend`."""
        return self._core(query, key, value, out, threads, _lists(sequences))

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        *,
        sequences: Union[Packed, ArrayLike, None] = None,
        out: Any = None,
        threads: Optional[int] = None,
    ) -> tuple[NDArray[Any], Tape]:
        """The regression and a record for backward. See `forward`."""
        out, tape = self._core.forward(query, key, value, out, threads, _lists(sequences))
        return out, Tape(tape, self._core.parameters)

    def weights(self, query: Any, key: Any, *, threads: Optional[int] = None) -> Any:
        """The weights as sparse matrices. See `weights`."""
        from scipy.sparse import csr_array

        heads = self._core.weights(query, key, threads)
        shape = (query.shape[-2], key.shape[-2])
        return _nested([csr_array(parts, shape=shape) for parts in heads], tuple(query.shape[:-2]))


def _nested(items: list[Any], shape: tuple[int, ...]) -> Any:
    """Items as lists in lists of a shape."""
    if not shape:
        return items[0]
    size = len(items) // shape[0] if shape[0] else 0
    return [_nested(items[i * size : (i + 1) * size], shape[1:]) for i in range(shape[0])]


class Options(TypedDict, total=False):
    """The keywords of an operator, those of `Operator`, for annotations."""

    kernel: Union[str, Kernel]
    normalization: Union[str, Normalization]
    similarity: Union[str, Similarity]
    mask: Union[str, Mask, ArrayLike, None]
    exponent: Optional[PerHead]
    alpha: Optional[PerHead]
    bandwidth: Optional[PerHead]
    neighbors: Optional[int]
    scale: Optional[PerHead]
    mass: Optional[PerHead]
    window: Optional[int]
    key_lengths: Optional[ArrayLike]
    bias: Any
    alibi: Optional[PerHead]
    mix: str
    ridge: Optional[PerHead]


def attend(
    query: Any,
    key: Any,
    value: Any,
    *,
    sequences: Union[Packed, ArrayLike, None] = None,
    out: Any = None,
    threads: Optional[int] = None,
    **options: Unpack[Options],
) -> NDArray[Any]:
    """Attention as kernel regression: out_i = sum_j p_ij value_j, exact, with weights p that may be zero.

    p_ij = kernel(t_ij) / sum of the row, where t_ij = 1 - u^2 falls with the distance u of query i and key j in
    bandwidths, and the normalization chooses the bandwidth. biweight with adaptive normalization is 1.5-entmax,
    epanechnikov sparsemax, gaussian softmax.

    Parameters
    ----------
    query, key, value
        [Nq, D], [Nk, D], [Nk, Dv], or with heads [H, ., .], or with a batch [B, H, ., .]; key and value may have fewer
        heads Hk, which divides H: query head h reads key head floor(h Hk / H). float32, float64, bfloat16 or float16,
        all alike, on the CPU: NumPy arrays (bfloat16 is that of ml_dtypes), or anything with DLPack or a buffer. Rows
        that are contiguous are not copied. 16 bits are computed with in float32, the dtype of the result.
    kernel: default "biweight"
        "epanechnikov", "biweight", "triweight", "polynomial" (with `exponent` r > 0 or `alpha` = 1 + 1/r > 1),
        "gaussian" or "uniform", or an object such as RectifiedPower(alpha=1.3).
    normalization: default "adaptive"
        "adaptive", "fixed" or "anchored" (with `bandwidth`), "unnormalized" (with `bandwidth`, `mass`), "nearest" (with
        `neighbors`), or an object such as FixedBandwidth(0.5). fixed, unnormalized, and nearest with a compact kernel
        need a similarity that is a distance.
    similarity: default "dot"
        "dot" (z = scale q.k, scale 1/sqrt(D) unless given), "cosine" (z = scale (cos - 1)) or "euclidean"
        (z = -scale |q - k|^2), or an object. A bandwidth is in the units of sqrt(scale) |q - k|.
    mask: default "none"
        "none", "causal" (key j is visible to query i iff j <= i + Nk - Nq), "strictly-causal" (<), "window" (the last
        `window` keys of those), a boolean array (True: visible) that broadcasts to [B, H, Nq, Nk], or an object;
        `a & b` combines two.
    mix: default "constant"
        The fit to the values around a query whose value there is the output: "constant" (their weighted mean),
        "linear" (Local Linear Attention), "quadratic" or "cubic"; the last two take D of at most 3. `ridge` > 0, a
        squared distance, default 1e-6, keeps slopes finite where keys do not determine them.
    exponent, alpha, bandwidth, scale, mass, ridge
        Parameters of the policies above: one number, or one for each query head.
    key_lengths
        Only the first keys are visible: one number, [B], or [B, Nq].
    bias
        Added to the similarities; an array of query's dtype that broadcasts to [B, H, Nq, Nk]. -inf hides a pair.
    alibi
        Slope of a linear bias -slope |i + Nk - Nq - j|: one number, or one for each query head.
    sequences
        Keeps sequences of different lengths apart: a `Packed`, or the offsets of sequences behind each other along the
        tokens, from 0 to N. Masks are those of a sequence; a mask that is an array does not go with it.
    out
        Where to write; a new array unless given.
    threads
        The number of threads; all cores unless given. The result does not depend on it.

    Returns
    -------
    An array of NumPy of the shape of query with Dv columns, or `out`. A query that sees no key, or to which none has
    weight, gets zeros.

    Raises
    ------
    ValueError
        A name, parameter or shape does not fit; the message names it. Nothing is written.
    TypeError
        An argument is no array on the CPU, or has another dtype.
    """
    return Operator(**options)(query, key, value, sequences=sequences, out=out, threads=threads)


def forward(
    query: Any,
    key: Any,
    value: Any,
    *,
    sequences: Union[Packed, ArrayLike, None] = None,
    out: Any = None,
    threads: Optional[int] = None,
    **options: Unpack[Options],
) -> tuple[NDArray[Any], Tape]:
    """`attend`, and a tape for `backward`: (out, tape).

    The tape holds the keys that have weight for each query, and nothing of size Nq x Nk where those are few. It refers
    to query, key and value: leave them unchanged until backward. Of bfloat16 and float16 it holds float32 copies; the
    output, grad_output and the gradients are float32 then.
    """
    return Operator(**options).forward(query, key, value, sequences=sequences, out=out, threads=threads)


def backward(tape: Tape, grad_output: Any, *, threads: Optional[int] = None) -> Gradients:
    """The gradients of a loss L by query, key, value and the parameters, given grad_output = dL/dout.

    Raises ValueError or TypeError if grad_output has not the shape and dtype of the output.
    """
    return tape.backward(grad_output, threads=threads)


def weights(query: Any, key: Any, *, threads: Optional[int] = None, **options: Unpack[Options]) -> Any:
    """The weights p [Nq, Nk] that `attend` gives the values, as scipy.sparse.csr_array.

    [Nq, D] gives one matrix, [H, Nq, D] a list of H, [B, H, Nq, D] a list of B such lists. Needs SciPy.
    """
    return Operator(**options).weights(query, key, threads=threads)
