"""Exact sparse attention and kernel regression on the CPU.

>>> import numpy, nadaraya
>>> q, k, v = (numpy.random.randn(4, 512, 64).astype("float32") for _ in range(3))
>>> nadaraya.attend(q, k, v, kernel="biweight", mask="causal").shape
(4, 512, 64)
"""

from typing import TYPE_CHECKING, Any

from . import _core
from ._attention import Gradients, Operator, Options, Tape, attend, backward, forward, weights
from ._cache import KeyValueCache
from ._policies import (
    Adaptive,
    AdditiveBias,
    Alibi,
    Anchored,
    Biweight,
    BooleanMask,
    Causal,
    Cosine,
    DotProduct,
    Epanechnikov,
    FixedBandwidth,
    Gaussian,
    KeyLengths,
    NearestNeighbors,
    NoMask,
    RectifiedPower,
    SlidingWindow,
    SquaredDistance,
    StrictlyCausal,
    Triweight,
    Uniform,
    Unnormalized,
)
from ._rows import (
    Loss,
    entmax,
    entmax_alpha_gradient,
    entmax_loss,
    entmax_pullback,
    softmax,
    softmax_loss,
    softmax_pullback,
    sparsemax,
    sparsemax_loss,
    sparsemax_pullback,
)
from ._sequences import Packed

if TYPE_CHECKING:
    from .regression import KernelClassifier as KernelClassifier
    from .regression import KernelRegressor as KernelRegressor

__all__ = [
    "Adaptive",
    "AdditiveBias",
    "Alibi",
    "Anchored",
    "Biweight",
    "BooleanMask",
    "Causal",
    "Cosine",
    "DotProduct",
    "Epanechnikov",
    "FixedBandwidth",
    "Gaussian",
    "Gradients",
    "KeyLengths",
    "KeyValueCache",
    "Loss",
    "NearestNeighbors",
    "NoMask",
    "Operator",
    "Options",
    "Packed",
    "RectifiedPower",
    "SlidingWindow",
    "SquaredDistance",
    "StrictlyCausal",
    "Tape",
    "Triweight",
    "Uniform",
    "Unnormalized",
    "attend",
    "backward",
    "entmax",
    "entmax_alpha_gradient",
    "entmax_loss",
    "entmax_pullback",
    "forward",
    "softmax",
    "softmax_loss",
    "softmax_pullback",
    "sparsemax",
    "sparsemax_loss",
    "sparsemax_pullback",
    "weights",
]

__version__ = ".".join(map(str, _core.version))

_ESTIMATORS = ("KernelClassifier", "KernelRegressor")


def __getattr__(name: str) -> Any:
    """The estimators need scikit-learn, which is imported with the first of them."""
    if name in _ESTIMATORS:
        from . import regression

        return getattr(regression, name)
    raise AttributeError(f"module nadaraya has no attribute {name}")


def __dir__() -> list[str]:
    return [*__all__, *_ESTIMATORS, "__version__"]
