#!/usr/bin/env python3
"""The two pictures, drawn by gnuplot: time_against_n.svg and speedup_against_support.svg. peers.py draws them when it
has measured; from the file that its --json wrote, they are drawn again by

  python plots.py results.json --plot-dir DIR
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

Result = dict[str, Any]
Points = list[tuple[float, float]]

OURS = "nadaraya"
COLORS = {"softmax": "#555555", "sparsemax": "#0072b2", "1.5-entmax": "#009e73", "4/3-entmax": "#d55e00"}
SOFTMAX_PEERS = {"ONNX Runtime": "#cc79a7", "PyTorch": "#e69f00", "naive Eigen": "#999999"}

PREAMBLE = """\
set terminal svg size {width},540 background 'white' font 'Helvetica,14'
set output '{name}.svg'
set border 3 lc rgb '#555555'
set tics nomirror out tc rgb '#333333'
set grid lc rgb '#e4e4e4' lw 1 dt 1
set key top left Left reverse samplen 2.5 spacing 1.1 tc rgb '#333333'
"""


def style(peer: str, rule: str) -> str:
    """The library's lines are solid, its peers' dashed; colours tell rules apart, and the softmax peers."""
    color = COLORS[rule]
    if peer == OURS:
        return f"with linespoints lw 2.5 pt 7 ps 0.6 lc rgb '{color}'"
    if rule == "softmax":
        color = SOFTMAX_PEERS.get(peer, color)
    return f"with linespoints lw 2 dt 2 pt 6 ps 0.6 lc rgb '{color}'"


def commonest(results: list[Result], fixed: str, varied: str) -> Any:
    """The value of `fixed` at which `varied` takes the most values, None where it takes only one."""
    values: dict[Any, set[Any]] = defaultdict(set)
    for r in results:
        values[r[fixed]].add(r[varied])
    best = max(values, key=lambda value: len(values[value]), default=None)
    return best if best is not None and len(values[best]) > 1 else None


def curves(results: list[Result], x: str, y: Callable[[Result], float]) -> dict[tuple[str, str], Points]:
    """A line for each contestant and rule."""
    lines: dict[tuple[str, str], Points] = defaultdict(list)
    for r in results:
        lines[r["peer"], r["rule"]].append((r[x], y(r)))
    return {key: sorted(points) for key, points in lines.items()}


def panel(number: int, title: str, lines: dict[tuple[str, str], Points], more: str = "") -> str:
    """Data blocks and a plot command."""
    blocks, plotted = [], []
    for i, ((peer, rule), points) in enumerate(lines.items()):
        name = f"$p{number}_{i}"
        blocks.append(f"{name} << EOD\n" + "".join(f"{a:.6g} {b:.6g}\n" for a, b in points) + "EOD\n")
        plotted.append(f"{name} using 1:2 {style(peer, rule)} title '{peer}, {rule}'")
    return "".join(blocks) + f"set title '{title}'\nplot " + ", \\\n  ".join(plotted) + more + "\n"


def ranges(lines: dict[tuple[str, str], Points]) -> str:
    """What logarithmic axes show: the points, and a little room around them."""
    x, y = zip(*(point for points in lines.values() for point in points))
    return f"set xrange [{min(x) / 1.2:g}:{max(x) * 1.2:g}]\nset yrange [{min(y) / 1.3:g}:{max(y) * 1.3:g}]\n"


def script(name: str, settings: str, panels: list[str]) -> str:
    head = PREAMBLE.format(width=620 * len(panels), name=name) + settings
    return head + f"set multiplot layout 1,{len(panels)}\n" + "".join(panels) + "unset multiplot\n"


def time_against_n(results: list[Result]) -> str | None:
    scale = commonest(results, "score_scale", "tokens")
    if scale is None:
        return None
    chosen = [r for r in results if r["score_scale"] == scale]
    ticks = ", ".join(str(n) for n in sorted({r["tokens"] for r in chosen}))
    settings = (
        f"set logscale xy\nset xtics ({ticks})\nset ytics add (2, 5, 20, 50, 200, 500, 2000, 5000)\n"
        "set xlabel 'tokens'\nset ylabel 'milliseconds'\nset key outside below\n"
    )
    panels = []
    for name in dict.fromkeys(r["pass"] for r in chosen):
        lines = curves([r for r in chosen if r["pass"] == name], "tokens", lambda r: r["median_ms"])
        panels.append(ranges(lines) + panel(len(panels), f"{name}, score scale {scale:g}", lines))
    return script("time_against_n", settings, panels)


def reference_of(results: list[Result]) -> str | None:
    """The softmax peer that is quickest over all the problems, so that one curve has one reference."""
    total: dict[str, list[float]] = defaultdict(list)
    for r in results:
        if r["rule"] == "softmax" and r["peer"] != OURS:
            total[r["peer"]].append(r["median_ms"])
    most = max(map(len, total.values()), default=0)
    return min((peer for peer in total if len(total[peer]) == most), key=lambda peer: sum(total[peer]), default=None)


def speedup_against_support(results: list[Result]) -> str | None:
    tokens = commonest(results, "tokens", "score_scale")
    if tokens is None:
        return None
    chosen = [r for r in results if r["tokens"] == tokens]
    panels = []
    for name in dict.fromkeys(r["pass"] for r in chosen):
        within = [r for r in chosen if r["pass"] == name]
        reference = reference_of(within)
        if reference is None:
            continue
        dense = {r["score_scale"]: r["median_ms"] for r in within if r["peer"] == reference and r["rule"] == "softmax"}
        sparse = [r for r in within if r["peer"] == OURS and r["rule"] != "softmax" and r["score_scale"] in dense]
        lines = curves(sparse, "mean_support", lambda r: dense[r["score_scale"]] / r["median_ms"])
        even = f", \\\n  1 with lines lw 1.5 dt 3 lc rgb '#555555' title 'softmax, {reference}'"
        if lines:
            panels.append(panel(len(panels), f"{name}, {tokens} tokens", lines, even))
    if not panels:
        return None
    settings = (
        "set logscale x\nset xlabel 'mean support (keys with weight)'\nset ylabel 'times as fast'\n"
        "set yrange [0:*]\nset offsets graph 0.02, graph 0.02, graph 0.3, 0\nset key top right\n"
    )
    return script("speedup_against_support", settings, panels)


def draw(results: list[Result], folder: Path) -> list[str]:
    """Writes the scripts and has gnuplot draw them. Returns a line on each picture."""
    said = []
    right = [r for r in results if not r["wrong"]]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("time_against_n", time_against_n(right)),
            ("speedup_against_support", speedup_against_support(right)),
        ):
            if text is None:
                continue
            (folder / f"{name}.gp").write_text(text)
            if shutil.which("gnuplot") is None:
                said.append(f"no {name}.svg: gnuplot is missing; then: cd {folder} && gnuplot {name}.gp")
                continue
            done = subprocess.run(["gnuplot", f"{name}.gp"], cwd=folder, capture_output=True, text=True)
            drawn = done.returncode == 0
            said.append(f"picture: {folder / name}.svg" if drawn else f"no {name}.svg: gnuplot failed on {name}.gp")
    except OSError as error:
        said.append(f"no pictures in {folder}: {error.strerror}")
    return said or ["no pictures: they need several N at one score scale, or several score scales at one N"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="written by peers.py --json")
    parser.add_argument("--plot-dir", type=Path, default=Path("."), metavar="DIR", help="of the pictures (default: .)")
    options = parser.parse_args()
    try:
        results = json.loads(options.results.read_text())["results"]
    except (OSError, ValueError, KeyError) as error:
        print(f"plots.py: {options.results}: {error}", file=sys.stderr)
        return 1
    print(*draw(results, options.plot_dir), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
