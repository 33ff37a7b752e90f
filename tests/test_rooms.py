"""Who may import whom, and what the shipped package asks for."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {"reference", "torch_impl", "analysis", "proofs", "paper", "tests", "docs", "examples"}

MAY_IMPORT: dict[str, set[str]] = {
    "reference": set(),
    "torch_impl": set(),
    "analysis": {"reference"},
    "proofs": {"reference", "analysis"},
    "paper": {"reference", "analysis", "proofs", "torch_impl"},
    "docs": {"reference", "analysis", "proofs", "torch_impl", "paper"},
    "examples": set(),  # what they show is `subluminal`, as it is installed
    "tests": ROOMS,
}

# Beyond the standard library; all else is an extra or a dependency group.
SHIPPED_DEPENDENCIES = {"reference": {"numpy"}, "torch_impl": {"torch"}}

# What only ``fused=True``, `subluminal.keras` and `subluminal.testing` import, when asked for.
EXTRAS = {
    **{
        path.relative_to(ROOT).as_posix(): {"hypothesis"}
        for path in (ROOT / "torch_impl" / "testing").rglob("*.py")
    },
    "torch_impl/keras.py": {"keras"},
    "torch_impl/testing/pytest.py": {"pytest"},
    "torch_impl/testing/run.py": {"tqdm"},
    "torch_impl/fused/cpu/blocks.py": {"numba", "numpy"},
    "torch_impl/fused/cpu/loops.py": {"llvmlite", "numba"},
    **{
        f"torch_impl/fused/cpu/{name}.py": {"numpy"}
        for name in ("adam", "gravity", "laws", "steps", "threads")
    },
    **{
        f"torch_impl/fused/cuda/{name}.py": {"numpy", "triton"}
        for name in ("adam", "blocks", "buckets", "gravity", "laws", "steps")
    },
}


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Yield (level, top-level module) of every import in a source, wherever it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, (node.module or "").partition(".")[0]


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def test_every_import_in_a_source_is_seen() -> None:
    source = "import os.path\nfrom . import b\ndef f():\n    from reference.laws import LAWS"
    assert set(imports(source)) == {(0, "os"), (1, ""), (0, "reference")}


@pytest.mark.parametrize("room", [room for room in MAY_IMPORT if (ROOT / room).is_dir()])
def test_a_room_imports_only_the_rooms_it_may(room: str) -> None:
    assert sources(room)
    for path in sources(room):
        for level, module in imports(path.read_text(encoding="utf-8")):
            depth = len(path.relative_to(ROOT).parents) - 1
            assert level <= depth, f"{path} imports from above its room"
            foreign = level == 0 and module in ROOMS - {room}
            assert not foreign or module in MAY_IMPORT[room], f"{path} imports {module}"


@pytest.mark.parametrize("room", SHIPPED_DEPENDENCIES)
def test_what_ships_imports_itself_relatively_and_little_else(room: str) -> None:
    allowed = SHIPPED_DEPENDENCIES[room] | set(sys.stdlib_module_names)
    for path in sources(room):
        source = path.read_text(encoding="utf-8")
        optional = imports_that_may_fail(source)
        optional |= EXTRAS.get(path.relative_to(ROOT).as_posix(), set())
        for level, module in imports(source):
            known = module in allowed or module in optional
            assert level > 0 or known, f"{path} imports {module}"


def imports_that_may_fail(source: str) -> set[str]:
    """Return what is imported inside functions, in a try that catches ImportError."""
    found = set()
    for function in ast.walk(ast.parse(source)):
        for node in ast.walk(function) if isinstance(function, ast.FunctionDef) else ():
            if isinstance(node, ast.Try) and any(
                isinstance(handler.type, ast.Name) and handler.type.id == "ImportError"
                for handler in node.handlers
            ):
                tried = "\n".join(map(ast.unparse, node.body))
                found |= {module for level, module in imports(tried) if level == 0}
    return found


def test_only_an_import_that_may_fail_is_optional() -> None:
    guarded = "try:\n        import b.c\n    except ImportError:\n        pass"
    assert imports_that_may_fail(f"import a\ndef f():\n    import d\n    {guarded}") == {"b"}
    assert imports_that_may_fail("try:\n    import b\nexcept ImportError:\n    pass") == set()
