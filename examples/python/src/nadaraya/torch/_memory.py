"""Tensors as the extension module reads them."""

from typing import Any

import torch
from torch import Tensor


def array(name: str, tensor: Tensor) -> Any:
    """The tensor's memory as an array of NumPy."""
    if tensor.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name} must be float32 or float64, got {tensor.dtype}")
    return tensor.detach().numpy()


def check_device(name: str, tensor: Tensor) -> None:
    if not (tensor.is_cpu or tensor.is_meta):
        raise ValueError(f"{name} must be on the CPU, got a tensor on {tensor.device}")
