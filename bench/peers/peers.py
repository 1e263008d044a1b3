#!/usr/bin/env python3
"""Times the library's operators and their peers on this machine: ONNX Runtime, PyTorch, the entmax package, and
attention written plainly with Eigen. All do float32 attention on the same standard normal queries, keys and values
(batch 1), on the memory of a text, or on a trained transformer's, in interleaved rounds with as many threads; every result
is compared with float64.

  pip install -r requirements.txt
  python peers.py --score-scale 0.25 1 4                 one table
  python peers.py --sweep --scales --json results.json   and two pictures

Needs g++ and Eigen; a peer that is missing is named below the table and left out.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import math
import os
import platform
import random
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

try:
    import numpy as np
except ImportError:
    sys.exit("peers.py: numpy is missing: pip install numpy")

import native
import plots
import transformer
from contestants import OURS, Contestant, Field, Inputs, Setting, text_dim
from native import Refusal
from oracles import RULES

SWEEP_TOKENS = [512, 1024, 2048, 4096]
SCALES_TOKENS = 2048
SCALES = [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
PASSES = {"forward": False, "forward+backward": True}

SHORTEST_SAMPLE = 0.02  # seconds: quicker calls are repeated within a sample
PAUSE = 0.01  # seconds before each sample, for threads of the last contestant that still spin
WRONG = 1e-3  # an output further from the oracle than this is no attention


@dataclass
class Row:
    """One contestant on one problem."""

    setting: Setting
    peer: str
    rule: str
    backward: bool
    output_error: float
    gradient_error: float | None
    mean_support: float
    calls_per_sample: int
    samples: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def wrong(self) -> bool:
        return not self.output_error <= WRONG

    @property
    def problem(self) -> tuple[int, float, bool]:
        return self.setting.tokens, self.setting.score_scale, self.backward

    @property
    def dense_gflops(self) -> float:
        """As if every visible pair were computed: two products forward, five backward."""
        s = self.setting
        return (14 if self.backward else 4) * s.heads * s.queries * s.visible * s.dim / self.median / 1e9


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def one_line(error: Exception) -> str:
    return native.first_line(str(error) or type(error).__name__)


def largest_difference(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    return float(max(np.max(np.abs(a - b)) for a, b in pairs))


def check(contestant: Contestant, inputs: Inputs, setting: Setting) -> Row:
    """Compares with the oracle, and finds how many calls a sample takes."""
    head, rows = inputs.checked_head, inputs.checked_rows
    exact = inputs.exact(contestant.rule)
    with inputs.gradient_of_checked_rows():
        contestant.run()
        out, *grads = contestant.outputs()
        output_error = largest_difference([(out[head, rows], exact.out)])
        gradient_error = None
        if contestant.backward:
            query, key, value = (grad[head] for grad in grads)
            gradient_error = largest_difference(
                [(query[rows], exact.grad_query), (key, exact.grad_key), (value, exact.grad_value)]
            )
    start = time.perf_counter()
    contestant.run()
    calls = max(1, math.ceil(SHORTEST_SAMPLE / max(time.perf_counter() - start, 1e-6)))
    support = contestant.mean_support()
    who = (contestant.peer, contestant.rule, contestant.backward)
    return Row(setting, *who, output_error, gradient_error, support, calls)


def sample(contestant: Contestant, calls: int) -> float:
    """Seconds per call."""
    time.sleep(PAUSE)
    start = time.perf_counter()
    for _ in range(calls):
        contestant.run()
    return (time.perf_counter() - start) / calls


class Bench:
    """Problems in, rows out. Rows that have a sample are results, also after an interruption."""

    def __init__(self, contestants: Field, rules: list[str], passes: list[str], rounds: int) -> None:
        self._field, self._rules, self._rounds = contestants, rules, rounds
        self._passes = [PASSES[name] for name in passes]
        self._rows: list[Row] = []

    @property
    def rows(self) -> list[Row]:
        return [row for row in self._rows if row.samples]

    def run(self, setting: Setting) -> None:
        what = f"N {setting.tokens}, score scale {setting.score_scale:g}"
        progress(f"{what}: checking")
        inputs = Inputs(setting)
        entered = self._enter(inputs, setting)
        shuffle = random.Random(setting.seed)
        for done in range(self._rounds):
            progress(f"{what}: round {done + 1} of {self._rounds}")
            shuffle.shuffle(entered)
            for contestant, row in entered:
                row.samples.append(sample(contestant, row.calls_per_sample))
        progress("")

    def _enter(self, inputs: Inputs, setting: Setting) -> list[tuple[Contestant, Row]]:
        entered = []
        for backward in self._passes:
            for rule in self._rules:
                for name, make in self._field.makers(inputs, rule, backward):
                    try:
                        contestant = make()
                        row = check(contestant, inputs, setting)
                    except Exception as error:
                        if name == OURS:
                            raise Refusal(f"{OURS}, {rule}: {one_line(error)}") from error
                        self._field.note(f"{name} failed at {rule}, N {setting.tokens}: {one_line(error)}")
                        continue
                    self._rows.append(row)
                    entered.append((contestant, row))
        return entered


def fastest_softmax_peers(rows: list[Row]) -> dict[tuple[int, float, bool], Row]:
    """For each problem the quickest softmax that is not the library's."""
    fastest: dict[tuple[int, float, bool], Row] = {}
    for row in rows:
        if row.rule == "softmax" and row.peer != OURS and not row.wrong:
            best = fastest.setdefault(row.problem, row)
            if row.median < best.median:
                fastest[row.problem] = row
    return fastest


