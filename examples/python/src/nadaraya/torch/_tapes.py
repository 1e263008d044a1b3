"""A tape as a tensor, which is all that an operator of PyTorch may return."""

import atexit
import weakref
from typing import Any, List, Tuple

import numpy
import torch
from torch import Tensor

# (tape, where its operands are, the end of its byte), by the address of the byte.
_tapes: dict = {}

# Whatever refers to the extension module must go before it does.
atexit.register(_tapes.clear)


def remember(tape: Any, operands: Tuple[Tensor, ...]) -> Tensor:
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


def recall(handle: Tensor, operands: Tuple[Tensor, ...]) -> Any:
    """The tape, or None unless these are the operands that it refers to."""
    found = _tapes.get(handle.data_ptr())
    return found[0] if found is not None and found[1] == _places(operands) else None


def _places(operands: Tuple[Tensor, ...]) -> List[Any]:
    return [(one.data_ptr(), one.stride()) for one in operands]
