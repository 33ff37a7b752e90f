"""Gravity for Keras: the reference's steps, on the backend that KERAS_BACKEND names."""

import importlib
import math
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from reference import GravityState, gravity_step, zeta
from torch_impl.keras import Gravity

# NumPy says it of what Keras 3.15 gives it, whenever it reads a variable.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

EPS = 2.0**-23
SHAPES = [(3, 4), (7,), (), (0, 2)]
STEPS = 30


def float64(variable: Any) -> Any:
    return np.asarray(keras.ops.convert_to_numpy(variable), dtype=np.float64)


def variables(*shapes: tuple[int, ...], value: float = 1.0) -> list[Any]:
    return [keras.Variable(np.full(shape, value, dtype=np.float32)) for shape in shapes]


def velocities(optimizer: Gravity) -> list[Any]:
    return [v for v in optimizer.variables if v.name.endswith("velocity")]


def take_step(optimizer: Gravity, params: list[Any], grads: list[Any]) -> None:
    optimizer.apply([keras.ops.convert_to_tensor(grad) for grad in grads], params)


def gradients(step: int) -> list[Any]:
    rng = np.random.default_rng(step)
    return [
        np.asarray(10.0 ** (step % 5 - 2) * rng.standard_normal(shape), dtype=np.float32)
        for shape in SHAPES
    ]


def falling() -> Any:
    return keras.optimizers.schedules.ExponentialDecay(0.5, decay_steps=10, decay_rate=0.5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"decay": 0.25},
        {"learning_rate": 2, "alpha": 0.5, "beta": 0.0},
        {"lr": 0.01, "alpha": 0.0, "beta": 0.999},
        {"learning_rate": falling(), "decay": 0.1},
        {"learning_rate": lambda: 0.3},
    ],
    ids=["default", "decay", "integer rate", "lr", "schedule", "callable"],
)
def test_every_step_is_the_references(options: dict[str, Any]) -> None:
    """From the same θ and V; and after all steps, from the same V₀."""
    keras.utils.set_random_seed(0)
    optimizer, params = Gravity(**options), variables(*SHAPES)
    optimizer.build(params)
    beta, decay = options.get("beta", 0.9), options.get("decay", 0.0)
    alone = [float64(p) for p in params]
    states = [GravityState(0, float64(v)) for v in velocities(optimizer)]
    far = [np.abs(theta) for theta in alone]
    for step in range(STEPS):
        given = gradients(step)
        now: dict[str, Any] = {"beta": beta, "decay": decay, "clock": "keras"}
        now["lr"] = float(optimizer.learning_rate)
        before = [GravityState(step, float64(v)) for v in velocities(optimizer)]
        thetas, after = gravity_step([float64(p) for p in params], given, before, **now)
        alone, states = gravity_step(alone, given, states, **now)
        take_step(optimizer, params, given)
        for i, state in enumerate(after):
            # ζ, β̂ and 1 − β̂ take at most five roundings each, their sum and θ two more.
            size = np.abs(before[i].velocity) + np.abs(zeta(given[i]))
            found = float64(velocities(optimizer)[i])
            assert np.all(np.abs(found - state.velocity) <= 6 * EPS * size)
            room = EPS * np.abs(thetas[i]) + 8 * EPS * now["lr"] * size
            assert np.all(np.abs(float64(params[i]) - thetas[i]) <= room)
            far[i] = np.maximum(far[i], np.abs(thetas[i]) + 8 * now["lr"] * size)
    for param, theta, size in zip(params, alone, far, strict=True):
        # V forgets an error; θ adds up those of all steps.
        assert np.all(np.abs(float64(param) - theta) <= STEPS * EPS * size)


def test_the_clock_starts_at_0() -> None:
    """β̂ = ½, where the PyTorch code's clock, from 1, has 0.633."""
    (weight,) = params = variables((2,), value=0.0)
    take_step(Gravity(1.0, alpha=0.0), params, [np.array([2.0, 1.0], dtype=np.float32)])
    np.testing.assert_allclose(float64(weight), -zeta([2.0, 1.0]) / 2, rtol=4 * EPS)


