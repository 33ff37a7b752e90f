"""Every finite binary32 input of each kernel, in C: ``python -m proofs.exhaustive``.

The report is proofs/exhaustive.json. Notation: x an entry of the proposed update, c the speed
limit; for ζ a gradient entry and the largest one.
"""

import ctypes
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.files import write_atomically
from analysis.forms import read_json
from analysis.rounding import rounded_limit

from .outcome import FAILS, IN_RECORD, NOT_CHECKED, Outcome

SOURCE = Path(__file__).with_name("exhaustive.c")
REPORT = Path(__file__).with_name("exhaustive.json")
FLAGS = ("-std=c11", "-O2", "-ffp-contract=off", "-fno-fast-math", "-shared", "-fPIC")
LIMITS: Mapping[str, tuple[float, ...]] = {
    "smooth": (0.1, 1.0, 1e-6),
    "smooth_branched": (0.1, 1.0, 1e-6),
    "naive": (0.1, 1.0),
    "hypot": (0.1,),
    "tanh": (0.1, 1.0),
    "zeta": (0.1, 1e3),
    "zeta_over_half": (0.1,),
}
"""Kernel, in the order of exhaustive.c → the values of c."""

KERNELS = tuple(LIMITS)
COMPARED = {"smooth_branched", "naive"}
CHUNK = 2**26


class Findings(ctypes.Structure):
    """What a sweep counts; see exhaustive.c."""

    _fields_ = (
        *(
            (name, ctypes.c_uint64)
            for name in (
                "inputs",
                "not_finite",
                "beyond_limit",
                "amplified",
                "vanished",
                "falls",
                "differs",
            )
        ),
        *(
            (name, ctypes.c_uint32)
            for name in ("first_beyond_limit", "first_vanished", "largest_result")
        ),
    )


class Compiled(NamedTuple):
    """The kernels in C.

    Attributes
    ----------
    library
        What the compiler made.
    compiler
        Its name and version.
    """

    library: Any
    compiler: str

    def apply(self, kernel: str, x: NDArray[np.float32], c: float) -> NDArray[np.float32]:
        """Return what a kernel makes of an array."""
        result = np.empty_like(x)
        pointer = ctypes.POINTER(ctypes.c_float)
        self.library.apply(
            KERNELS.index(kernel),
            np.ascontiguousarray(x).ctypes.data_as(pointer),
            ctypes.c_float(c),
            result.ctypes.data_as(pointer),
            ctypes.c_uint64(x.size),
        )
        return result

    def sweep(self, kernel: str, c: float, first: int, last: int) -> Findings:
        """Return what a kernel does with the inputs of a range of bit patterns."""
        found = Findings()
        self.library.sweep(
            KERNELS.index(kernel),
            ctypes.c_uint64(first),
            ctypes.c_uint64(last),
            ctypes.c_float(c),
            kernel in COMPARED,
            ctypes.byref(found),
        )
        return found


def compiler() -> str | None:
    """Return the C compiler, None if there is none."""
    return shutil.which(os.environ.get("CC", "cc"))


@contextmanager
def compiled() -> Iterator[Compiled]:
    """Compile the kernels.

    Raises
    ------
    FileNotFoundError
        If there is no C compiler.
    """
    command = compiler()
    if command is None:
        raise FileNotFoundError("no C compiler: expected one called cc, or named by CC")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "kernels.so"
        arguments = [command, *FLAGS, str(SOURCE), "-o", str(library), "-lm"]
        subprocess.run(arguments, check=True, timeout=60)
        version = subprocess.run(
            [command, "--version"], check=True, timeout=60, capture_output=True, text=True
        ).stdout.splitlines()[0]
        yield Compiled(ctypes.CDLL(str(library)), version)


class Expectation(NamedTuple):
    """What the report must say for an entry to stand.

    Attributes
    ----------
    kernel
        An element of `KERNELS`.
    none
        What must never be found, at no limit.
    some
        What must be found at some limit: the witness of a refutation.
    mutant
        A kernel of which something in ``none`` is found.
    """

    kernel: str
    none: tuple[str, ...] = ()
    some: str = ""
    mutant: str = ""


_LIMITED = ("not_finite", "beyond_limit", "amplified")

EXPECTATIONS: Mapping[str, Expectation] = {
    "torch-kernel-in-binary32": Expectation("smooth", _LIMITED, mutant="naive"),
    "numpy-kernel-in-binary32": Expectation("smooth_branched", ("differs",), mutant="naive"),
    "kernel-falls-by-a-unit-in-binary32": Expectation("smooth", ("falls",), mutant="naive"),
    "tanh-kernel-in-binary32": Expectation("tanh", ("not_finite", "beyond_limit"), mutant="naive"),
    "tanh-kernel-amplifies-with-libm": Expectation("tanh", some="amplified"),
    "zeta-in-binary32": Expectation("zeta", ("not_finite", "amplified"), mutant="zeta_over_half"),
    "naive-kernel-vanishes-in-binary32": Expectation("naive", some="vanished"),
    "naive-kernel-exceeds-in-binary32": Expectation("naive", some="beyond_limit"),
    "hypot-kernel-vanishes-in-binary32": Expectation("hypot", some="vanished"),
    "hypot-kernel-exceeds-in-binary32": Expectation("hypot", some="beyond_limit"),
}
"""Expectations by the id of their entry."""

