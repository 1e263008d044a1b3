"""The Memory Mosaic of examples/mosaic in PyTorch: the same numbers, and how long a training step takes.

  mosaic_torch.py --check DIR ...       logits, loss and gradients of fixtures (tests/data/mosaic/biweight) in float64
  mosaic_torch.py --time KERNEL ...     steps per second in the language setting, for each number of --threads

Layers, heads, sizes and names are those of the program; so are the optimizer, its decay and the clipping. Where
PyTorch has a fused call (attention, AdamW) it is used. Prints a line of JSON for each result.
"""
import argparse
import json
import math
import pathlib
import time

import numpy
import torch
import torch.nn.functional as F


class Threshold(torch.autograd.Function):
    """alpha-entmax over the last dimension, exact by sorting, for alpha 2 (sparsemax) and 1.5; masked entries are -inf."""

    @staticmethod
    def forward(ctx, z, power):
        s = torch.sort(z / power, dim=-1, descending=True).values
        top = s[..., :1]
        s = torch.clamp(s - top, min=-2)  # from 1 below the top on nothing is in the support, and -inf has no sum
        n = torch.arange(1, s.shape[-1] + 1, dtype=s.dtype, device=s.device)
        mean = s.cumsum(-1) / n
        if power == 1:
            tau = mean - 1 / n
        else:
            spread = (s * s).cumsum(-1) - n * mean * mean
            tau = mean - torch.sqrt(torch.clamp((1 - spread) / n, min=0))
        count = (tau < s).sum(-1, keepdim=True)
        t = torch.clamp(z / power - top - tau.gather(-1, count - 1), min=0)
        p = t**power
        ctx.save_for_backward((t > 0).to(p.dtype) if power == 1 else t)
        return p

    @staticmethod
    def backward(ctx, g):
        (s,) = ctx.saved_tensors
        return s * (g - (s * g).sum(-1, keepdim=True) / s.sum(-1, keepdim=True)), None


def attend(kernel, q, k, v):
    """Strictly causal attention of keys [B, H, T, D] at scale 1; the first token reads nothing."""
    q, k, v = q[:, :, 1:], k[:, :, :-1], v[:, :, :-1]
    if kernel == "softmax":
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)
    else:
        future = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).triu(1)
        z = (q @ k.transpose(-1, -2)).masked_fill(future, -math.inf)
        out = Threshold.apply(z, {"epanechnikov": 1, "biweight": 2}[kernel]) @ v
    return F.pad(out, (0, 0, 1, 0))


class Mosaic(torch.nn.Module):
    def __init__(self, shapes, kernel, heads, layers):
        super().__init__()
        self.kernel, self.heads, self.layers = kernel, heads, layers
        self.p = torch.nn.ParameterDict({name.replace(".", "_"): torch.nn.Parameter(torch.empty(shape)) for name, shape in shapes.items()})

    def __getitem__(self, name):
        return self.p[name.replace(".", "_")]

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def key(self, prefix, x):
        k = self.split(x @ self[prefix + "k_featurizer.conv.weight"][:, :, 0].T)
        rate = (10 * self[prefix + "leaky_key_beta"]).abs()
        t = torch.arange(x.shape[1], dtype=x.dtype, device=x.device)
        age = t[:, None] - t
        kept = torch.exp(-rate[:, None, None] * age.clamp(min=0)) * (age >= 0)
        return F.normalize((1 - torch.exp(-rate))[:, None, None] * kept @ k, dim=-1)

    def beta(self, prefix):
        return torch.exp((10 * self[prefix + "kernel_beta"]).clamp(max=5))[:, None, None]

    def scale(self, prefix):
        return torch.exp(10 * self[prefix + "value_beta"])[:, None, None]

    def contextual(self, prefix, x):
        k = self.key(prefix, x)
        w = self.split(x @ self[prefix + "v_featurizer.linear.weight"].T)
        c = self[prefix + "v_featurizer.coef"][:, None, None]
        v = F.normalize(c * w + (1 - c) * F.pad(w[:, :, 1:], (0, 0, 0, 1)), dim=-1) * self.scale(prefix)
        out = attend(self.kernel, k * self.beta(prefix) ** 2, k, v)
        return out.transpose(1, 2).flatten(2) @ self[prefix + "c_proj.weight"].T

    def persistent(self, prefix, x):
        q = self.key(prefix, x) * self.beta(prefix) ** 2
        m_k, m_v = (self[prefix + name][0] for name in ("pmem.M_k0", "pmem.M_v0"))
        # The pairs are the same for all tokens: one long sequence of queries.
        batch, _, tokens, _ = q.shape
        q = q.transpose(0, 1).flatten(1, 2)[None]
        out = F.scaled_dot_product_attention(q, m_k[None], m_v[None], scale=1.0) * self.scale(prefix)
        out = out[0].unflatten(1, (batch, tokens)).permute(1, 2, 0, 3)
        return out.flatten(2) @ self[prefix + "c_proj.weight"].T

    def forward(self, tokens):
        e = self["emb.weight"]
        x = e[tokens]
        norm = lambda name, x: F.layer_norm(x, x.shape[-1:], self[name], eps=1e-5)
        for layer in range(self.layers):
            b = f"blocks.{layer}."
            x = x + self.contextual(b + "attn.", norm(b + "ln1.weight", x))
            x = x + self.persistent(b + "pmem.", norm(b + "ln2.weight", x))
        return norm("ln_out.weight", x) @ e.T / math.sqrt(e.shape[1])