def results_of(rows: list[Row]) -> list[dict[str, Any]]:
    """The rows as plain data, with the two ratios, in the order of the table."""
    ours = {(*row.problem, row.rule): row.median for row in rows if row.peer == OURS}
    fastest = fastest_softmax_peers(rows)
    results = []
    for row in rows:
        own, peer = ours.get((*row.problem, row.rule)), fastest.get(row.problem)
        results.append({
            "tokens": row.setting.tokens,
            "score_scale": row.setting.score_scale,
            "pass": next(name for name, backward in PASSES.items() if backward == row.backward),
            "peer": row.peer,
            "rule": row.rule,
            "median_ms": 1e3 * row.median,
            "min_ms": 1e3 * min(row.samples),
            "samples_ms": [1e3 * seconds for seconds in row.samples],
            "calls_per_sample": row.calls_per_sample,
            "time_over_ours": row.median / own if own else None,
            "softmax_peer": peer.peer if peer else None,
            "softmax_peer_over_time": peer.median / row.median if peer else None,
            "dense_gflops": row.dense_gflops,
            "output_error": row.output_error,
            "gradient_error": row.gradient_error,
            "wrong": row.wrong,
            "mean_support": row.mean_support,
        })
    order = list(PASSES)
    return sorted(results, key=lambda r: (r["tokens"], r["score_scale"], order.index(r["pass"])))


COLUMNS = {
    "N": "r", "score scale": "r", "pass": "l", "contestant": "l", "rule": "l", "median ms": "r", "min ms": "r",
    "time / ours": "r", "softmax peer / time": "r", "dense GFLOP/s": "r", "output error": "r", "gradient error": "r",
    "mean support": "r",
}

LEGEND = """\
time / ours: against this library's same rule and pass. softmax peer / time: the fastest softmax among the peers, in the
same pass, over this time. dense GFLOP/s: operations of dense attention over the time, whatever was left out. Errors:
the largest absolute difference from float64, of the output at 64 queries of one head, and of the gradients these give.
mean support: keys with weight, for a query."""


def cells(r: dict[str, Any]) -> list[str]:
    def optional(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    return [
        str(r["tokens"]), f"{r['score_scale']:g}", r["pass"], r["peer"], r["rule"], f"{r['median_ms']:.2f}",
        f"{r['min_ms']:.2f}", optional(r["time_over_ours"], ".2f"), optional(r["softmax_peer_over_time"], ".2f"),
        f"{r['dense_gflops']:.1f}", f"{r['output_error']:.1e}" + (" WRONG" if r["wrong"] else ""),
        optional(r["gradient_error"], ".1e"), f"{r['mean_support']:.1f}",
    ]


def table(results: list[dict[str, Any]]) -> str:
    lines = [list(COLUMNS), *(cells(r) for r in results)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(COLUMNS))]
    sides = list(COLUMNS.values())

    def joined(line: list[str]) -> str:
        padded = (c.rjust(w) if side == "r" else c.ljust(w) for c, w, side in zip(line, widths, sides))
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 1) + (":" if side == "r" else "-") for w, side in zip(widths, sides)) + "|"
    return "\n".join([joined(lines[0]), rule, *map(joined, lines[1:])])


def machine() -> dict[str, Any]:
    return {
        "cpu": native.cpu_model(),
        "logical_cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": list(os.getloadavg()),
    }