def test_the_published_arguments_come_in_their_order() -> None:
    optimizer = Gravity(0.2, 0.02, 0.8, "mine", lr=None, decay=0.1)
    config = optimizer.get_config()
    assert config["learning_rate"] == pytest.approx(0.2)
    assert (config["alpha"], config["beta"], config["name"]) == (0.02, 0.8, "mine")
    assert config["decay"] == 0.1
    config = Gravity().get_config()
    assert config["learning_rate"] == pytest.approx(0.1)
    assert (config["alpha"], config["beta"], config["name"]) == (0.01, 0.9, "Gravity")
    assert config["decay"] == 0.0


def test_lr_is_the_old_name_of_the_learning_rate() -> None:
    optimizer = Gravity(lr=0.5)
    assert float(optimizer.learning_rate) == float(optimizer.lr) == 0.5
    optimizer.lr = 0.25
    assert float(optimizer.learning_rate) == 0.25
    with pytest.raises(ValueError, match=r"learning_rate=0.1 and lr=0.1: expected one of them"):
        Gravity(0.1, lr=0.1)


@pytest.mark.parametrize("name", ["learning_rate", "lr", "alpha", "decay", "velocity_std"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, "0.1", True])
def test_an_argument_that_is_no_size_is_named(name: str, value: Any) -> None:
    said = "learning_rate" if name == "lr" else name
    with pytest.raises(ValueError, match=rf"^{said}={value!r}: expected a finite number >= 0"):
        Gravity(**{name: value})


