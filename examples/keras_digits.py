"""Keras: the published Gravity in `model.fit`, saved and loaded with the model.

The arguments are those of the published TensorFlow class, the old name of the learning rate and its
decay included, and the clock starts at 0 as there. KERAS_BACKEND, which has to be set before Keras
is imported, may also be jax. Needs keras and, for its digits, scikit-learn.
"""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
from sklearn.datasets import load_digits

from subluminal.keras import Gravity

keras.utils.set_random_seed(0)
inputs, targets = load_digits(return_X_y=True)
inputs = (inputs / 16).astype("float32")
train, held_out = slice(0, 1500), slice(1500, None)

model = keras.Sequential(
    [keras.Input((64,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(10)]
)
model.compile(
    optimizer=Gravity(lr=0.5, alpha=0.01, beta=0.9, decay=1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
model.fit(inputs[train], targets[train], batch_size=64, epochs=10, verbose=0)
print(f"backend {keras.backend.backend()}, {int(model.optimizer.iterations)} steps")
accuracy = model.evaluate(inputs[held_out], targets[held_out], verbose=0)[1]
print(f"accuracy on {len(inputs[held_out])} held-out digits {accuracy:.3f}")

with tempfile.TemporaryDirectory() as folder:
    model.save(Path(folder) / "model.keras")
    loaded = keras.saving.load_model(Path(folder) / "model.keras")
same = loaded.optimizer.get_config() == model.optimizer.get_config()
print(f"loaded: {type(loaded.optimizer).__name__}, the same configuration: {same}")
print(f"and the same clock: {int(loaded.optimizer.iterations)}")
