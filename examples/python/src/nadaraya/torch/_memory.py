"""Tensors as the extension module reads them."""

from typing import Any

import torch
from torch import Tensor


def array(name: str, tensor: Tensor) -> Any:
    """The tensor's memory as an array of NumPy."""
    if tensor.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name} must be float32 or float64, got {tensor.dtype}")
    return tensor.detach().numpy()


STORED = (torch.bfloat16, torch.float16)
"""Types of 16 bits, with which is computed in float32."""


def stored_array(tensor: Tensor) -> Any:
    """The tensor's memory for functions that read 16 bits too, and check the dtype."""
    return tensor.detach().numpy() if tensor.dtype in (torch.float32, torch.float64) else tensor.detach()


def in_float(tensor: Any) -> Any:
    """A copy in float32 of a tensor that is stored in 16 bits; anything else as it is."""
    return tensor.float() if isinstance(tensor, Tensor) and tensor.dtype in STORED else tensor


def check_device(name: str, tensor: Tensor) -> None:
    if not (tensor.is_cpu or tensor.is_meta):
        raise ValueError(f"{name} must be on the CPU, got a tensor on {tensor.device}")
