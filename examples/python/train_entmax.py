"""Trains a model with EntmaxAttention, then the same with the package entmax: python train_entmax.py [steps] [tokens]

Each token of a memory carries a random code and a class; a query has a code, nearly, and wants its class. Both models
begin with the same parameters, see the same batches and learn an alpha for each head. Processor time, one thread.
"""

import sys
import time

import entmax
import torch
from torch import nn

from nadaraya.torch import EntmaxAttention

CODE, CLASSES, WIDTH, HEADS, BATCH = 16, 16, 64, 2, 4


class PackageAttention(EntmaxAttention):
    """The same layer with weights of the package, which are dense."""

    def forward(self, x, context):
        query, key, value = (
            project(of).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for project, of in ((self.query, x), (self.key, context), (self.value, context))
        )
        weights = entmax.entmax_bisect(query @ key.mT / self.head_dim**0.5, self.alpha[:, None, None])
        return self.out((weights @ value).transpose(1, 2).flatten(2))


class Model(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.code, self.label = nn.Linear(CODE, WIDTH), nn.Embedding(CLASSES, WIDTH)
        self.attention, self.head = attention(WIDTH, HEADS), nn.Linear(WIDTH, CLASSES)
        self.attention.key.load_state_dict(self.attention.query.state_dict())  # equal codes are similar from the start

    def forward(self, asked, codes, labels):
        return self.head(self.attention(self.code(asked), self.code(codes) + self.label(labels)))


def train(attention, steps, tokens):
    torch.manual_seed(0)
    model, start = Model(attention), time.process_time()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(steps):
        codes, labels = torch.randn(BATCH, tokens, CODE), torch.randint(CLASSES, (BATCH, tokens))
        asked = codes + 0.1 * torch.randn_like(codes)
        loss = nn.functional.cross_entropy(model(asked, codes, labels).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    seconds, alpha = time.process_time() - start, ", ".join(f"{a:.3f}" for a in model.attention.alpha)
    print(f"{attention.__name__:17} loss {loss.item():.5f}, alpha {alpha}, {seconds:8.2f} s", flush=True)
    return seconds


if __name__ == "__main__":
    torch.set_num_threads(1)
    steps, tokens = map(int, sys.argv[1:]) if len(sys.argv) > 1 else (100, 512)
    ours, theirs = (train(attention, steps, tokens) for attention in (EntmaxAttention, PackageAttention))
    print(f"{steps} steps of {BATCH} x {tokens} queries and keys: {theirs / ours:.1f} times as fast")