def language_shapes(vocab=65, layers=4, heads=4, width=128, pairs=512):
    shapes = {"emb.weight": (vocab, width), "ln_out.weight": (width,)}
    for layer in range(layers):
        b = f"blocks.{layer}."
        shapes |= {b + "ln1.weight": (width,), b + "ln2.weight": (width,)}
        for m in (b + "attn.", b + "pmem."):
            shapes |= {m + "leaky_key_beta": (heads,), m + "kernel_beta": (heads,), m + "value_beta": (heads,)}
            shapes |= {m + "k_featurizer.conv.weight": (width, width, 1), m + "c_proj.weight": (width, width)}
        shapes |= {b + "attn.v_featurizer.coef": (heads,), b + "attn.v_featurizer.linear.weight": (width, width)}
        shapes |= {b + "pmem.pmem.M_k0": (1, heads, pairs, width // heads), b + "pmem.pmem.M_v0": (1, heads, pairs, width // heads)}
    return shapes


def check(folder):
    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text())
    load = lambda name: torch.from_numpy(numpy.load(folder / (name + ".npy")))
    names = [f.name[len("param."):-len(".npy")] for f in folder.glob("param.*.npy")]
    model = Mosaic({n: load("param." + n).shape for n in names}, config["method"], config["heads"], config["layers"]).double()
    for n in names:
        model[n].data.copy_(load("param." + n))
    logits = model(load("tokens"))
    loss = F.cross_entropy(logits.flatten(0, 1), load("targets").flatten())
    loss.backward()
    distance = lambda a, b: float((a - b).abs().max() / b.abs().max().clamp(min=1e-300))
    worst = max(distance(model[n].grad, load("grad." + n)) for n in names)
    result = {"check": config["method"], "loss": loss.item(), "loss_error": abs(loss.item() - config["loss"]), "logits_error": distance(logits.detach(), load("logits")), "gradient_error": worst}
    print(json.dumps(result), flush=True)
    if not max(result["loss_error"], result["logits_error"], worst) <= 1e-9:
        raise SystemExit(f"mosaic_torch.py: {folder}: the model is another one")


def first_parameters(model):
    generator = torch.Generator().manual_seed(1)
    for name, p in model.p.items():
        if p.dim() > 1:
            fan_in = p.shape[1] if name.endswith("conv_weight") else p.shape[-1]
            p.data.copy_(torch.randn(p.shape, generator=generator) / math.sqrt(fan_in))
        else:
            p.data.fill_(-0.05 if name.endswith("value_beta") else 0.3 if name.endswith("leaky_key_beta") else 0.1 if name.endswith("kernel_beta") else 0.5 if name.endswith("coef") else 1.0)


def measure(kernel, threads, seconds, device, compiled):
    torch.set_num_threads(threads)
    model = Mosaic(language_shapes(), kernel, 4, 4)
    first_parameters(model)
    model.to(device)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}], lr=1e-3, betas=(0.9, 0.99), fused=True)
    run = torch.compile(model) if compiled else model
    text = torch.randint(65, (12, 65), generator=torch.Generator().manual_seed(2)).to(device)

    def step():
        loss = F.cross_entropy(run(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    for _ in range(10):
        step()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 9:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    median = sorted(times)[len(times) // 2]
    print(json.dumps({"torch": torch.__version__, "kernel": kernel, "device": device, "compiled": compiled, "threads": threads, "parameters": sum(p.numel() for p in model.parameters()), "ms_per_step": 1000 * median, "steps": len(times)}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", nargs="+", default=[], metavar="DIR")
    parser.add_argument("--time", nargs="+", default=[], metavar="KERNEL", choices=["softmax", "epanechnikov", "biweight"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="torch.compile the model")
    o = parser.parse_args()
    for folder in o.check:
        check(folder)
    for kernel in o.time:
        for threads in o.threads:
            measure(kernel, threads, o.seconds, o.device, o.compile)


main()
