"""Who is timed: the library's operators and their peers, all on the same numbers."""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

import native
import oracles
import transformer

Array = np.ndarray

OURS = "nadaraya"
NAIVE = "naive Eigen"
ORT = "ONNX Runtime"
TORCH = "PyTorch"
ENTMAX = "entmax"

PACKAGES = {ORT: ["onnx", "onnxruntime"], TORCH: ["torch"], ENTMAX: ["torch", "entmax"]}


@dataclass(frozen=True)
class Setting:
    """One problem; `scale` is 1 / sqrt(dim) times the score scale. Numbers are random but for a `text`, a file, or a `layer` of the
    trained transformer."""

    tokens: int
    queries: int
    score_scale: float
    heads: int
    dim: int
    causal: bool
    threads: int
    seed: int
    text: Path | None
    layer: int | None

    @property
    def scale(self) -> float:
        return self.score_scale / self.dim**0.5

    @property
    def visible(self) -> float:
        """Keys that a query sees, on average."""
        return (self.tokens + 1) / 2 if self.causal else float(self.tokens)


DECAYS = [0.4, 1.0, 2.0]  # of the leaky averages of a text, those of examples/text_memory


def text_dim(text: bytes) -> int:
    return len(DECAYS) * len(set(text))


def text_memory(text: bytes, places: int) -> tuple[Array, Array]:
    """For the first places of a text, which end before it does: leaky averages of its characters so far, of length one, and the next
    character as a unit vector filled up with zeros."""
    letters = np.unique(np.frombuffer(text, np.uint8), return_inverse=True)[1]
    size = int(letters.max()) + 1
    letters = letters[: places + 1]
    averages = np.zeros((len(DECAYS), size), np.float32)
    keys = np.zeros((len(letters) - 1, len(DECAYS), size), np.float32)
    keep = np.exp(-np.array(DECAYS, np.float32))[:, None]
    for i, letter in enumerate(letters[:-1]):
        averages *= keep
        averages[:, letter] += 1
        keys[i] = averages
    keys /= np.linalg.norm(keys, axis=2, keepdims=True) * len(DECAYS) ** 0.5
    values = np.zeros((len(keys), len(DECAYS) * size), np.float32)
    values[np.arange(len(keys)), letters[1:]] = 1
    return keys.reshape(len(keys), -1), values


LINE_BYTES = 64


def at_line(array: Array) -> Array:
    """A copy that begins with a cache line, as the tensors that the peers' own allocators make."""
    memory = np.empty(array.nbytes + LINE_BYTES, np.uint8)
    start = -memory.ctypes.data % LINE_BYTES
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


