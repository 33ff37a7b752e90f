"""What has to be settled before tests and doctests import anything: Keras, compiled kernels."""

import os
from pathlib import Path

ROOT = Path(__file__).parent

# Both are read when Keras is imported, which the doctests of torch_impl/keras.py do.
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("KERAS_HOME", str(ROOT / "build" / "keras"))


def forget_compiled(folder: Path) -> None:
    """Remove what Numba compiled before any source in a folder changed.

    It looks at the file of a kernel, and not at those of the functions that this calls.
    """
    newest = max(path.stat().st_mtime for path in folder.glob("*.py"))
    for index in folder.glob("__pycache__/*.nbi"):
        if index.stat().st_mtime < newest:
            index.unlink(missing_ok=True)  # by another process


forget_compiled(ROOT / "torch_impl" / "fused" / "cpu")
