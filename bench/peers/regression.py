#!/usr/bin/env python3
"""Local regression of nadaraya and of its peers on this machine: statsmodels, and R's locfit, KernSmooth and np.

  pip install ../../examples/python scikit-learn statsmodels
  apt-get install r-base-core r-cran-locfit r-cran-kernsmooth     # where R is wanted; np from CRAN
  python regression.py                                            # agreement, and times for n = 1,000 to 1,000,000

Agreement: the same estimator at the same bandwidths, to 1e-6 of the largest response. Times: bandwidths chosen from the data,
then 1,000 predictions; in seconds of processor time, which threads would divide. Who would take longer than --limit seconds, by the time at the size before, is left out. A peer that is
missing is named.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import numpy as np

    import nadaraya as nd
except ImportError as error:
    sys.exit(f"regression.py: {error.name} is missing; its first lines say how to install it")

from native import cpu_model

HERE = Path(__file__).resolve().parent
QUERIES = 1000
AGREE = 1e-6


@dataclass
class Problem:
    """y = f(x) + noise, x uniform; and queries with their f."""

    x: Any
    y: Any
    at: Any
    truth: Any

    @staticmethod
    def made(n: int, columns: int) -> Problem:
        random = np.random.default_rng(n + columns)

        def f(x: Any) -> Any:
            return np.sin(7 * x[:, 0]) + sum(x[:, d] ** 2 for d in range(1, columns))

        x, at = random.random((n, columns)), random.random((QUERIES, columns))
        return Problem(x, f(x) + 0.3 * random.standard_normal(n), at, f(at))


@dataclass
class Result:
    fit: float
    predict: float
    bandwidth: Any
    values: Any


def clock(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of all processors: other work on the machine does not count."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


# --- contestants: problem -> Result ---


def ours(kernel: str, intervals: bool = False, degree: int = 1) -> Callable[[Problem], Result]:
    def run(p: Problem) -> Result:
        fit, model = clock(lambda: nd.KernelRegressor(kernel, "loo", degree=degree).fit(p.x, p.y))
        predict, values = clock(lambda: model.predict(p.at, return_interval=intervals))
        return Result(fit, predict, model.bandwidth_, values[0] if intervals else values)

    return run


def statsmodels(reg_type: str) -> Callable[[Problem], Result]:
    def run(p: Problem) -> Result:
        from statsmodels.nonparametric.kernel_regression import KernelReg

        fit, model = clock(lambda: KernelReg(p.y, p.x, "c" * p.x.shape[1], reg_type=reg_type, bw="cv_ls"))
        predict, values = clock(lambda: model.fit(p.at)[0])
        return Result(fit, predict, model.bw, values)

    return run


class R:
    """Calls regression.R, where Rscript and a package are."""

    def __init__(self) -> None:
        self.program = shutil.which("Rscript")

    def has(self, package: str) -> bool:
        if self.program is None:
            return False
        command = [self.program, "-e", f'quit(status = !requireNamespace("{package}", quietly = TRUE))']
        return subprocess.run(command, capture_output=True).returncode == 0

    def run(self, task: list[str], p: Problem) -> tuple[dict[str, float], Any]:
        with tempfile.TemporaryDirectory() as folder:
            np.savetxt(f"{folder}/data.csv", np.column_stack([p.y, p.x]), delimiter=",", fmt="%.17g")
            np.savetxt(f"{folder}/at.csv", p.at, delimiter=",", fmt="%.17g")
            command = [str(self.program), str(HERE / "regression.R"), task[0], folder, *task[1:]]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            lines = [line.split() for line in said.splitlines()]
            return {name: float(value) for name, value in lines}, np.loadtxt(f"{folder}/out.csv")

    def contestant(self, package: str) -> Callable[[Problem], Result]:
        def run(p: Problem) -> Result:
            numbers, values = self.run([package], p)
            return Result(numbers["fit_seconds"], numbers["predict_seconds"], numbers["bandwidth"], values)

        return run


# --- the two tables ---


def agreement(r: R) -> bool:
    """Prints the largest difference of the curves at the same bandwidths. True if all agree."""
    print("| peer | estimator | columns | largest difference / largest y |\n|---|---|---:|---:|")
    all_agree = True

    def row(peer: str, what: str, columns: int, mine: Any, theirs: Any, scale: float) -> None:
        nonlocal all_agree
        difference = float(np.abs(mine - theirs).max() / scale)
        all_agree &= difference <= AGREE
        print(f"| {peer} | {what} | {columns} | {difference:.1e}{'' if difference <= AGREE else ' **differs**'} |")

    for columns in (1, 2):
        p = Problem.made(300, columns)
        top = float(np.abs(p.y).max())
        h = 0.1 * np.arange(1, columns + 1)
        if importlib.util.find_spec("statsmodels"):
            from statsmodels.nonparametric.kernel_regression import KernelReg

            for reg_type, degree in (("lc", 0), ("ll", 1)):
                theirs = KernelReg(p.y, p.x, "c" * columns, reg_type=reg_type, bw=h)
                mine = nd.KernelRegressor("gaussian", h, degree=degree, threads=1).fit(p.x, p.y)
                row("statsmodels", f"Gaussian, {reg_type}", columns, mine.predict(p.at), theirs.fit(p.at)[0], top)
                # Their cross-validation is the leave-one-out error.
                error = float(np.ravel(theirs.cv_loo(h, theirs.est[reg_type]))[0])
                row("statsmodels", f"leave-one-out error, {reg_type}", columns, np.array(mine.criterion("loo")), error, error)
        if r.has("locfit"):
            for kernel in ("biweight", "epanechnikov", "gaussian"):
                for degree in (0, 1, 2):
                    wide = h * (1 if kernel == "gaussian" else 3)
                    mine = nd.KernelRegressor(kernel, wide, degree=degree).fit(p.x, p.y)
                    task = ["direct", kernel, str(degree), *(repr(float(one)) for one in wide)]
                    row("locfit", f"{kernel}, degree {degree}", columns, mine.predict(p.x), r.run(task, p)[1], top)
    return all_agree


def loo_error(p: Problem, kernel: str, degree: int, bandwidth: Any) -> float:
    return float(nd.KernelRegressor(kernel, bandwidth, degree=degree).fit(p.x, p.y).criterion("loo"))


def times(r: R, sizes: list[int], columns_of_x: list[int], limit: float) -> None:
    peers: list[tuple[str, Callable[[Problem], Result], tuple[str, int] | None, int, float]] = [
        # name, run, kernel and degree of a leave-one-out error to compare, most columns, growth of the time with n
        ("nadaraya, biweight", ours("biweight"), ("biweight", 1), 9, 1.3),
        ("nadaraya, biweight, with intervals", ours("biweight", intervals=True), ("biweight", 1), 9, 1.3),
        ("nadaraya, Gaussian", ours("gaussian"), ("gaussian", 1), 9, 2.0),
        ("nadaraya, Gaussian, degree 0", ours("gaussian", degree=0), ("gaussian", 0), 9, 2.0),
    ]
    if importlib.util.find_spec("statsmodels"):
        peers.append(("statsmodels ll, Gaussian", statsmodels("ll"), ("gaussian", 1), 9, 2.0))
        peers.append(("statsmodels lc, Gaussian", statsmodels("lc"), ("gaussian", 0), 9, 2.0))
    else:
        print("left out: statsmodels is not installed")
    for package, columns in (("locfit", 9), ("KernSmooth", 1), ("np", 9)):
        if r.has(package):
            peers.append((f"{package}", r.contestant(package), None, columns, 2.0 if package == "np" else 1.0))
        else:
            print(f"left out: R's {package} is not installed")
    print("\n| columns | n | peer | selection, CPU s | 1,000 predictions, CPU s | leave-one-out error | RMSE |")
    print("|---:|---:|---|---:|---:|---:|---:|")
    for columns in columns_of_x:
        expected = {name: 0.0 for name, *_ in peers}
        last = sizes[0]
        for n in sizes:
            p = Problem.made(n, columns)
            for name, run, kernel, most, growth in peers:
                if columns > most or expected[name] * (n / last) ** growth > limit:
                    expected[name] = math.inf
                    continue
                try:
                    result = run(p)
                except (subprocess.CalledProcessError, MemoryError) as failure:
                    print(f"| {columns} | {n:,} | {name} | failed: {str(getattr(failure, 'stderr', failure)).strip()} | | | |")
                    expected[name] = math.inf
                    continue
                expected[name] = result.fit + result.predict
                error = "" if kernel is None or n > 20000 else f"{loo_error(p, *kernel, result.bandwidth):.6f}"
                rmse = float(np.sqrt(np.mean((result.values - p.truth) ** 2)))
                print(f"| {columns} | {n:,} | {name} | {result.fit:.3g} | {result.predict:.2g} | {error} | {rmse:.4f} |", flush=True)
            last = n


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10000, 100000, 1000000])
    parser.add_argument("--columns", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for one peer and size (default 300)")
    arguments = parser.parse_args()
    print(f"{cpu_model()}, Python {platform.python_version()}, nadaraya {nd.__version__}\n")
    r = R()
    agree = agreement(r)
    print("\nKernSmooth cuts its Gaussian at four standard deviations and bins the points: its curves differ by the cut and the")
    print("bins, and tests/data/regression compares them with such a kernel.\n")
    times(r, sorted(arguments.sizes), arguments.columns, arguments.limit)
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
