"""Sequences of different lengths in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

from ._policies import _integers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from . import _core


class Packed:
    """Which tokens of a batch entry belong together: `sequences` of `attend`.

    Packed(offsets) is for sequences behind each other along the tokens, in every batch entry alike: sequence s has the
    tokens offsets[s] to offsets[s + 1] - 1 (cu_seqlens elsewhere). Offsets rise from 0 to the number of tokens. Queries
    and keys have the same unless the keys are given others.

    A sequence sees nothing else, and masks count from its own beginning and end.
    """

    __slots__ = ("_lists",)

    def __init__(self, offsets: ArrayLike, key_offsets: Optional[ArrayLike] = None) -> None:
        queries = _list("offsets", offsets)
        keys = queries if key_offsets is None else _list("key_offsets", key_offsets)
        self._lists: _core.Lists = (queries, keys, [], [])

    @classmethod
    def padded(cls, lengths: ArrayLike, key_lengths: Optional[ArrayLike] = None) -> Packed:
        """One sequence for each batch entry b: its first lengths[b] tokens. The rest is padding, whatever it holds.

        Outputs and gradients of padding are 0. Queries and keys have the same lengths unless the keys are given others.
        """
        queries = _list("lengths", lengths)
        return cls._of([], [], queries, queries if key_lengths is None else _list("key_lengths", key_lengths))

    @classmethod
    def padded_keys(cls, key_lengths: ArrayLike) -> Packed:
        """One sequence for each batch entry b: all its queries, and its first key_lengths[b] keys."""
        return cls._of([], [], [], _list("key_lengths", key_lengths))

    @classmethod
    def _of(cls, *lists: list[int]) -> Packed:
        packed = object.__new__(cls)
        packed._lists = lists  # type: ignore[assignment]
        return packed


def _list(name: str, numbers: ArrayLike) -> list[int]:
    array = _integers(name, numbers)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name} must be a list of integers, got the shape {list(array.shape)}")
    numbers_of: list[int] = array.tolist()
    return numbers_of


def _lists(sequences: Union[Packed, ArrayLike, None]) -> Optional[_core.Lists]:
    """What the compiled part takes."""
    if sequences is None:
        return None
    return (sequences if isinstance(sequences, Packed) else Packed(sequences))._lists
