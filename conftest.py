"""Keras runs on torch unless the environment says otherwise, and keeps its settings in the tree."""

import os
from pathlib import Path

# Both are read when Keras is imported, which the doctests of torch_impl/keras.py do.
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("KERAS_HOME", str(Path(__file__).parent / "build" / "keras"))
