"""What is installed is what was pinned; outside data is never run; nothing asks the network."""

import ast
import importlib.metadata
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("reference", "torch_impl", "analysis", "proofs", "paper", "docs", "examples")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

RUNS_DATA = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml"}
"""Modules whose readers run, or can be made to run, what they read."""

ASKS_THE_NETWORK = {
    *("socket", "ssl", "http", "urllib", "ftplib", "smtplib", "poplib", "imaplib", "telnetlib"),
    *("asyncio", "socketserver", "xmlrpc", "webbrowser", "requests", "httpx", "aiohttp", "urllib3"),
}

EXCEPTIONS = {
    ("torch_impl/testing/checks/state.py", "import pickle"): "copies an optimizer in memory",
    (
        "torch_impl/testing/checks/state.py",
        "pickle.loads",
    ): "reads what the line itself has written",
}
"""What is let pass, with the reason."""


def pins(text: str) -> dict[str, str]:
    """Return the versions that a requirements file pins, by normalised name."""
    found = re.findall(r"^([\w.-]+)==([^\s\\]+)", text, flags=re.MULTILINE)
    return {normal(name): version for name, version in found}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def suspects(source: str) -> Iterator[str]:
    """Yield what in a source runs data or asks the network, as it is written."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [] if node.level else [node.module or ""]
            for name in names:
                if name.partition(".")[0] in RUNS_DATA | ASKS_THE_NETWORK:
                    yield f"import {name}"
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name.startswith(("torch.hub", "torch.utils.model_zoo", "pickle.load")):
                yield name
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if (
                name in {"eval", "exec", "__import__", "compile"}
                or (name == "torch.load" and given.get("weights_only") != "True")
                or (
                    name in {"np.load", "numpy.load"}
                    and given.get("allow_pickle", "False") != "False"
                )
            ):
                yield name


def test_every_pin_has_its_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert pins(lock) == pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    entries = re.split(r"^(?=\w)", lock, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(lock))
    for entry in entries:
        assert re.fullmatch(r"[\w.-]+==\S+( \\\n {4}--hash=sha256:[0-9a-f]{64})+\n", entry), entry


def test_what_is_installed_is_what_is_pinned() -> None:
    pinned = pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    folders = [sysconfig.get_path(name) for name in ("purelib", "platlib")]
    for distribution in importlib.metadata.distributions(path=folders):
        name = normal(distribution.name)
        if name.startswith(("nvidia-", "cuda-")):
            continue  # which torch's CUDA build pins by itself
        version = distribution.version.partition("+")[0]  # "+cpu" is the same release
        assert pinned.get(name) == version, f"{name} {version}"


def test_every_suspect_in_a_source_is_seen() -> None:
    source = """
import pickle, os.path
from urllib.request import urlopen
def f(x):
    eval(x), torch.load(x), torch.load(x, weights_only=True), torch.load(x, weights_only=False)
    np.load(x, allow_pickle=True), np.load(x), model.eval(), torch.compile(x), torch.hub.load(x)
    return pickle.loads(x)
"""
    assert sorted(suspects(source)) == [
        *("eval", "import pickle", "import urllib.request", "np.load", "pickle.loads"),
        *("torch.hub", "torch.hub.load", "torch.load", "torch.load"),
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_no_source_runs_outside_data_or_asks_the_network(room: str) -> None:
    sources = [path for path in SOURCES if path.relative_to(ROOT).parts[0] == room]
    assert sources
    for path in sources:
        name = path.relative_to(ROOT).as_posix()
        for suspect in suspects(path.read_text(encoding="utf-8")):
            assert (name, suspect) in EXCEPTIONS, f"{name}: {suspect}"


def test_every_exception_is_needed() -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), suspect)
        for path in SOURCES
        for suspect in suspects(path.read_text(encoding="utf-8"))
    }
    assert set(EXCEPTIONS) <= found
