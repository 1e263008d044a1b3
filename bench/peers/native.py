"""Builds the two C++ libraries, and calls them."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

OURS_FLAGS = ["-O2"]  # no machine flags: the library picks its vector tier at run time
NAIVE_FLAGS = ["-O3", "-march=native"]


class Refusal(Exception):
    """Something the user can mend; the message is one line."""


def first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else "no message"


def capture(command: list[str]) -> str:
    """Standard output of a command, empty where it is missing or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def eigen_flags(folder: Path | None) -> list[str]:
    if folder is None:
        flags = shlex.split(capture(["pkg-config", "--cflags", "eigen3"]))
        if not capture(["pkg-config", "--modversion", "eigen3"]):
            raise Refusal("--eigen: pkg-config does not know eigen3; name the folder that holds Eigen/Core")
        return flags
    if not (folder / "Eigen" / "Core").is_file():
        raise Refusal(f"--eigen {folder}: it does not hold Eigen/Core")
    return ["-I" + str(folder)]


def cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return "unknown"


def digest(texts: Iterable[str], files: Iterable[Path]) -> str:
    content = hashlib.sha256()
    for text in texts:
        content.update(text.encode() + b"\0")
    for file in files:
        content.update(file.read_bytes())
    return content.hexdigest()[:16]


def build(name: str, flags: list[str], includes: list[str], headers: list[Path], cxx: str, folder: Path) -> ctypes.CDLL:
    """The library made from name.cpp, compiled if it or a file it depends on has changed."""
    if shutil.which(cxx) is None:
        raise Refusal(f"--cxx {cxx}: no such compiler")
    source = HERE / f"{name}.cpp"
    command = [cxx, "-std=c++20", *flags, "-fPIC", "-shared", "-fvisibility=hidden", "-pthread", *includes]
    key = digest([*command, capture([cxx, "--version"]), cpu_model()], [source, HERE / "problem.hpp", *sorted(headers)])
    library = folder / f"{name}-{key}.so"
    if not library.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Refusal(f"--build-dir {folder}: {error.strerror}") from None
        unfinished = library.with_suffix(f".{os.getpid()}.so")
        done = subprocess.run([*command, str(source), "-o", str(unfinished)], capture_output=True, text=True)
        if done.returncode != 0:
            errors = "\n".join(line for line in done.stderr.splitlines() if "error" in line)
            raise Refusal(f"{source.name} does not compile: {first_line(errors or done.stderr)}")
        os.replace(unfinished, library)
    return ctypes.CDLL(str(library))


class Problem(ctypes.Structure):
    _fields_ = [
        ("query", ctypes.c_void_p),
        ("key", ctypes.c_void_p),
        ("value", ctypes.c_void_p),
        ("heads", ctypes.c_int64),
        ("queries", ctypes.c_int64),
        ("tokens", ctypes.c_int64),
        ("dim", ctypes.c_int64),
        ("scale", ctypes.c_double),
        ("causal", ctypes.c_int32),
        ("threads", ctypes.c_int32),
    ]


class Results(ctypes.Structure):
    _fields_ = [
        ("out", ctypes.c_void_p),
        ("grad_out", ctypes.c_void_p),
        ("grad_query", ctypes.c_void_p),
        ("grad_key", ctypes.c_void_p),
        ("grad_value", ctypes.c_void_p),
        ("mean_support", ctypes.POINTER(ctypes.c_double)),
    ]


def address(array: np.ndarray) -> int:
    """Of a contiguous float32 array, which the caller keeps alive."""
    if array.dtype != np.float32 or not array.flags.c_contiguous:
        raise ValueError("the libraries read contiguous float32 arrays")
    return array.ctypes.data


class Ours:
    """ours.cpp."""

    def __init__(self, cxx: str, eigen: list[str], folder: Path, include: Path) -> None:
        headers = [path for path in (include / "nadaraya").rglob("*") if path.is_file()]
        if not headers:
            raise Refusal(f"--include {include}: it does not hold nadaraya/")
        self._library = build("ours", OURS_FLAGS, ["-I" + str(include), *eigen], headers, cxx, folder)
        self._library.ours_run.argtypes = [ctypes.c_char_p, ctypes.POINTER(Problem), ctypes.POINTER(Results)]
        self._library.ours_error.restype = ctypes.c_char_p
        self._library.ours_description.restype = ctypes.c_char_p

    def run(self, rule: bytes, problem: Problem, results: Results) -> None:
        if self._library.ours_run(rule, ctypes.byref(problem), ctypes.byref(results)) != 0:
            raise RuntimeError(self._library.ours_error().decode(errors="replace"))

    @property
    def description(self) -> str:
        return self._library.ours_description().decode()


class NaiveEigen:
    """naive_eigen.cpp."""

    def __init__(self, cxx: str, eigen: list[str], folder: Path) -> None:
        self._library = build("naive_eigen", NAIVE_FLAGS, eigen, [], cxx, folder)
        self._library.naive_run.argtypes = [ctypes.POINTER(Problem), ctypes.c_void_p]
        self._library.naive_error.restype = ctypes.c_char_p
        self._library.naive_description.restype = ctypes.c_char_p

    def run(self, problem: Problem, out: int) -> None:
        if self._library.naive_run(ctypes.byref(problem), out) != 0:
            raise RuntimeError(self._library.naive_error().decode(errors="replace"))

    @property
    def description(self) -> str:
        return self._library.naive_description().decode()
