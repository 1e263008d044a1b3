"""nadaraya.torch compared with PyTorch and the package entmax on this machine: python torch_benchmark.py [--threads 1]

One batch of 8 heads of 64 dimensions, standard normal, float32; milliseconds, the median of interleaved rounds. Results
are compared before anything is timed. Last, the cost of a call with one query and one key.
"""

import argparse
import statistics
import time

import entmax
import torch
import torch.nn.functional as F

import nadaraya
import nadaraya.torch


def with_package(weigh):
    """Attention of PyTorch's own operators, with weights by the package."""
    return lambda q, k, v: weigh(q @ k.mT / q.shape[-1] ** 0.5) @ v


def ours(**options):
    return lambda q, k, v: nadaraya.torch.attention(q, k, v, **options)


CASES = {
    "sparsemax": (ours(kernel="epanechnikov"), with_package(lambda z: entmax.sparsemax(z, dim=-1))),
    "1.5-entmax": (ours(kernel="biweight"), with_package(lambda z: entmax.entmax15(z, dim=-1))),
    "4/3-entmax": (ours(kernel="triweight"), with_package(lambda z: entmax.entmax_bisect(z, 4 / 3, dim=-1))),
    "softmax": (ours(kernel="gaussian"), F.scaled_dot_product_attention),
}


def infer(attention, inputs):
    with torch.no_grad():
        attention(*inputs)


def train(attention, inputs):
    out = attention(*inputs)
    torch.autograd.grad(out, inputs, out.detach())


def seconds(call, repeats=1):
    # One thread's own time does not count what other processes take of the machine.
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    for _ in range(repeats):
        call()
    return (clock() - start) / repeats


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(f"nadaraya {nadaraya.__version__}, PyTorch {torch.__version__}, {arguments.threads} thread(s)")
    print("weights      tokens  pass      nadaraya       peer   ratio")
    for tokens in arguments.tokens:
        inputs = [torch.randn(1, 8, tokens, 64, requires_grad=True) for _ in range(3)]
        for name, pair in CASES.items():
            mine, theirs = (attention(*inputs).detach() for attention in pair)
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)
            for passes, run in (("forward", infer), ("training", train)):
                times = [[seconds(lambda: run(one, inputs)) for one in pair] for _ in range(arguments.rounds)]
                a, b = (statistics.median(column) * 1e3 for column in zip(*times))
                print(f"{name:11} {tokens:7}  {passes:8} {a:9.2f} {b:10.2f} {b / a:7.1f}", flush=True)
    inputs = [torch.randn(1, 1, 1, 8, requires_grad=True) for _ in range(3)]
    for passes, run in (("forward", infer), ("training", train)):
        mine, softmax = (
            min(seconds(lambda: run(one, inputs), 100) for _ in range(50)) * 1e6
            for one in (ours(), F.scaled_dot_product_attention)
        )
        print(f"one query and key, {passes}: {mine:.1f} us, scaled_dot_product_attention {softmax:.1f} us")


if __name__ == "__main__":
    main()