class Inputs:
    """Standard normal numbers, float32, of the shapes [H, N, D], or of one head the memory of a text, asked by what comes
    after it, or those of a trained transformer's layer. The arrays stay where they are: contestants share their memory."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        random = np.random.default_rng(setting.seed)
        shape = (setting.heads, setting.tokens, setting.dim)
        queries = (setting.heads, setting.queries, setting.dim)
        if setting.layer is not None:
            self.query, self.key, self.value = transformer.operands(setting.tokens, setting.layer, setting.seed)
        elif setting.text is None:
            self.query = random.standard_normal(queries, np.float32)
            self.key, self.value = (random.standard_normal(shape, np.float32) for _ in range(2))
        else:
            keys, values = text_memory(setting.text.read_bytes(), setting.tokens + setting.queries)
            self.key, self.value = (np.ascontiguousarray(x[None, : setting.tokens]) for x in (keys, values))
            self.query = np.ascontiguousarray(keys[None, setting.tokens : setting.tokens + setting.queries])
        self.grad_out = random.standard_normal(queries, np.float32)
        self.query, self.key, self.value, self.grad_out = (
            at_line(x) for x in (self.query, self.key, self.value, self.grad_out)
        )
        self.checked_head = setting.heads - 1
        self.checked_rows = np.unique(np.linspace(0, setting.queries - 1, 64).astype(int))

    @contextmanager
    def gradient_of_checked_rows(self) -> Iterator[None]:
        """Within it, grad_out is zero but for the checked rows, so that all gradients follow from these alone."""
        kept = self.grad_out.copy()
        self.grad_out.fill(0)
        self.grad_out[self.checked_head, self.checked_rows] = kept[self.checked_head, self.checked_rows]
        try:
            yield
        finally:
            self.grad_out[:] = kept

    def exact(self, rule: str) -> oracles.Exact:
        head, rows, s = self.checked_head, self.checked_rows, self.setting
        return oracles.attention(
            oracles.RULES[rule], self.query[head], self.key[head], self.value[head], self.grad_out[head, rows], rows,
            s.scale, s.causal,
        )


class Contestant(Protocol):
    peer: str
    rule: str
    backward: bool

    def run(self) -> None:
        """The timed call."""

    def outputs(self) -> list[Array]:
        """What the last run made, each [H, N, D]: the output, and the gradients by query, key and value if backward."""

    def mean_support(self) -> float:
        """Keys with weight, mean over the queries. Not timed."""


def problem_of(inputs: Inputs) -> native.Problem:
    s = inputs.setting
    places = (native.address(x) for x in (inputs.query, inputs.key, inputs.value))
    return native.Problem(*places, s.heads, s.queries, s.tokens, s.dim, s.scale, int(s.causal), s.threads)


class Ours:
    peer = OURS

    def __init__(self, library: native.Ours, inputs: Inputs, rule: str, backward: bool) -> None:
        self.rule, self.backward = rule, backward
        self._library, self._inputs, self._problem = library, inputs, problem_of(inputs)
        like = [inputs.query, inputs.query, inputs.key, inputs.value] if backward else [inputs.query]
        self._outputs = [at_line(np.zeros_like(x)) for x in like]
        places = [native.address(x) for x in self._outputs]
        self._results = native.Results(out=places[0])
        if backward:
            self._results.grad_out = native.address(inputs.grad_out)
            self._results.grad_query, self._results.grad_key, self._results.grad_value = places[1:]

    def run(self) -> None:
        self._library.run(self.rule.encode(), self._problem, self._results)

    def outputs(self) -> list[Array]:
        return self._outputs

    def mean_support(self) -> float:
        support = ctypes.c_double()
        results = native.Results(out=native.address(self._outputs[0]), mean_support=ctypes.pointer(support))
        self._library.run(self.rule.encode(), self._problem, results)
        return support.value


class Softmax:
    """A peer that does softmax: every visible key has weight."""

    rule = "softmax"
    _inputs: Inputs

    def mean_support(self) -> float:
        return self._inputs.setting.visible


class NaiveEigen(Softmax):
    peer = NAIVE
    backward = False

    def __init__(self, library: native.NaiveEigen, inputs: Inputs) -> None:
        self._library, self._inputs, self._problem = library, inputs, problem_of(inputs)
        self._out = at_line(np.zeros_like(inputs.query))

    def run(self) -> None:
        self._library.run(self._problem, native.address(self._out))

    def outputs(self) -> list[Array]:
        return [self._out]


class OnnxRuntime(Softmax):
    """The contributed operator MultiHeadAttention, [1, N, H D] in and out, into memory that is bound once. It has a
    fused kernel for the CPU, which a causal mask (unidirectional) turns off."""

    peer = ORT
    backward = False

    def __init__(self, onnx: ModuleType, runtime: ModuleType, inputs: Inputs) -> None:
        self._inputs = inputs
        s = inputs.setting
        self._shape = (s.queries, s.heads, s.dim)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = s.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Its threads may spin within a call, but not after it, while the next contestant runs.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        model = self._model(onnx, s)
        self._session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self._binding = self._session.io_binding()
        self._bound = {}
        for name, array in zip("QKV", (inputs.query, inputs.key, inputs.value)):
            together = np.ascontiguousarray(array.transpose(1, 0, 2)).reshape(1, array.shape[1], s.heads * s.dim)
            self._bound[name] = runtime.OrtValue.ortvalue_from_numpy(together)
            self._binding.bind_ortvalue_input(name, self._bound[name])
        self._bound["O"] = runtime.OrtValue.ortvalue_from_numpy(
            np.zeros((1, s.queries, s.heads * s.dim), np.float32)
        )
        self._binding.bind_ortvalue_output("O", self._bound["O"])

    @staticmethod
    def _model(onnx: ModuleType, s: Setting) -> Any:
        helper = importlib.import_module("onnx.helper")
        float32 = onnx.TensorProto.FLOAT
        rows = {"Q": s.queries, "K": s.tokens, "V": s.tokens, "O": s.queries}
        tensors = {n: helper.make_tensor_value_info(n, float32, [1, rows[n], s.heads * s.dim]) for n in "QKVO"}
        node = helper.make_node(
            "MultiHeadAttention", ["Q", "K", "V"], ["O"], domain="com.microsoft", num_heads=s.heads, scale=s.scale,
            unidirectional=int(s.causal),
        )
        graph = helper.make_graph([node], "attention", [tensors[n] for n in "QKV"], [tensors["O"]])
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)

    def outputs(self) -> list[Array]:
        return [self._bound["O"].numpy().reshape(self._shape).transpose(1, 0, 2)]


class Torch:
    """Attention as a function of PyTorch tensors [1, H, N, D], which share the inputs' memory."""

    def __init__(
        self, peer: str, rule: str, backward: bool, torch: ModuleType, inputs: Inputs,
        attend: Callable[[Any, Any, Any], Any], support: Callable[[Any, Any], float],
    ) -> None:
        self.peer, self.rule, self.backward = peer, rule, backward
        self._torch, self._attend, self._support = torch, attend, support
        self._operands = [
            torch.from_numpy(x).unsqueeze(0).detach().requires_grad_(backward)
            for x in (inputs.query, inputs.key, inputs.value)
        ]
        self._grad_out = torch.from_numpy(inputs.grad_out).unsqueeze(0)
        self._results: list[Any] = []

    def run(self) -> None:
        if not self.backward:
            with self._torch.no_grad():
                self._results = [self._attend(*self._operands)]
            return
        out = self._attend(*self._operands)
        self._results = [out.detach(), *self._torch.autograd.grad(out, self._operands, self._grad_out)]

    def outputs(self) -> list[Array]:
        return [x.squeeze(0).numpy() for x in self._results]

    def mean_support(self) -> float:
        with self._torch.no_grad():
            return self._support(*self._operands[:2])


