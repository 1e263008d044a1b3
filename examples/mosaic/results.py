#!/usr/bin/env python3
"""Trains and evaluates the models of RESULTS.md, many at a time, and writes its tables and plots.

  results.py --mosaic build/examples/mosaic --text tinyshakespeare.txt --output-dir results
  results.py ... --rows lengths/1/sort          only the rows whose names begin so
  results.py ... --list                         the commands, without running them

A row that is finished is not run again. One that was interrupted, by --minutes or by hand, continues from its checkpoint.
"""
import argparse
import json
import os
import pathlib
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import time

KERNELS = ["softmax", "epanechnikov", "biweight", "triweight", "entmax", "norm_relu", "relumax", "topk_softmax", "topk_uniform"]
SEEDS = [1, 2, 3]
SMALL = "--heads 4 --width 64 --pairs 64 --learning-rate 4e-3 --neighbors 4"
TASKS = {
    "copy": "--layers 2 --alphabet 16 --longest 8 --batch 32 --steps 1500",
    "reverse": "--layers 2 --alphabet 16 --longest 8 --batch 32 --steps 3500",
    "sort": "--layers 2 --alphabet 16 --longest 8 --batch 32 --steps 3000",
    "mqmtar": "--layers 4 --alphabet 64 --shortest 30 --longest 32 --batch 16 --steps 5000",
}
AUTOMATA = "--layers 2 --longest 9 --batch 8 --steps 1000"
EXAMPLES = [200, 1000, 8000]


class Row:
    def __init__(self, name, train, evaluate):
        self.name, self.train, self.evaluate = name, train, evaluate

    def commands(self, o):
        folder = o.output_dir / self.name
        train = [o.mosaic, "train", "--output-dir", str(folder), "--resume", "--threads", str(o.threads)] + self.train
        commands = [(folder / "train.json", train)]
        if self.evaluate is not None:
            checkpoint = str(folder / "checkpoint.safetensors")
            commands.append((folder / "evaluate.json", [o.mosaic, "evaluate", "--checkpoint", checkpoint, "--threads", str(o.threads)] + self.evaluate))
        return commands


def rows(text):
    for seed in SEEDS:
        for kernel in KERNELS:
            train = f"--kernel {kernel} --seed {seed}"
            yield Row(f"language/{seed}/{kernel}", ["--text", text] + train.split(), None)
    for seed in SEEDS:
        for task, sizes in TASKS.items():
            for kernel in KERNELS:
                train = f"--task {task} {sizes} {SMALL} --kernel {kernel} --seed {seed}"
                yield Row(f"lengths/{seed}/{task}/{kernel}", train.split(), ["--examples", "200"])
    for seed in SEEDS:
        for examples in EXAMPLES:
            for kernel in KERNELS:
                train = f"--task automata {AUTOMATA} {SMALL} --examples {examples} --kernel {kernel} --seed {seed}"
                yield Row(f"automata/{seed}/{examples}/{kernel}", train.split(), ["--examples", "100"])


def run(todo, o):
    """Runs commands side by side until all are done or the time is up."""
    end = time.monotonic() + 60 * o.minutes
    waiting, running, failed = [row.commands(o) for row in todo], {}, []
    while waiting or running:
        for process, (target, rest, started) in list(running.items()):
            if process.poll() is None:
                continue
            del running[process]
            if process.returncode == 0:
                target.with_suffix(".part").rename(target)
                print(f"{time.monotonic() - started:7.1f} s  {target}", flush=True)
                waiting.insert(0, rest)
            elif process.returncode not in (143, -signal.SIGTERM):
                failed.append(target)
                print(f"failed with {process.returncode}: {target}", flush=True)
        if time.monotonic() > end:
            waiting = []
            for process in running:
                process.terminate()
            for process in running:
                process.wait()
            continue
        while waiting and len(running) < o.jobs:
            commands = [(target, command) for target, command in waiting.pop(0) if not target.exists()]
            if not commands:
                continue
            target, command = commands[0]
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target.with_suffix(".part"), "w") as out:
                running[subprocess.Popen(command, stdout=out)] = (target, commands[1:], time.monotonic())
        time.sleep(0.1)
    return failed