def commit() -> dict[str, Any]:
    git = ["git", "-C", str(native.ROOT)]
    found = native.capture([*git, "rev-parse", "HEAD"])
    if not found:
        return {"commit": None}
    return {"commit": found, "uncommitted_changes": bool(native.capture([*git, "status", "--porcelain"]))}


def whole_number(least: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"must be a whole number, at least {least}, got {text}")
        return value

    return convert


def positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0 and finite, got {text}")
    return value


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        self.exit(2, f"{self.prog}: {message}\n")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog="peers.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--n", type=whole_number(1), nargs="+", metavar="N", help="tokens (default: 1024, or all of --layer)")
    add("--queries", type=whole_number(1), metavar="M", help="queries (default: as many as tokens)")
    add("--text", type=Path, metavar="FILE",
        help="the first N characters as examples/text_memory remembers them, asked by those that follow; sets --heads and --dim")
    add("--layer", type=whole_number(1), metavar="L",
        help=f"queries, keys and values of layer L of a trained transformer of {transformer.LAYERS} layers, up to "
        f"{transformer.MOST_TOKENS} tokens; needs torch, and pip install --no-deps {transformer.PACKAGE}; sets --heads and --dim")
    add("--heads", type=whole_number(1), default=8, metavar="H", help="heads (default: 8)")
    add("--dim", type=whole_number(1), default=64, metavar="D", help="dimensions of a head (default: 64)")
    add("--score-scale", type=positive, nargs="+", default=[1.0], metavar="S",
        help="scores are S q.k / sqrt(D); 0.25 is flat, 4 is peaked (default: 1)")
    add("--causal", action="store_true", help="a query sees only the keys up to its own place")
    add("--threads", type=whole_number(1), default=1, metavar="T", help="threads, of every contestant (default: 1)")
    add("--rounds", type=whole_number(1), default=9, metavar="R", help="samples of each contestant (default: 9)")
    add("--rules", nargs="+", choices=list(RULES), default=list(RULES), metavar="RULE",
        help="of " + ", ".join(RULES) + " (default: all)")
    add("--passes", nargs="+", choices=list(PASSES), default=list(PASSES), metavar="PASS",
        help="of " + ", ".join(PASSES) + " (default: both)")
    add("--entmax-max-n", type=whole_number(0), default=1024, metavar="N",
        help="most tokens that the entmax package gets (default: 1024)")
    add("--sweep", action="store_true",
        help=f"N in {SWEEP_TOKENS} instead of --n, and a picture of the time against N")
    add("--scales", action="store_true",
        help=f"N {SCALES_TOKENS} with score scales from {SCALES[0]} to {SCALES[-1]} instead of --n, or after --sweep, "
        "and a picture of the speed-up against the support")
    add("--seed", type=whole_number(0), default=1, metavar="SEED", help="of queries, keys and values (default: 1)")
    add("--json", type=Path, metavar="FILE", help="also write everything, each sample included, to FILE")
    add("--plot-dir", type=Path, metavar="DIR", help="folder of the pictures (default: the build folder)")
    add("--build-dir", type=Path, default=native.ROOT / "build" / "peers", metavar="DIR",
        help="folder of the compiled libraries (default: build/peers in the project)")
    add("--include", type=Path, default=native.ROOT / "include", metavar="DIR",
        help="folder that holds nadaraya/ (default: the project's)")
    add("--eigen", type=Path, metavar="DIR", help="folder that holds Eigen/ (default: asked of pkg-config)")
    add("--cxx", default="g++", metavar="CXX", help="compiler (default: g++)")
    options = parser.parse_args(argv)
    options.n = options.n or [transformer.MOST_TOKENS if options.layer else 1024]
    if options.json and not options.json.absolute().parent.is_dir():
        parser.error(f"--json {options.json}: no such folder")
    if options.causal and options.queries:
        parser.error("--causal has as many queries as tokens: leave out --queries")
    if options.text:
        try:
            text = options.text.read_bytes()
        except OSError as error:
            parser.error(f"--text {options.text}: {error.strerror}")
        if options.causal or options.sweep or options.scales:
            parser.error("--text goes with neither --causal nor --sweep nor --scales")
        needed = max(n + (options.queries or n) for n in options.n) + 1
        if len(text) < needed:
            parser.error(f"--text {options.text}: has {len(text)} characters, and {needed} are needed")
        options.heads, options.dim = 1, text_dim(text)
    if options.layer:
        if options.text or options.causal or options.queries or options.sweep or options.scales:
            parser.error("--layer goes with none of --text, --causal, --queries, --sweep and --scales")
        if options.layer > transformer.LAYERS:
            parser.error(f"--layer {options.layer}: there are {transformer.LAYERS}")
        if max(options.n) > transformer.MOST_TOKENS:
            parser.error(f"--n {max(options.n)}: the transformer reads {transformer.MOST_TOKENS} tokens at most")
        try:
            transformer.operands(1, 1, options.seed)
        except (ImportError, OSError) as error:
            parser.error(f"--layer {options.layer}: {error}")
        options.heads, options.dim = transformer.HEADS, transformer.DIM
    return options


