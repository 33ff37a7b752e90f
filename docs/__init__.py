"""The site and its explorer: ``python -m docs`` builds both into build/docs."""

import os
from pathlib import Path

# Both are read when Keras is imported, whose Gravity has a page.
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("KERAS_HOME", str(Path(__file__).parents[1] / "build" / "keras"))
