"""Gravity for Keras 3, with the arguments and the clock of the published TensorFlow code.

Needs ``subluminal[keras]``, and Keras one of its backends: it is tested on torch and on JAX.

Notation: θ the variable, g its gradient, G = max|g| over the tensor, ζ the gradient term, V the
velocity, t the clock, β̂ the running coefficient (Bahrami and Zadeh, arXiv 2101.09192).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch

from .arguments import check_number, warn_caller

try:
    import keras
except ModuleNotFoundError as error:
    raise ImportError(
        f"{__name__} needs the package 'keras', which is not installed: "
        "pip install 'subluminal[keras]'"
        if error.name == "keras"
        else f"{__name__} cannot import Keras ({error}): expected a backend that is installed in "
        "the environment variable KERAS_BACKEND; KERAS_BACKEND=torch is",
        name=error.name,
    ) from error

LearningRate = Any
"""A number, a keras.optimizers.schedules.LearningRateSchedule, or a callable without arguments."""


@keras.saving.register_keras_serializable(package="subluminal")
class Gravity(keras.optimizers.Optimizer):  # type: ignore[misc]
    r"""Gravity: a running average of a bounded gradient term.

    .. math::
        \zeta = \frac{g}{1 + (g\,\max|g|)^2}, \quad
        \hat\beta = \frac{\beta t + 1}{t + 2}, \quad
        V \leftarrow \hat\beta V + (1 - \hat\beta)\zeta, \quad
        \theta \leftarrow \theta - \frac{\eta}{1 + \delta t} V

    Parameters
    ----------
    learning_rate
        Learning rate η ≥ 0, a LearningRateSchedule, or a callable without arguments; None is 0.1.
    alpha
        α ≥ 0: V₀ ~ N(0, (α/η)²), with the η at which the optimizer is made, of a schedule that of
        step 0; 0 for η = 0. It displaces a weight by about 1.9·α·N(0, 1) in all (β = 0.9).
    beta
        β in [0, 1), the limit of β̂.
    name
        The optimizer's name.
    lr
        The old name of ``learning_rate``; only one of the two is given.
    decay
        δ ≥ 0, the decay of TensorFlow's optimizers, on top of a schedule. ``learning_rate`` stays
        as it was.
    velocity_std
        V₀'s standard deviation; None is α/η. A saved optimizer keeps it, whatever has become of its
        learning rate.
    **options
        Those of every Keras optimizer: ``weight_decay`` (decoupled, before the step: θ(1 − ηλ), η
        without ``decay``), ``clipnorm``, ``clipvalue``, ``global_clipnorm``, ``use_ema`` and what
        belongs to it, ``loss_scale_factor``, ``gradient_accumulation_steps``.

    Raises
    ------
    ValueError
        If an argument is not as described; it names the argument, its value and what was expected.

    Warns
    -----
    UserWarning
        If V₀'s standard deviation exceeds 1, more than any later velocity can reach.

    Notes
    -----
    The clock is the optimizer's ``iterations``, so that t is 0 and β̂ is ½ at the first update; in
    `subluminal.Gravity` t is 1 then, as in the published PyTorch code. With
    ``gradient_accumulation_steps`` it counts updates. |ζ| ≤ min(|g|, 0.56988). Of variables
    narrower than 32 bits the step is computed in 32; V is kept in their dtype, as Keras keeps every
    state. An infinite gradient entry makes its own entry NaN, a NaN the whole variable's. The
    published code draws V₀ with the learning rate at the first update, and not at all for a
    schedule, which it cannot divide by.

    Examples
    --------
    >>> weight = keras.Variable([0.0, 0.0])
    >>> optimizer = Gravity(1.0, alpha=0.0)
    >>> optimizer.apply([keras.ops.convert_to_tensor([2.0, 1.0])], [weight])
    >>> [round(w, 4) for w in weight.value.tolist()]
    [-0.0588, -0.1]
    """

    def __init__(
        self,
        learning_rate: LearningRate | None = None,
        alpha: float = 0.01,
        beta: float = 0.9,
        name: str = "Gravity",
        *,
        lr: LearningRate | None = None,
        decay: float = 0.0,
        velocity_std: float | None = None,
        **options: Any,
    ) -> None:
        if learning_rate is not None and lr is not None:
            raise ValueError(
                f"learning_rate={learning_rate!r} and lr={lr!r}: expected one of them, which are "
                "two names of the same"
            )
        given = next((rate for rate in (learning_rate, lr) if rate is not None), 0.1)
        rate = _learning_rate(given)
        alpha, decay = _at_least_zero("alpha", alpha), _at_least_zero("decay", decay)
        check_number("beta", beta, lambda x: 0 <= x < 1, "a number in [0, 1)")
        deviation = (
            _velocity_std(rate, alpha)
            if velocity_std is None
            else _at_least_zero("velocity_std", velocity_std)
        )
        super().__init__(rate, name=name, **options)
        self.alpha, self.beta, self.decay = alpha, float(beta), decay
        self.velocity_std = deviation
        if deviation > 1:
            warn_caller(
                f"the initial velocity's standard deviation alpha/learning_rate = {deviation:.3g} "
                "exceeds 1, more than any later velocity can reach; lower alpha or set velocity_std"
            )

    @property
    def lr(self) -> Any:
        """The old name of ``learning_rate``."""
        return self.learning_rate

    @lr.setter
    def lr(self, rate: LearningRate) -> None:
        self.learning_rate = rate

    def build(self, variables: Sequence[Any]) -> None:
        """Draw V₀ for every variable, from the generators that keras.utils.set_random_seed seeds.

        Parameters
        ----------
        variables
            Those that will be trained.
        """
        if self.built:
            return
        super().build(variables)
        # A seed by itself would draw the same numbers for every variable of one shape.
        seed = keras.random.SeedGenerator()
        initializer = keras.initializers.RandomNormal(0.0, self.velocity_std, seed)
        self._velocities = self.add_optimizer_variables(variables, "velocity", initializer)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Advance V and θ of one variable; Keras calls it.

        Parameters
        ----------
        gradient, variable
            g and θ, in the same shape.
        learning_rate
            η of this step, without ``decay``.
        """
        if 0 in variable.shape:
            return  # there is no maximum
        ops = keras.ops
        dtype = keras.backend.result_type(variable.dtype, "float32")
        stored = self._velocities[self._get_variable_index(variable)]
        theta, v, g = (ops.cast(x, dtype) for x in (variable, stored, gradient))
        # Kept finite, so that a zero entry beside an infinite one gives ζ = 0 and not 0·∞.
        peak = ops.minimum(ops.max(ops.abs(g)), torch.finfo(getattr(torch, dtype)).max)
        quotient = g * peak
        zeta = g / (1 + quotient * quotient)
        t = ops.cast(self.iterations, dtype)
        beta_hat = (self.beta * t + 1) / (t + 2)
        rest = ((1 - self.beta) * t + 1) / (t + 2)  # 1 − β̂, which a difference of near ones is not
        v = beta_hat * v + rest * zeta
        rate = ops.cast(learning_rate, dtype) / (1 + self.decay * t)
        self.assign(stored, ops.cast(v, stored.dtype))
        self.assign(variable, ops.cast(theta - rate * v, variable.dtype))

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` makes the same optimizer of, without its state."""
        own = {name: getattr(self, name) for name in ("alpha", "beta", "decay", "velocity_std")}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Return an optimizer of a configuration, that of the published class too.

        Parameters
        ----------
        config
            What `get_config` returned. The published one has an ``epsilon`` besides, which no step
            of it uses, and which is left out.
        custom_objects
            Classes that Keras cannot find by itself, by name.
        """
        kept = {name: value for name, value in config.items() if name != "epsilon"}
        return super().from_config(kept, custom_objects)  # type: ignore[no-any-return]


def _learning_rate(given: LearningRate) -> LearningRate:
    """Return a schedule or a callable as it is, a number as a float."""
    if isinstance(given, keras.optimizers.schedules.LearningRateSchedule) or callable(given):
        return given
    check_number(
        "learning_rate",
        given,
        lambda x: 0 <= x < math.inf,
        "a finite number >= 0, a LearningRateSchedule or a callable without arguments",
    )
    return float(given)


def _velocity_std(rate: LearningRate, alpha: float) -> float:
    """Return α/η, 0 for η = 0."""
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        rate = rate(0)
    elif callable(rate):
        rate = rate()
    first = float(rate)
    return alpha / first if first > 0 else 0.0


def _at_least_zero(name: str, value: float) -> float:
    check_number(name, value, lambda x: 0 <= x < math.inf, "a finite number >= 0")
    return float(value)