def settings(o: argparse.Namespace) -> list[Setting]:
    points = [(n, scale) for n in (SWEEP_TOKENS if o.sweep else o.n) for scale in o.score_scale]
    if o.scales:
        # Alone, --scales replaces the default problem.
        points = (points if o.sweep else []) + [(SCALES_TOKENS, scale) for scale in SCALES]
    return [
        Setting(n, o.queries or n, scale, o.heads, o.dim, o.causal, o.threads, o.seed, o.text, o.layer)
        for n, scale in dict.fromkeys(points)
    ]


def heading(report: dict[str, Any]) -> str:
    m, s = report["machine"], report["settings"]
    rounds = f"{'up to ' if report['interrupted'] else ''}{s['rounds']}"
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    return (
        f"{m['cpu']}, {m['logical_cpus']} logical CPUs, load {m['load_average'][0]:.2f}; {versions}\n\n"
        f"{s['text'] + ', ' if s['text'] else ''}{'layer ' + str(s['layer']) + ', ' if s['layer'] else ''}H {s['heads']}, D {s['dim']}, "
        f"{str(s['queries']) + ' queries, ' if s['queries'] else ''}{'causal' if s['causal'] else 'no mask'}, float32, threads {s['threads']}, "
        f"medians of {rounds} interleaved rounds\n"
    )


def describe(o: argparse.Namespace, argv: Sequence[str], versions: dict[str, str]) -> dict[str, Any]:
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join(["peers.py", *argv]),
        **commit(),
        "machine": machine(),
        "versions": versions,
        "settings": {name: getattr(o, name) for name in ("heads", "dim", "causal", "threads", "rounds", "seed", "queries", "layer")}
        | {"text": o.text and o.text.name},
    }


def measure(bench: Bench, problems: list[Setting]) -> bool:
    """False where Ctrl-C came first."""
    gc.disable()
    try:
        for setting in problems:
            bench.run(setting)
            gc.collect()
        return True
    except KeyboardInterrupt:
        progress("")
        return False
    finally:
        gc.enable()


def run(argv: Sequence[str]) -> int:
    o = parse(argv)
    progress("compiling")
    eigen = native.eigen_flags(o.eigen)
    ours = native.Ours(o.cxx, eigen, o.build_dir, o.include)
    naive = native.NaiveEigen(o.cxx, eigen, o.build_dir)
    progress("")
    contestants = Field(ours, naive, o.threads, o.entmax_max_n)
    versions = {
        "nadaraya": ours.description,
        "Eigen": naive.description,
        "compiler": native.first_line(native.capture([o.cxx, "--version"])),
        "Python": platform.python_version(),
        "numpy": np.__version__,
        **contestants.versions(),
    }
    report = describe(o, argv, versions)
    bench = Bench(contestants, o.rules, o.passes, o.rounds)
    finished = measure(bench, settings(o))
    results = results_of(bench.rows)
    report |= {"interrupted": not finished, "notes": contestants.notes, "results": results}

    if o.json:
        try:
            o.json.write_text(json.dumps(report, indent=1) + "\n")
        except OSError as error:
            raise Refusal(f"--json {o.json}: {error.strerror}") from None

    print(heading(report))
    print(table(results), LEGEND, sep="\n\n")
    if contestants.notes:
        print("", *(f"- {note}" for note in contestants.notes), sep="\n")
    if not finished:
        print("\nInterrupted: the table holds what had been measured.")
    if o.sweep or o.scales:
        print("", *plots.draw(results, o.plot_dir or o.build_dir), sep="\n")
    if not finished:
        return 130
    return 1 if any(r["wrong"] for r in results) else 0


def main() -> int:
    try:
        return run(sys.argv[1:])
    except Refusal as refusal:
        progress("")
        print(f"peers.py: {refusal}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        progress("")
        return 130
    except BrokenPipeError:  # the reader of the table has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
