#!/usr/bin/env python3
"""Times prefill, training and decoding at the sizes of language models with one thread and with all: ours, of a program whose
calls keep their memory, and PyTorch's softmax in turns with it. Prefill, also under a causal mask, and training, forward and
backward, are of 8 heads of 64 dimensions; a batch of short texts is one of 48; decoding, one query of each of 32 heads against
cached keys and values of 8 heads of 128 dimensions, after them. Prints medians of rounds in milliseconds, in brackets
PyTorch's time over ours.

  pip install -r requirements.txt torch
  python everyday.py --rounds 5
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

try:
    import torch
except ImportError:
    sys.exit("everyday.py: torch is missing: pip install torch")

import native

CASES = [
    *(("prefill", tokens) for tokens in (128, 512, 1024, 2048)),
    *(("batch", tokens) for tokens in (128, 384)),
    ("causal", 2048),
    *(("train", tokens) for tokens in (512, 2048)),
    *(("decode", keys) for keys in (1024, 8192)),
]
RULES = ["sparsemax", "1.5-entmax", "4/3-entmax", "softmax"]


def median_ms(call: Callable[[], object]) -> float:
    """As everyday.cpp takes it."""
    for _ in range(3):
        call()
    times: list[float] = []
    while sum(times) < 500 or len(times) < 5:
        begin = time.perf_counter()
        call()
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times)


def torch_call(kind: str, tokens: int) -> Callable[[], object]:
    attend = torch.nn.functional.scaled_dot_product_attention
    heads = key_heads = 48 if kind == "batch" else 8
    queries, dim = tokens, 64
    if kind == "decode":
        queries, heads, dim = 1, 32, 128
    train = kind == "train"
    q = torch.randn(1, heads, queries, dim, requires_grad=train)
    k, v = (torch.randn(1, key_heads, tokens, dim, requires_grad=train) for _ in range(2))
    grad = torch.randn(1, heads, queries, dim)

    def call() -> object:
        out = attend(q, k, v, is_causal=kind == "causal", enable_gqa=heads != key_heads)
        return torch.autograd.grad(out, (q, k, v), grad) if train else out

    return call


def torch_times(threads: int) -> dict[tuple[str, int, str], float]:
    torch.set_num_threads(threads)
    times = {}
    for kind, tokens in CASES:
        times[kind, tokens, "PyTorch"] = median_ms(torch_call(kind, tokens))
    return times


def our_times(program: Path, threads: int) -> dict[tuple[str, int, str], float]:
    lines = subprocess.run([str(program), str(threads)], capture_output=True, text=True, check=True).stdout.splitlines()
    fields = (line.split() for line in lines)
    return {(kind, int(tokens), rule): float(ms) for kind, tokens, rule, ms in fields}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="each of half a second for each case (default 3)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, len(os.sched_getaffinity(0))], help="default: 1 and all")
    parser.add_argument("--eigen", type=Path, help="the folder that holds Eigen/Core, if pkg-config does not know it")
    parser.add_argument("--cxx", default="c++", help="the compiler (default c++)")
    given = parser.parse_args()
    samples: dict[tuple[str, int, str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "everyday"
        command = [given.cxx, "-std=c++20", *native.OURS_FLAGS, f"-I{native.ROOT / 'include'}", *native.eigen_flags(given.eigen)]
        subprocess.run([*command, str(native.HERE / "everyday.cpp"), "-o", str(program), "-pthread"], check=True)
        for _ in range(given.rounds):
            for threads in given.threads:
                for found in (torch_times(threads), our_times(program, threads)):
                    for (kind, tokens, rule), ms in found.items():
                        samples.setdefault((kind, tokens, rule, threads), []).append(ms)
    medians = {key: statistics.median(values) for key, values in samples.items()}
    print(f"{native.cpu_model()}, PyTorch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}\n")
    print("| | threads | PyTorch, softmax |" + "".join(f" {rule} |" for rule in RULES))
    print("|---|---:|---:|" + "---:|" * len(RULES))
    for kind, tokens in CASES:
        for threads in given.threads:
            peer = medians[kind, tokens, "PyTorch", threads]
            ours = [medians[kind, tokens, rule, threads] for rule in RULES]
            cells = "".join(f" {ms:.3g} ({peer / ms:.2f}) |" for ms in ours)
            print(f"| {kind}, {tokens:,} {'keys' if kind == 'decode' else 'tokens'} | {threads} | {peer:.3g} |{cells}")


if __name__ == "__main__":
    try:
        main()
    except native.Refusal as refusal:
        sys.exit(f"everyday.py: {refusal}")