def torch_softmax(torch: ModuleType, inputs: Inputs, backward: bool) -> Torch:
    s = inputs.setting

    def attend(query: Any, key: Any, value: Any) -> Any:
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=s.causal, scale=s.scale)

    return Torch(TORCH, "softmax", backward, torch, inputs, attend, lambda query, key: s.visible)


def entmax_attention(torch: ModuleType, entmax: ModuleType, inputs: Inputs, rule: str, backward: bool) -> Torch:
    s = inputs.setting
    normalize: Callable[[Any], Any] = {
        "sparsemax": lambda z: entmax.sparsemax(z, dim=-1),
        "1.5-entmax": lambda z: entmax.entmax15(z, dim=-1),
        "4/3-entmax": lambda z: entmax.entmax_bisect(z, alpha=4 / 3, dim=-1),
    }[rule]
    hidden = torch.ones(s.tokens, s.tokens, dtype=torch.bool).triu(1) if s.causal else None

    def weights(query: Any, key: Any) -> Any:
        scores = (s.scale * query) @ key.transpose(-2, -1)
        return normalize(scores if hidden is None else scores.masked_fill(hidden, float("-inf")))

    def attend(query: Any, key: Any, value: Any) -> Any:
        return weights(query, key) @ value

    def support(query: Any, key: Any) -> float:
        return torch.count_nonzero(weights(query, key)).item() / (s.heads * s.queries)

    return Torch(ENTMAX, rule, backward, torch, inputs, attend, support)


class Field:
    """Everyone who can be timed on this machine, and a note for each who cannot."""

    def __init__(self, ours: native.Ours, naive: native.NaiveEigen, threads: int, entmax_max_tokens: int) -> None:
        self.notes: list[str] = []
        self._ours, self._naive = ours, naive
        self._entmax_max_tokens = entmax_max_tokens
        self._modules = {peer: self._load(peer) for peer in PACKAGES}
        if self._modules[TORCH]:
            self._modules[TORCH][0].set_num_threads(threads)

    def _load(self, peer: str) -> list[ModuleType]:
        """The peer's packages, none if any is missing."""
        try:
            return [importlib.import_module(package) for package in PACKAGES[peer]]
        except ImportError as error:
            reason = native.first_line(str(error))
        except Exception as error:  # a package that is broken in a way of its own
            reason = f"{type(error).__name__}: {native.first_line(str(error))}"
        self.note(f"{peer} is left out: {reason}. To install it: pip install {' '.join(PACKAGES[peer])}")
        return []

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def versions(self) -> dict[str, str]:
        found = {}
        for package in sorted({p for peer, packages in PACKAGES.items() if self._modules[peer] for p in packages}):
            try:
                found[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                found[package] = "unknown"
        return found

    def makers(self, inputs: Inputs, rule: str, backward: bool) -> Iterator[tuple[str, Callable[[], Contestant]]]:
        """Who does this rule and pass, by name, each yet to be made."""
        yield OURS, lambda: Ours(self._ours, inputs, rule, backward)
        if rule != "softmax":
            if self._modules[ENTMAX]:
                if inputs.setting.tokens <= self._entmax_max_tokens:
                    yield ENTMAX, lambda: entmax_attention(*self._modules[ENTMAX], inputs, rule, backward)
                else:
                    self.note(f"{ENTMAX} is left out where N is above --entmax-max-n {self._entmax_max_tokens}")
            return
        if not backward:
            yield NAIVE, lambda: NaiveEigen(self._naive, inputs)
            if self._modules[ORT]:
                if inputs.setting.causal:
                    self.note(f"{ORT} leaves its fused kernel under a causal mask")
                yield ORT, lambda: OnnxRuntime(*self._modules[ORT], inputs)
        if self._modules[TORCH]:
            yield TORCH, lambda: torch_softmax(self._modules[TORCH][0], inputs, backward)