Report = Mapping[str, Any]

FORM = {
    **dict.fromkeys(("compiler", "processor", "system", "libc", "digest"), str),
    "flags": [str],
    "seconds": int,
    "sweeps": [
        {
            "kernel": str,
            "c": float,
            **{
                name: (float, None) if name.startswith("first_") else float
                for name, *_ in Findings._fields_
            },
        }
    ],
}
"""What a report holds."""


def digest() -> str:
    """Return a hash of what the report depends on in this repository."""
    asked = json.dumps([FLAGS, list(LIMITS.items())])
    return hashlib.sha256(SOURCE.read_bytes() + asked.encode()).hexdigest()


def recorded() -> Report | None:
    """Return the committed report; None if the kernels have changed since."""
    report: Report = read_json(REPORT, FORM)
    return report if report["digest"] == digest() else None


def found(report: Report, kernel: str, what: str) -> int:
    """Return how many inputs a report counts, at all limits together."""
    return sum(row[what] for row in report["sweeps"] if row["kernel"] == kernel)


def stands(expectation: Expectation, report: Report) -> bool:
    """Return whether a report, which has looked at everything, is as expected.

    That is, of the kernel and of its mutant.
    """
    kernel, none, some, mutant = expectation
    clean = not any(found(report, kernel, what) for what in none)
    caught = not mutant or any(found(report, mutant, what) for what in none)
    return _is_whole(report) and clean and caught and (not some or found(report, kernel, some) > 0)


def _is_whole(report: Report) -> bool:
    """Return whether a report has every kernel with every limit, and all finite inputs."""
    asked = [
        (kernel, float(rounded_limit(c, "binary32")))
        for kernel, limits in LIMITS.items()
        for c in limits
    ]
    rows = report["sweeps"]
    return [(row["kernel"], row["c"]) for row in rows] == asked and all(
        row["inputs"] == 2**32 - 2**24
        for row in rows  # but ±∞ and NaN
    )


def decide(name: str) -> Outcome:
    """Say what the report says of an entry: it is not checked here."""
    report = recorded()
    if report is None:
        return Outcome(NOT_CHECKED, note="the kernels have changed since the report")
    if stands(EXPECTATIONS[name], report):
        return Outcome(NOT_CHECKED, note=IN_RECORD)
    return Outcome(FAILS, note="the report says otherwise")


def run(kernels: Compiled, end: int = 2**32) -> Report:
    """Return the report on every input below a bit pattern; it takes every processor."""
    start = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        sweeps = [
            _swept(kernels, kernel, float(rounded_limit(c, "binary32")), end, pool.map)
            for kernel, limits in LIMITS.items()
            for c in limits
        ]
    return {
        "compiler": kernels.compiler,
        "flags": list(FLAGS),
        "processor": platform.machine(),
        "system": platform.platform(terse=True),
        "libc": " ".join(platform.libc_ver()),
        "digest": digest(),
        "seconds": round(time.perf_counter() - start),
        "sweeps": sweeps,
    }


def _swept(
    kernels: Compiled, kernel: str, c: float, end: int, each: Callable[..., Any]
) -> dict[str, Any]:
    starts = range(0, end, CHUNK)
    parts = list(each(lambda b: kernels.sweep(kernel, c, b, min(b + CHUNK, end)), starts))
    row: dict[str, Any] = {"kernel": kernel, "c": c}
    for name, *_ in Findings._fields_:
        values = [getattr(part, name) for part in parts]
        if name.startswith("first_"):
            counts = [getattr(part, name.removeprefix("first_")) for part in parts]
            sizes = [value for value, count in zip(values, counts, strict=True) if count]
            row[name] = _number(min(sizes)) if sizes else None
        else:
            row[name] = _number(max(values)) if name == "largest_result" else sum(values)
    return row


def _number(bits: int) -> float:
    return float(np.uint32(bits).view(np.float32))


def main() -> int:
    """Run through all inputs, write the report, and return how many entries do not stand."""
    with compiled() as kernels:
        report = run(kernels)
    write_atomically(REPORT, json.dumps(report, indent=1) + "\n")
    failing = [name for name, expected in EXPECTATIONS.items() if not stands(expected, report)]
    sys.stdout.write(f"{len(EXPECTATIONS) - len(failing)} stand, {failing or 'none'} do not; ")
    sys.stdout.write(f"{report['seconds']} s\n")
    return len(failing)


if __name__ == "__main__":
    sys.exit(main())
