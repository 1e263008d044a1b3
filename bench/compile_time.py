#!/usr/bin/env python3
"""Compile time of small programs that use nadaraya, relative to the same attention written with Eigen.

For each program: processor time of the compiler (median of interleaved rounds), its ratio to the program in brackets,
and the size of the object's code. "compiled" means with -DNADARAYA_COMPILED, for linking nadaraya_compiled, whose own
translation units come last.

    bench/compile_time.py [--compiler g++] [--flags="-O2"] [--rounds 3] [--eigen /usr/include/eigen3]
"""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

ATTEND = """#include <nadaraya/attend.hpp>
#include <nadaraya/kernel/rectified_polynomial.hpp>
using Matrix = Eigen::MatrixXf;
Matrix f(const Matrix& q, const Matrix& k, const Matrix& v) {
  using namespace nadaraya;
  return attend(Biweight{}, Adaptive{}, q, k, v);
}
"""

BACKWARD = """#include <nadaraya/kernel/rectified_polynomial.hpp>
#include <nadaraya/nadaraya_watson.hpp>
using Matrix = Eigen::MatrixXf;
Matrix f(const Matrix& q, const Matrix& k, const Matrix& v) {
  using namespace nadaraya;
  const NadarayaWatson op{Biweight{}, Adaptive{}};
  Matrix out;
  const auto tape = op.forward(q, k, v, out);
  return op.backward(tape, out).query;
}
"""

OWN_KERNEL = """#include <nadaraya/attend.hpp>
#include <nadaraya/definitions.hpp>
struct SmoothStep {
  static constexpr bool compact = true;
  static constexpr bool elementwise = true;
  static constexpr double width() { return 1.5; }
  template <class S>
  S profile(S t) const {
    return t * t * (S(3) - t - t);
  }
  template <class S>
  S derivative(S t) const {
    return S(6) * t * (S(1) - t);
  }
};
using Matrix = Eigen::MatrixXf;
Matrix f(const Matrix& q, const Matrix& k, const Matrix& v) {
  using namespace nadaraya;
  return attend(SmoothStep{}, Adaptive{}, q, k, v);
}
"""

COMPILED = "#define NADARAYA_COMPILED\n"
LIBRARY = "#define NADARAYA_COMPILED\n#define NADARAYA_SOURCE_SCALAR {}\n#include <{}>\n"
INCLUDE = pathlib.Path(__file__).resolve().parent.parent / "include"

# name, the program it is compared with, source
PROGRAMS = [
    ("Eigen/Core alone", None, "#include <Eigen/Core>\n"),
    ("nadaraya.hpp alone", "Eigen/Core alone", "#include <nadaraya/nadaraya.hpp>\n"),
    ("nadaraya.hpp alone, compiled", "Eigen/Core alone", COMPILED + "#include <nadaraya/nadaraya.hpp>\n"),
    (
        "softmax attention in Eigen",
        None,
        """#include <Eigen/Core>
using Matrix = Eigen::MatrixXf;
Matrix f(const Matrix& q, const Matrix& k, const Matrix& v) {
  Matrix p = q * k.transpose() / std::sqrt(float(q.cols()));
  p = (p.colwise() - p.rowwise().maxCoeff()).array().exp().matrix();
  return p.rowwise().sum().cwiseInverse().asDiagonal() * (p * v);
}
""",
    ),
    ("attend, 1.5-entmax, header-only", "softmax attention in Eigen", ATTEND),
    ("attend, 1.5-entmax, compiled", "softmax attention in Eigen", COMPILED + ATTEND),
    ("forward + backward, 1.5-entmax, header-only", "softmax attention in Eigen", BACKWARD),
    ("forward + backward, 1.5-entmax, compiled", "softmax attention in Eigen", COMPILED + BACKWARD),
    ("attend, a kernel of one's own, header-only", "softmax attention in Eigen", OWN_KERNEL),
    ("attend, a kernel of one's own, compiled", "softmax attention in Eigen", COMPILED + OWN_KERNEL),
    *(
        (f"nadaraya_compiled, compiled/{part}_source.ipp", None, COMPILED + f"#include <nadaraya/compiled/{part}_source.ipp>\n")
        for part in ("options", "thread_pool")
    ),
    *(
        (f"nadaraya_compiled, {part} for {scalar}", None, LIBRARY.format(scalar, part))
        for scalar in ("float", "double")
        for part in sorted(path.relative_to(INCLUDE).as_posix() for path in INCLUDE.glob("nadaraya/compiled/[ep]*_source.ipp"))
    ),
]


def compile_once(command: list[str]) -> float:
    """Processor seconds of the command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{result.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def code_size(path: pathlib.Path) -> int:
    """Bytes of code in an object file, by binutils' size."""
    lines = subprocess.run(["size", str(path)], capture_output=True, text=True, check=True).stdout.splitlines()
    return int(lines[1].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", default=os.environ.get("CXX", "g++"))
    parser.add_argument("--flags", default="-O2", help="options of the compiler, separated by spaces")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--eigen", default="/usr/include/eigen3", help="folder of Eigen's headers")
    arguments = parser.parse_args()

    times: dict[str, list[float]] = {name: [] for name, _, _ in PROGRAMS}
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for round_number in range(arguments.rounds):
            for index, (name, _, source) in enumerate(PROGRAMS):
                file = pathlib.Path(folder) / f"{index}.cpp"
                file.write_text(source)
                command = [arguments.compiler, "-std=c++20", *arguments.flags.split(), f"-I{INCLUDE}", "-isystem",
                           arguments.eigen, "-c", str(file), "-o", str(file.with_suffix(".o"))]
                print(f"round {round_number + 1} of {arguments.rounds}: {name}", file=sys.stderr)
                times[name].append(compile_once(command))
                sizes[name] = code_size(file.with_suffix(".o"))

    version = subprocess.run([arguments.compiler, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    print(f"{version}, {arguments.flags}, medians of {arguments.rounds} rounds\n")
    print("| program | seconds | ratio | code, kB |")
    print("|---|---:|---:|---:|")
    for name, base, _ in PROGRAMS:
        seconds = statistics.median(times[name])
        ratio = "" if base is None else f"{statistics.median(a / b for a, b in zip(times[name], times[base])):.2f} ({base})"
        print(f"| {name} | {seconds:.2f} | {ratio} | {sizes[name] / 1000:.0f} |")


if __name__ == "__main__":
    main()