def load(o, pattern, name):
    """What the rows that match reported, by the parts of their names."""
    return {f.parent.relative_to(o.output_dir).parts[1:]: json.loads(f.read_text()) for f in sorted(o.output_dir.glob(pattern + "/" + name))}


def spread(values, digits):
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def table(head, lines):
    bar = ["---" if i == 0 else "---:" for i in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, bar] + lines) + "\n"


def language_table(o):
    found = load(o, "language/*/*", "train.json")
    lines = []
    for kernel in KERNELS:
        runs = [r for (_, k), r in found.items() if k == kernel]
        if runs:
            column = lambda name, digits: spread([r[name] for r in runs], digits)
            fewest = min(r["threads"] for r in runs)
            speed = statistics.mean(r["tokens_per_second"] for r in runs if r["threads"] == fewest)
            lines.append([kernel, str(len(runs)), column("validation_loss", 3), column("mean_support", 1), column("empty_share_at_first", 3), column("empty_share", 3), f"{speed:,.0f}"])
    return table(["kernel", "seeds", "validation loss", "mean support", "empty rows at first", "at the end", "tokens/s"], lines)


def accuracies(o, task, kernel, what):
    """By length, the values of the seeds."""
    found = load(o, f"lengths/*/{task}/{kernel}", "evaluate.json")
    result = {}
    for report in found.values():
        for at in report["results"]:
            result.setdefault(at["length"], []).append(at[what])
    return result


def lengths_tables(o):
    text = ""
    for task in TASKS:
        for what in ("token_accuracy", "exact_match"):
            lines = []
            for kernel in KERNELS:
                by_length = accuracies(o, task, kernel, what)
                if by_length:
                    lengths = sorted(by_length)
                    lines.append([kernel, str(len(by_length[lengths[0]]))] + [spread(by_length[n], 3) for n in lengths])
            if lines:
                text += f"\n{task}, {what.replace('_', ' ')} at length\n\n" + table(["kernel", "seeds"] + [str(n) for n in lengths], lines)
    return text


def distances(o, kernel, examples):
    """Of the seeds: the distances over all words, and those by the words seen before."""
    models = [r["results"]["model"] for r in load(o, f"automata/*/{examples}/{kernel}", "evaluate.json").values()]
    return [m["distance"] for m in models], list(zip(*(m["by_words"] for m in models)))


def others(o):
    """What those know that learn nothing beforehand, if a row reported it: the same in every report."""
    found = load(o, "automata/*/*/*", "evaluate.json")
    return next(iter(found.values()))["results"] if found else {}


def automata_table(o):
    lines = []
    for kernel in KERNELS:
        by_examples = [distances(o, kernel, n)[0] for n in EXAMPLES]
        if any(by_examples):
            lines.append([kernel, str(max(map(len, by_examples)))] + [spread(d, 3) if d else "" for d in by_examples])
    known = others(o)
    for who in ("2-gram", "3-gram", "4-gram", "uniform"):
        if who in known:
            lines.append([who, ""] + [f"{known[who]['distance']:.3f}"] * len(EXAMPLES))
    return table(["training examples", "seeds"] + [str(n) for n in EXAMPLES], lines)


COLORS = ["#000000", "#e69f00", "#56b4e9", "#009e73", "#d55e00", "#0072b2", "#cc79a7", "#999999", "#b8a000", "#8b4513", "#444444", "#bbbbbb"]


