"""What was measured, and on what: a file per benchmark, and in the end one of them all."""

import hashlib
import json
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from analysis import origin
from analysis.files import write_atomically
from analysis.forms import read_json

from .contenders import ROOT
from .suite import Key, keys

PACKAGES = ("torch", "numpy", "numba", "triton", "relativistic-adam", "pytorch-optimizer")

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")

FORM = {"of": str, "judged": bool, str: object}
"""What a record holds beside the measurement: of which sources, and whether it was judged."""


class Records:
    """The records of a run, which an interrupted one finds again.

    Parameters
    ----------
    folder
        Where ``<device>.json`` is written to, and before that what it is made of.
    device
        "cpu" or "cuda".
    commit
        Of a tree that comes without its history.
    """

    def __init__(self, folder: Path, device: str, commit: str | None = None) -> None:
        self.device, self.commit = device, commit
        self.file = folder / f"{device}.json"
        self.parts = folder / f"{device}.parts"
        self.of = fingerprint()

    def get(self, key: Key) -> dict[str, Any] | None:
        """Return the record of a benchmark, if it was judged and of these sources."""
        path = self._path(key)
        if not path.exists():
            return None
        record: dict[str, Any] = read_json(path, FORM)
        usable = record.pop("of") == self.of and record["judged"]
        return record if usable else None

    def put(self, key: Key, record: Mapping[str, Any]) -> None:
        """Keep the record of a benchmark."""
        write_atomically(self._path(key), json.dumps({**record, "of": self.of}) + "\n")

    def write(self, **more: Any) -> list[dict[str, Any]]:
        """Make one file of all records, and return these.

        Parameters
        ----------
        **more
            What else the file has to hold.
        """
        found = []
        for key in keys(self.device):
            path = self._path(key)
            record = read_json(path, FORM) if path.exists() else {}
            if record.pop("of", None) == self.of:
                found.append(record)
        where = environment(self.device, self.commit)
        results = {"environment": where, **more, "entries": found}
        write_atomically(self.file, json.dumps(results, indent=1) + "\n")
        return found

    def finish(self, **more: Any) -> list[Key]:
        """Do the same in the end, and return the benchmarks that have not been measured.

        What the file is made of is dropped if each of them has been judged.
        """
        found = self.write(**more)
        if len(found) == len(keys(self.device)) and all(record["judged"] for record in found):
            shutil.rmtree(self.parts)
        names = ("table", "row", "column")
        measured = {tuple(record[k] for k in names) for record in found if "error" not in record}
        return [key for key in keys(self.device) if key not in measured]

    def _path(self, key: Key) -> Path:
        return self.parts / (re.sub(r"[^\w.]+", "-", " ".join(key)) + ".json")


def sources() -> Iterator[Path]:
    """Yield the files that decide what is measured."""
    for room in ("torch_impl", "tests/benchmarks"):
        yield from sorted((ROOT / room).rglob("*.py"))


def fingerprint() -> str:
    """Return a number that differs where sources, versions or machines do."""
    digest = hashlib.sha256(f"{platform.node()} {versions()}".encode())
    for path in sources():
        digest.update(path.read_bytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that take part."""
    return origin.versions(PACKAGES)


def caches(folder: Path = CACHES) -> dict[str, str]:
    """Return the sizes of a core's caches, and of shared ones, by level, where Linux tells them."""
    found = {}
    for path in sorted(folder.glob("index*")):
        level, kind, size = (
            (path / name).read_text().strip() for name in ("level", "type", "size")
        )
        if kind != "Instruction":
            found[f"L{level}"] = size
    return found


def huge_pages(file: Path = HUGE_PAGES) -> str:
    """Return to what memory Linux gives huge pages: always, to what asks for them, or never."""
    chosen = re.search(r"\[(\w+)\]", file.read_text()) if file.exists() else None
    return chosen[1] if chosen else "unknown"


def environment(device: str, commit: str | None = None) -> dict[str, Any]:
    """Return hardware, what a system does with it, versions, commit (unless given) and day."""
    return {
        "processor": origin.processor(),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "threads": torch.get_num_threads(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "caches": caches(),
        "huge pages": huge_pages(),
        "versions": versions(),
        "commit": commit or origin.commit(ROOT, ("torch_impl", "tests/benchmarks")),
        "day": origin.day(),
    }
