"""Queries, keys and values of a trained transformer: the model that the package rxnmapper ships (MIT licence; Schwaller et al. 2021,
Science Advances 7:eabe4166), an ALBERT of 12 layers with 8 heads of 32 dimensions that has read chemical reactions. It needs
PyTorch, and the package's files alone: pip install --no-deps rxnmapper."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray

PACKAGE = "rxnmapper"
LAYERS, HEADS, DIM, MOST_TOKENS = 12, 8, 32, 512

# Amino acids without the water that a bond between two of them sets free: the left end of the chain is an amine.
RESIDUES = {
    "glycine": "NCC(=O)", "alanine": "N[C@@H](C)C(=O)", "valine": "N[C@@H](C(C)C)C(=O)", "leucine": "N[C@@H](CC(C)C)C(=O)",
    "serine": "N[C@@H](CO)C(=O)", "cysteine": "N[C@@H](CS)C(=O)", "aspartic acid": "N[C@@H](CC(=O)O)C(=O)",
    "lysine": "N[C@@H](CCCCN)C(=O)", "phenylalanine": "N[C@@H](Cc1ccccc1)C(=O)", "tyrosine": "N[C@@H](Cc1ccc(O)cc1)C(=O)",
}  # fmt: skip
# A token of the notation is an atom in brackets, an element of two letters, ">>", a ring's number of two digits, or one character.
TOKEN = re.compile(r"\[[^\]]+\]|Br|Cl|>>|%\d\d|.")


def reaction(seed: int) -> list[str]:
    """Amino acids in a random order become a peptide, as tokens; it is longer than the model reads."""
    order = np.random.default_rng(seed).permutation(np.tile(list(RESIDUES.values()), 2))
    return TOKEN.findall(".".join(f"{residue}O" for residue in order) + ">>" + "".join(order) + "O")


def folder() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"no package {PACKAGE}. To install its files: pip install --no-deps {PACKAGE}")
    return Path(next(iter(spec.submodule_search_locations))) / "models/transformers/albert_heads_8_uspto_all_1310k"


def operands(tokens: int, layer: int, seed: int) -> tuple[Array, Array, Array]:
    """The queries, keys and values [H, tokens, D] of a layer, counted from 1, for the first tokens of a reaction."""
    import torch
    from torch.nn.functional import gelu, layer_norm, linear

    files = folder()
    config = json.loads((files / "config.json").read_text())
    vocabulary = {word: i for i, word in enumerate((files / "vocab.txt").read_text().split("\n"))}
    state: dict[str, Any] = torch.load(files / "pytorch_model.bin", map_location="cpu", weights_only=True)
    words = ["[CLS]", *reaction(seed)][:tokens]
    ids = torch.tensor([vocabulary.get(word, vocabulary["[UNK]"]) for word in words])

    def weights(name: str) -> tuple[Any, Any]:
        return state[f"albert.{name}.weight"].float(), state[f"albert.{name}.bias"].float()

    def normalized(x: Any, name: str) -> Any:
        return layer_norm(x, x.shape[-1:], *weights(name), config["layer_norm_eps"])

    def heads(x: Any) -> Any:
        return x.reshape(len(words), HEADS, DIM).transpose(0, 1).contiguous()

    shared = "encoder.albert_layer_groups.0.albert_layers.0"  # all layers have the same weights
    of = "embeddings"
    with torch.no_grad():
        x = state[f"albert.{of}.word_embeddings.weight"][ids] + state[f"albert.{of}.position_embeddings.weight"][: len(words)]
        x = normalized((x + state[f"albert.{of}.token_type_embeddings.weight"][0]).float(), f"{of}.LayerNorm")
        x = linear(x, *weights("encoder.embedding_hidden_mapping_in"))
        for i in range(1, layer + 1):
            q, k, v = (heads(linear(x, *weights(f"{shared}.attention.{name}"))) for name in ("query", "key", "value"))
            if i == layer:
                return q.numpy(), k.numpy(), v.numpy()
            mixed = (q @ k.transpose(1, 2) / DIM**0.5).softmax(-1) @ v
            mixed = linear(mixed.transpose(0, 1).reshape(len(words), -1), *weights(f"{shared}.attention.dense"))
            x = normalized(x + mixed, f"{shared}.attention.LayerNorm")
            x = normalized(x + linear(gelu(linear(x, *weights(f"{shared}.ffn"))), *weights(f"{shared}.ffn_output")),
                           f"{shared}.full_layer_layer_norm")  # fmt: skip
    raise AssertionError("not reached")