def curves(panels, path, size):
    """An SVG of panels side by side: (title, settings, [(name, [(x, y, spread)])]). One key, on the right."""
    script = f"set terminal svg size {size} font 'sans,13' background '#ffffff'\nset output '{path}'\n"
    script += f"set multiplot layout 1,{len(panels)} margins 0.06,0.84,0.14,0.9 spacing 0.045\nset grid lc rgb '#dddddd'\nset offsets graph 0.04, graph 0.04\nunset key\n"
    for p, (title, settings, lines) in enumerate(panels):
        plots = []
        for i, (name, points) in enumerate(lines):
            script += f"$d{p}_{i} << E\n" + "".join(f"{x} {y} {s}\n" for x, y, s in points) + "E\n"
            plots.append(f"$d{p}_{i} using 1:2:3 with yerrorlines lw 1.5 pt 7 ps 0.4 lc rgb '{COLORS[i]}' title '{name}' noenhanced")
        if p == len(panels) - 1:
            script += "set key at screen 0.99,0.9 noenhanced\n"
        script += f"set title '{title}'\n{settings}\nplot {', '.join(plots)}\n"
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def point(x, values):
    return x, statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0


def plots(o):
    panels = []
    for task in TASKS:
        lines = []
        for kernel in KERNELS:
            points = [point(n, v) for n, v in sorted(accuracies(o, task, kernel, "token_accuracy").items())]
            if points:
                lines.append((kernel, points))
        if lines:
            first = "set ylabel 'token accuracy'" if not panels else "set ylabel ''"
            panels.append((task, f"set logscale x 2\nset yrange [0:1.05]\nset xlabel 'length of source'\n{first}", lines))
    if panels:
        curves(panels, o.output_dir / "lengths.svg", "1400,420")
    by_examples, by_words = [], []
    for kernel in KERNELS:
        points = [point(n, d) for n in EXAMPLES if (d := distances(o, kernel, n)[0])]
        if points:
            by_examples.append((kernel, points))
        words = distances(o, kernel, EXAMPLES[-1])[1]
        if words:
            by_words.append((kernel, [point(i, d) for i, d in enumerate(words)]))
    known = others(o)
    for who in ("2-gram", "3-gram", "uniform"):
        if who in known:
            by_examples.append((who, [(n, known[who]["distance"], 0) for n in EXAMPLES]))
            by_words.append((who, [(i, y, 0) for i, y in enumerate(known[who]["by_words"])]))
    if by_examples:
        common = "set yrange [0.2:0.9]\n"
        curves([("all words", common + "set ylabel 'total variation distance'\nset logscale x 2\nset xlabel 'training examples'", by_examples),
                (f"{EXAMPLES[-1]} training examples", common + "set ylabel ''\nunset logscale x\nset xlabel 'words seen before in the sequence'", by_words)],
               o.output_dir / "automata.svg", "1200,460")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mosaic", default="build/examples/mosaic", help="the program")
    parser.add_argument("--text", default="tinyshakespeare.txt", help="text of the language table")
    parser.add_argument("--output-dir", type=pathlib.Path, default="results", help="where rows, tables and plots go")
    parser.add_argument("--rows", nargs="+", default=[""], help="beginnings of names of rows, in the order wanted")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="commands at a time")
    parser.add_argument("--threads", type=int, default=1, help="threads of each")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so many")
    parser.add_argument("--list", action="store_true", help="print the commands of the rows")
    o = parser.parse_args()
    all_rows = list(rows(o.text))
    todo = list(dict.fromkeys(row for name in o.rows for row in all_rows if row.name.startswith(name)))
    if not todo:
        sys.exit("results.py: no row has a name that begins so")
    if o.list:
        for row in todo:
            print("\n".join(shlex.join(command) for _, command in row.commands(o)))
        return
    failed = run(todo, o)
    (o.output_dir / "tables.md").write_text(language_table(o) + "\n" + lengths_tables(o) + "\n" + automata_table(o))
    if shutil.which("gnuplot"):
        plots(o)
    else:
        print("without gnuplot there are no plots")
    if failed:
        sys.exit(f"results.py: {len(failed)} rows failed")


main()
