"""A layer of attention."""

from typing import Optional

import torch
from torch import Tensor, nn

from ._attention import attention


class EntmaxAttention(nn.Module):
    """Multi-head attention with alpha-entmax weights and an alpha for each head, learned with the rest.

    As torch.nn.MultiheadAttention with batch_first, without its dropout: four projections and `attention` between.
    Heads that need one key become sparse and cheap, others stay broad (Correia, Niculae & Martins 2019). alpha lies in
    (1.001, 2.001): 1.001 + sigmoid(raw_alpha).

    Parameters
    ----------
    embed_dim
        Of input and output; num_heads must divide it.
    num_heads, num_key_heads
        Query heads, and key heads, which divide them; as many unless given.
    alpha
        To begin with, in (1.001, 2.001).
    bias
        Whether the projections have one.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        num_key_heads: Optional[int] = None,
        *,
        alpha: float = 1.5,
        bias: bool = True,
    ) -> None:
        super().__init__()
        key_heads = num_heads if num_key_heads is None else num_key_heads
        if num_heads < 1 or key_heads < 1 or embed_dim % num_heads or num_heads % key_heads:
            raise ValueError(
                "num_heads must divide embed_dim, and num_key_heads num_heads, "
                f"got {num_heads}, {embed_dim} and {key_heads}"
            )
        if not 1.001 < alpha < 2.001:
            raise ValueError(f"alpha must be in (1.001, 2.001), got {alpha}")
        self.head_dim = embed_dim // num_heads
        self.query = nn.Linear(embed_dim, embed_dim, bias)
        self.key = nn.Linear(embed_dim, key_heads * self.head_dim, bias)
        self.value = nn.Linear(embed_dim, key_heads * self.head_dim, bias)
        self.out = nn.Linear(embed_dim, embed_dim, bias)
        self.raw_alpha = nn.Parameter(torch.logit(torch.full((num_heads,), alpha - 1.001)))

    @property
    def alpha(self) -> Tensor:
        """[num_heads], differentiable."""
        return 1.001 + torch.sigmoid(self.raw_alpha)

    def forward(
        self,
        x: Tensor,
        context: Optional[Tensor] = None,
        *,
        mask: str = "none",
        attn_mask: Optional[Tensor] = None,
        key_lengths: Optional[Tensor] = None,
    ) -> Tensor:
        """x [B, N, embed_dim] attends to context [B, M, embed_dim], or to itself -> [B, N, embed_dim]."""
        context = x if context is None else context
        query, key, value = (
            project(of).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for project, of in ((self.query, x), (self.key, context), (self.value, context))
        )
        out = attention(
            query, key, value, attn_mask, kernel="polynomial", alpha=self.alpha, mask=mask, key_lengths=key_lengths
        )
        return self.out(out.transpose(1, 2).flatten(2))
