"""nadaraya for PyTorch: sparse attention and entmax of tensors, with gradients, also under torch.compile.

>>> import torch, nadaraya.torch
>>> q, k, v = (torch.randn(2, 8, 512, 64, requires_grad=True) for _ in range(3))
>>> nadaraya.torch.attention(q, k, v, mask="causal").sum().backward()

Tensors are float32 or float64 on the CPU. Everything is a custom operator (torch.ops.nadaraya.*) without side effects,
which torch.compile calls without a graph break. There are first derivatives only: a second one is an error, as are the
gradients of torch.func, which PyTorch has not for custom operators. Up to torch.get_num_threads() threads work.

Between forward and backward a tape keeps the support of each query. An operator can only return tensors, so the tape
belongs to the memory of a tensor of one byte, and is freed with what autograd saves: see nadaraya/torch/_tapes.py.
"""

from ._attention import attention
from ._entmax import entmax, entmax_loss, sparsemax
from ._module import EntmaxAttention

__all__ = ["EntmaxAttention", "attention", "entmax", "entmax_loss", "sparsemax"]
