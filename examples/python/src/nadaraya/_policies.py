"""Parameter objects: what a keyword and its parameters say, in one value."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Optional, Sequence, Union

from numpy.typing import ArrayLike

PerHead = Union[float, Sequence[float], "ArrayLike"]
"""A number for all query heads, or a sequence with one for each."""


class Policy:
    """A named choice; its fields are keywords of `attend`."""

    _name: ClassVar[str]

    def _parameters(self) -> dict[str, Any]:
        values = {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]
        return {name: value for name, value in values.items() if value is not None}


class Kernel(Policy):
    """How much a key counts, by its distance u in bandwidths: a profile of t = 1 - u^2."""


class Normalization(Policy):
    """How wide the kernel is for a query, and what its weights are divided by."""


class Similarity(Policy):
    """What compares a query with a key: z."""


@dataclass(frozen=True)
class Uniform(Kernel):
    """[u < 1]. Not with Adaptive."""

    _name = "uniform"


@dataclass(frozen=True)
class Epanechnikov(Kernel):
    """[1 - u^2]_+: sparsemax when normalized adaptively."""

    _name = "epanechnikov"


@dataclass(frozen=True)
class Biweight(Kernel):
    """[1 - u^2]_+^2: 1.5-entmax when normalized adaptively."""

    _name = "biweight"


@dataclass(frozen=True)
class Triweight(Kernel):
    """[1 - u^2]_+^3: 4/3-entmax when normalized adaptively."""

    _name = "triweight"


@dataclass(frozen=True)
class Gaussian(Kernel):
    """exp(-u^2 / 2): softmax when normalized adaptively."""

    _name = "gaussian"


@dataclass(frozen=True)
class RectifiedPower(Kernel):
    """[1 - u^2]_+^exponent, exponent > 0, or by alpha = 1 + 1 / exponent > 1: alpha-entmax when normalized adaptively.

    Give one of the two, a number or one for each query head.
    """

    exponent: Optional[PerHead] = None
    alpha: Optional[PerHead] = None
    _name = "polynomial"


@dataclass(frozen=True)
class Adaptive(Normalization):
    """The bandwidth at which the weights of a query sum to one: softmax, sparsemax, alpha-entmax."""

    _name = "adaptive"


@dataclass(frozen=True)
class FixedBandwidth(Normalization):
    """t = 1 - d^2 / bandwidth^2, weights divided by their sum. Needs the similarity cosine or euclidean."""

    bandwidth: PerHead
    _name = "fixed"


@dataclass(frozen=True)
class Unnormalized(Normalization):
    """As FixedBandwidth, with weights divided by `mass` (default 1) in place of their sum."""

    bandwidth: PerHead
    mass: Optional[PerHead] = None
    _name = "unnormalized"


@dataclass(frozen=True)
class Anchored(Normalization):
    """t = 1 + (z - max z) / bandwidth^2, weights divided by their sum: ReLUmax with Epanechnikov."""

    bandwidth: PerHead
    _name = "anchored"


@dataclass(frozen=True)
class NearestNeighbors(Normalization):
    """Only the `neighbors` keys of largest similarity: top-k softmax with Gaussian, top-k attention with Uniform."""

    neighbors: int
    _name = "nearest"


@dataclass(frozen=True)
class DotProduct(Similarity):
    """z = scale q.k, scale 1 / sqrt(D) unless given."""

    scale: Optional[PerHead] = None
    _name = "dot"


@dataclass(frozen=True)
class Cosine(Similarity):
    """z = scale (cos(q, k) - 1), scale 1 unless given. Its distance is the chord between the unit rows."""

    scale: Optional[PerHead] = None
    _name = "cosine"


@dataclass(frozen=True)
class SquaredDistance(Similarity):
    """z = -scale |q - k|^2, scale 1 unless given."""

    scale: Optional[PerHead] = None
    _name = "euclidean"


class Mask:
    """Which keys exist for a query, and a bias on their similarity. `a & b`: both."""

    def _parts(self) -> list[tuple[str, Any]]:
        raise NotImplementedError

    def __and__(self, other: "Mask") -> "Mask":
        if not isinstance(other, Mask):
            return NotImplemented
        return _Both(self, other)


@dataclass(frozen=True, eq=False)
class _Both(Mask):
    first: Mask
    second: Mask

    def _parts(self) -> list[tuple[str, Any]]:
        return self.first._parts() + self.second._parts()


@dataclass(frozen=True)
class NoMask(Mask):
    """Every key is visible."""

    def _parts(self) -> list[tuple[str, Any]]:
        return []


@dataclass(frozen=True)
class Causal(Mask):
    """Key j is visible to query i iff j <= i + (Nk - Nq): the last query sees every key."""

    def _parts(self) -> list[tuple[str, Any]]:
        return [("causal", None)]


@dataclass(frozen=True)
class StrictlyCausal(Mask):
    """Key j is visible to query i iff j < i + (Nk - Nq)."""

    def _parts(self) -> list[tuple[str, Any]]:
        return [("strictly-causal", None)]


@dataclass(frozen=True)
class SlidingWindow(Mask):
    """The last `window` keys up to the query's own: i + (Nk - Nq) - window < j <= i + (Nk - Nq)."""

    window: int

    def _parts(self) -> list[tuple[str, Any]]:
        return [("window", self.window)]


@dataclass(frozen=True, eq=False)
class KeyLengths(Mask):
    """Keys [0, length) are visible. One length, [B] for the entries of the batch, or [B, Nq] for each query."""

    lengths: ArrayLike

    def _parts(self) -> list[tuple[str, Any]]:
        return [("key_lengths", _integers("key_lengths", self.lengths))]


@dataclass(frozen=True, eq=False)
class BooleanMask(Mask):
    """Key j is visible to query i iff visible[..., i, j]; broadcasts to [B, H, Nq, Nk]."""

    visible: Any

    def _parts(self) -> list[tuple[str, Any]]:
        return [("boolean", self.visible)]


@dataclass(frozen=True, eq=False)
class AdditiveBias(Mask):
    """z + bias[..., i, j]; broadcasts to [B, H, Nq, Nk]. -inf hides a pair. A constant: it gets no gradient."""

    bias: Any

    def _parts(self) -> list[tuple[str, Any]]:
        return [("bias", self.bias)]


@dataclass(frozen=True, eq=False)
class Alibi(Mask):
    """z - slope |i + (Nk - Nq) - j|, one slope or one for each query head. Usually `Causal() & Alibi(...)`."""

    slope: PerHead

    def _parts(self) -> list[tuple[str, Any]]:
        return [("alibi", self.slope)]


def _integers(name: str, values: ArrayLike) -> Any:
    import numpy

    array = numpy.asarray(values)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {array.dtype}")
    return numpy.ascontiguousarray(array, dtype=numpy.int64).reshape(array.shape)