@pytest.mark.parametrize("value", [-0.1, 1.0, math.nan, None])
def test_a_beta_that_is_no_fraction_is_named(value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^beta={value!r}: expected a number in \[0, 1\)"):
        Gravity(beta=value)


def test_a_name_that_no_optimizer_knows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'momentum': 0\.9"):
        Gravity(momentum=0.9)


def test_the_first_velocity_has_its_deviation_in_every_variable_anew() -> None:
    keras.utils.set_random_seed(1)
    optimizer = Gravity(0.5, alpha=0.1)
    optimizer.build(variables((200, 50), (200, 50)))
    one, two = map(float64, velocities(optimizer))
    assert one.std() == pytest.approx(0.2, rel=0.05)  # 7 of its own deviations, 1/√20,000
    assert two.std() == pytest.approx(0.2, rel=0.05)
    assert abs(np.mean(one * two)) < 0.2**2 * 0.05  # 5 of its deviations, 1/√10,000
    optimizer.build([])  # once more, which changes nothing
    assert len(velocities(optimizer)) == 2
    keras.utils.set_random_seed(1)
    again = Gravity(0.5, alpha=0.1)
    again.build(variables((200, 50)))
    np.testing.assert_array_equal(float64(velocities(again)[0]), one)


def test_the_deviation_is_that_of_the_first_learning_rate() -> None:
    assert Gravity(falling(), alpha=0.1).velocity_std == pytest.approx(0.2)
    assert Gravity(lambda: 0.4, alpha=0.1).velocity_std == pytest.approx(0.25)
    assert Gravity(0.0).velocity_std == 0.0
    assert Gravity(velocity_std=0.3).velocity_std == 0.3
    with pytest.warns(UserWarning, match="deviation alpha/learning_rate = 10 exceeds 1") as seen:
        Gravity(0.001)
    assert seen[0].filename == __file__


def test_a_configuration_makes_the_same_optimizer() -> None:
    optimizer = Gravity(falling(), 0.02, 0.8, "mine", decay=0.1, weight_decay=0.2, clipnorm=3.0)
    config = optimizer.get_config()
    twin = Gravity.from_config(config)
    assert twin.get_config() == config
    serialised = keras.optimizers.serialize(optimizer)
    assert serialised["registered_name"] == "subluminal>Gravity"
    assert keras.optimizers.deserialize(serialised).get_config() == config
    slowed = Gravity(0.5)
    slowed.learning_rate = 1e-6  # as a schedule leaves it: V₀'s deviation stays
    assert Gravity.from_config(slowed.get_config()).velocity_std == 0.02


def test_a_configuration_of_the_published_class_is_taken() -> None:
    """Its ``epsilon`` is one that no step uses."""
    published = {"name": "Gravity", "learning_rate": 0.2, "decay": 0.1, "alpha": 0.02, "beta": 0.8}
    config = Gravity.from_config({**published, "epsilon": 1e-7}).get_config()
    assert {key: pytest.approx(config[key]) for key in published if key != "name"} == {
        key: value for key, value in published.items() if key != "name"
    }


def test_an_infinite_gradient_spares_the_other_entries() -> None:
    (weight,) = params = variables((3,))
    optimizer = Gravity(alpha=0.0)
    take_step(optimizer, params, [np.array([math.inf, 1.0, 0.0], dtype=np.float32)])
    assert np.isnan(float64(weight)).tolist() == [True, False, False]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_narrow_step_is_computed_in_32_bits(dtype: str) -> None:
    """In binary16 the square of 300² would be infinite, and ζ 0."""
    weight = keras.Variable([0.0], dtype=dtype)
    optimizer = Gravity(1e6, alpha=0.0)
    optimizer.apply([keras.ops.cast(keras.ops.convert_to_tensor([300.0]), dtype)], [weight])
    assert weight.dtype == velocities(optimizer)[0].dtype == dtype
    np.testing.assert_allclose(float64(weight), -1e6 * zeta([300.0]) / 2, rtol=2.0**-8)


def test_weight_decay_and_clipping_are_those_of_every_keras_optimizer() -> None:
    (weight,) = params = variables((1,))
    optimizer = Gravity(0.5, alpha=0.0, weight_decay=0.2, clipvalue=1.0)
    take_step(optimizer, params, [np.array([7.0], dtype=np.float32)])
    expected = 1 - 0.5 * 0.2 - 0.5 * zeta([1.0]) / 2
    np.testing.assert_allclose(float64(weight), expected, rtol=4 * EPS)


def test_the_clock_counts_updates_not_gradients() -> None:
    (weight,) = params = variables((1,), value=0.0)
    optimizer = Gravity(1.0, alpha=0.0, decay=1.0, gradient_accumulation_steps=2)
    theta, states = [np.zeros(1)], [GravityState(0, np.zeros(1))]
    for step in range(3):
        for part in (0.5, 1.5):
            take_step(optimizer, params, [np.array([part * (step + 1)], dtype=np.float32)])
        now: dict[str, Any] = {"lr": 1.0, "decay": 1.0, "clock": "keras"}
        theta, states = gravity_step(theta, [[step + 1.0]], states, **now)
        np.testing.assert_allclose(float64(weight), theta[0], rtol=16 * EPS)


def digits() -> tuple[Any, Any]:
    inputs, targets = load_digits(return_X_y=True)
    return (inputs / 16).astype(np.float32), targets


def network() -> Any:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(32, activation="relu"), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((64,)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(Gravity(0.5), loss=loss, metrics=["accuracy"])
    return model


def test_fit_learns_the_digits_and_a_saved_model_goes_on(tmp_path: Path) -> None:
    inputs, targets = digits()
    model = network()
    model.fit(inputs, targets, batch_size=64, epochs=8, verbose=0)
    assert model.evaluate(inputs, targets, verbose=0)[1] > 0.9
    model.save(tmp_path / "model.keras")
    twin = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(twin.optimizer, Gravity)
    assert twin.optimizer.get_config() == model.optimizer.get_config()
    for trained in (model, twin):
        trained.fit(inputs, targets, batch_size=64, epochs=1, shuffle=False, verbose=0)
    assert int(twin.optimizer.iterations) == int(model.optimizer.iterations)
    for one, two in zip(model.weights, twin.weights, strict=True):
        np.testing.assert_array_equal(float64(one), float64(two))


def imported_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch_impl.keras")
    importlib.import_module("torch_impl.keras")


def test_what_brings_keras_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ImportError, match=r"pip install 'subluminal\[keras\]'"):
        imported_anew(monkeypatch)


def test_a_backend_that_is_missing_is_told_from_a_missing_keras(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "keras.py").write_text("import no_such_backend\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "keras")
    with pytest.raises(ImportError, match=r"'no_such_backend'.*KERAS_BACKEND=torch"):
        imported_anew(monkeypatch)
