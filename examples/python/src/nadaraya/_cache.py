"""Cached keys and values, as a decoder keeps them from step to step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Union

import numpy

from . import _core
from ._attention import Operator, Options
from ._policies import Similarity
from ._sequences import Packed, _lists

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray
    from typing_extensions import Unpack


class KeyValueCache:
    """The keys and values of earlier tokens, to which those of new tokens are appended.

    cache = KeyValueCache(64, heads=2, batch=1)
    for ...:
        cache.append(key, value)                                 # [1, 2, n, 64] each, n new tokens
        out = cache.attend(query, kernel="biweight")             # [1, 8, n, 64], as attend on all keys so far

    Without `batch` the arrays are [Hk, n, D], without `heads` too [n, D]. A cache keeps its
    keys quantized too: a query reads those, and in full only the keys that may have weight.

    Parameters
    ----------
    key_dim, value_dim
        D and Dv; Dv = D unless given.
    heads, batch
        Key heads Hk and sequences B.
    similarity
        "dot", "cosine" or "euclidean", or its object: that of the operators that read the cache.
    dtype
        The stored numbers: float32, float64, "bfloat16" or float16. 16 bits take half the memory of float32; then
        arrays may be float32 too, and results are. For the cosine, keys are stored, and rounded, as unit rows.

    Calls that change a cache must not run in one thread while another attends. Copies are independent.
    """

    __slots__ = ("_core", "_rank", "_similarity")

    def __init__(
        self,
        key_dim: int,
        value_dim: Optional[int] = None,
        *,
        heads: Optional[int] = None,
        batch: Optional[int] = None,
        similarity: Union[str, Similarity] = "dot",
        dtype: DTypeLike = "float32",
    ) -> None:
        if batch is not None and heads is None:
            raise ValueError("a cache with a batch needs heads")
        # NumPy knows bfloat16 only while ml_dtypes is imported.
        kind = "bfloat16" if str(dtype) == "bfloat16" else numpy.dtype(dtype).name
        name = similarity if isinstance(similarity, str) else getattr(similarity, "_name", None)
        if not isinstance(name, str):
            raise TypeError(f"similarity must be a name or a nadaraya.Similarity, got {type(similarity).__name__}")
        self._rank = 2 + (heads is not None) + (batch is not None)
        self._similarity = name
        self._core = _core.KeyValueCache(
            self._rank,
            1 if batch is None else batch,
            1 if heads is None else heads,
            key_dim,
            key_dim if value_dim is None else value_dim,
            name,
            kind,
        )

    def append(
        self,
        key: Any,
        value: Any,
        *,
        sequence: Optional[int] = None,
        sequences: Union[Packed, ArrayLike, None] = None,
    ) -> None:
        """Appends copies of n keys and values to every sequence or, as [Hk, n, D] arrays, to one.

        With `sequences`, each takes its own tokens: Packed.padded(lengths) of [B, Hk, n, D], or offsets of B sequences
        in [1, Hk, n, D]. After any exception the cache is unchanged. Amortized O(D + Dv) for a token and head.
        """
        lists = _lists(sequences)
        if lists is None:
            self._core.append(key, value, sequence)
        elif sequence is not None:
            raise ValueError("give either sequence or sequences")
        else:
            self._core.append_sequences(key, value, lists)

    def attend(
        self,
        query: Any,
        *,
        sequences: Union[Packed, ArrayLike, None] = None,
        out: Any = None,
        threads: Optional[int] = None,
        **options: Unpack[Options],
    ) -> NDArray[Any]:
        """The regression of queries [..., Nq, D] on all cached keys. See `nadaraya.attend` for the keywords.

        The similarity is that of the cache. Masks align the last query with the last key of its sequence. With
        `sequences`, each has its own number of queries, as in `append`; their keys are those of the cache.
        """
        options.setdefault("similarity", self._similarity)
        return self.attend_with(Operator(**options), query, sequences=sequences, out=out, threads=threads)

    def attend_with(
        self,
        operator: Operator,
        query: Any,
        *,
        sequences: Union[Packed, ArrayLike, None] = None,
        out: Any = None,
        threads: Optional[int] = None,
    ) -> NDArray[Any]:
        """`attend` with an operator that is made once."""
        return operator._core.attend_cached(query, self._core, out, threads, _lists(sequences))

    def truncate(self, rows: int, *, sequence: Optional[int] = None) -> None:
        """Forgets all keys but the first `rows`, of every sequence or of one."""
        self._core.truncate(rows, sequence)

    def forget_oldest(self, count: int, *, sequence: Optional[int] = None) -> None:
        """Forgets the first `count` keys, of every sequence or of one, so that memory is bounded under a window."""
        self._core.forget_oldest(count, sequence)

    def reserve(self, rows: int) -> None:
        """Makes room for `rows` keys in every sequence: until there are more, append copies no earlier one."""
        self._core.reserve(rows)

    @property
    def lengths(self) -> list[int]:
        """How many keys each sequence holds; a list of one without a batch."""
        return self._core.lengths

    def __len__(self) -> int:
        """How many keys the longest sequence holds."""
        return max(self._core.lengths, default=0)

    def copy(self) -> KeyValueCache:
        """An independent cache with the same content."""
        other = object.__new__(KeyValueCache)
        other._rank, other._similarity, other._core = self._rank, self._similarity, self._core.copy()
        return other

    __copy__ = copy

    def __deepcopy__(self, _: Any) -> KeyValueCache:
        return self.copy()
