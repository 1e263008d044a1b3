"""The compiled part of nadaraya. Its interface may change; use the functions of the package."""

from typing import Any, Optional

from numpy.typing import NDArray

version: tuple[int, int, int]

# Offsets of queries and keys, lengths of queries and keys.
Lists = tuple[list[int], list[int], list[int], list[int]]

class KeyValueCache:
    def __init__(
        self, rank: int, batch: int, heads: int, key_dim: int, value_dim: int, similarity: str, dtype: str, /
    ) -> None: ...
    def append(self, key: Any, value: Any, sequence: Optional[int] = None) -> None: ...
    def append_sequences(self, key: Any, value: Any, sequences: Lists) -> None: ...
    def forget_oldest(self, count: int, sequence: Optional[int] = None) -> None: ...
    def truncate(self, rows: int, sequence: Optional[int] = None) -> None: ...
    def reserve(self, rows: int) -> None: ...
    def copy(self) -> KeyValueCache: ...
    @property
    def lengths(self) -> list[int]: ...

class Tape:
    def backward(self, grad_output: Any, threads: Optional[int] = None) -> tuple[NDArray[Any], ...]: ...
    @property
    def mean_support(self) -> float: ...
    @property
    def empty_rows(self) -> int: ...
    @property
    def support_sizes(self) -> NDArray[Any]: ...

class Operator:
    def __init__(
        self,
        kernel: str,
        normalization: str,
        similarity: str,
        masks: list[tuple[str, Any]],
        exponent: Any,
        alpha: Any,
        bandwidth: Any,
        neighbors: Optional[int],
        scale: Any,
        mass: Any,
        mix: str,
        ridge: Any,
    ) -> None: ...
    def __call__(
        self,
        query: Any,
        key: Any,
        value: Any,
        out: Any = None,
        threads: Optional[int] = None,
        sequences: Optional[Lists] = None,
    ) -> NDArray[Any]: ...
    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        out: Any = None,
        threads: Optional[int] = None,
        sequences: Optional[Lists] = None,
    ) -> tuple[NDArray[Any], Tape]: ...
    def attend_cached(
        self,
        query: Any,
        cache: KeyValueCache,
        out: Any = None,
        threads: Optional[int] = None,
        sequences: Optional[Lists] = None,
    ) -> NDArray[Any]: ...
    def weights(
        self, query: Any, key: Any, threads: Optional[int] = None
    ) -> list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]: ...
    @property
    def parameters(self) -> tuple[Optional[bool], Optional[bool], Optional[bool]]: ...

def entmax(x: Any, alpha: float, threads: Optional[int] = None) -> NDArray[Any]: ...
def entmax_pullback(p: Any, grad: Any, alpha: float, threads: Optional[int] = None) -> NDArray[Any]: ...
def entmax_alpha_gradient(x: Any, grad: Any, alpha: float) -> float: ...
def entmax_loss(scores: Any, targets: Any, alpha: float) -> tuple[NDArray[Any], NDArray[Any]]: ...

class Regression:
    def __init__(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        kernel: str,
        exponent: Optional[float],
        alpha: Optional[float],
        criterion: str,
        bandwidths: list[float],
        neighbors: list[int],
        degree: int,
        ridge: float,
        unordered: list[int],
        ordered: list[int],
        weights: list[float],
        threads: Optional[int] = None,
    ) -> None: ...
    @property
    def scales(self) -> NDArray[Any]: ...
    @property
    def neighbors(self) -> int: ...
    def criterion(self, name: str, threads: Optional[int] = None) -> float: ...
    def predict(self, queries: NDArray[Any], threads: Optional[int] = None) -> tuple[NDArray[Any], NDArray[Any]]: ...
    def intervals(
        self, queries: NDArray[Any], level: float, threads: Optional[int] = None
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]: ...
    def bands(
        self, queries: NDArray[Any], level: float, threads: Optional[int] = None
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]: ...
    def slopes(
        self, queries: NDArray[Any], threads: Optional[int] = None
    ) -> tuple[list[NDArray[Any]], list[NDArray[Any]], NDArray[Any]]: ...
    def diagnose(self, threads: Optional[int] = None) -> tuple[Any, ...]: ...
