"""One training run: a pure function from a configuration to its result."""

import math
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch.optim import Optimizer

from torch_impl import Gravity, RelativisticAdam

from .tasks import TASKS, Task

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
    "RelativisticAdam": RelativisticAdam,
    "Gravity": Gravity,
}

EXPLODED = 1e10
"""A run has exploded when its loss or gradient norm is not finite, or the norm is above this."""


@dataclass(frozen=True)
class Run:
    """The configuration of a run.

    Attributes
    ----------
    method
        What the run is called in tables.
    task
        Key of `paper.tasks.TASKS`.
    optimizer
        Key of `OPTIMIZERS`.
    options
        The optimizer's arguments.
    epochs
        Passes over the training data.
    seed
        Of the data, the network, the batches and Gravity's initial velocity.
    clip_norm
        Bound for clip_grad_norm_, None for no clipping.
    """

    method: str
    task: str
    optimizer: str
    options: dict[str, Any]
    epochs: int
    seed: int
    clip_norm: float | None = None


@dataclass
class Result:
    """What a run showed.

    Attributes
    ----------
    run
        Its configuration.
    steps
        Optimizer steps taken: all of them, or those before the explosion.
    exploded
        Whether the run exploded; it ends there.
    train_loss
        Loss of each epoch, the mean over its batches, before the explosion.
    validation_loss, validation_accuracy
        Of the last parameters. The loss is NaN after an explosion; the accuracy is then that of a
        broken network, near chance, and None for a regression.
    largest_ratio
        Largest speed ratio r of any block on any step, None where there is no speed limit.
    saturated
        Share of the blocks (tensors or entries), over all steps, with r ≥ 1.
    """

    run: Run
    steps: int = 0
    exploded: bool = False
    train_loss: list[float] = field(default_factory=list)
    validation_loss: float = math.nan
    validation_accuracy: float | None = None
    largest_ratio: float | None = None
    saturated: float | None = None

    def as_record(self) -> dict[str, Any]:
        """Return the result as JSON knows it, with None for what is not finite."""
        record = asdict(self)
        if not math.isfinite(self.validation_loss):
            record["validation_loss"] = None
        return record

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Result":
        """Return the result that `as_record` wrote."""
        loss = math.nan if record["validation_loss"] is None else record["validation_loss"]
        return cls(**{**record, "run": Run(**record["run"]), "validation_loss": loss})


class SpeedMeter:
    """Measures the speed ratio of every block of a RelativisticAdam after each of its steps.

    The proposed update u = lr·m̂/(√v̂ + ε) is recomputed from the moments, for the units "norm" and
    "rms" without warm-up.
    """

    def __init__(self, optimizer: RelativisticAdam) -> None:
        self.largest = torch.zeros(())
        self.blocks = 0
        self.saturated = torch.zeros((), dtype=torch.int64)
        optimizer.register_step_post_hook(self._measure)

    def _measure(self, optimizer: Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            for param in group["params"]:
                ratio = self._ratio(optimizer.state[param], group)
                self.largest = torch.maximum(self.largest, ratio.max())
                self.blocks += ratio.numel()
                self.saturated += (ratio >= 1).sum()

    @staticmethod
    def _ratio(state: dict[str, Any], group: dict[str, Any]) -> torch.Tensor:
        (beta1, beta2), t = group["betas"], float(state["step"])
        m_hat = state["exp_avg"] / (1 - beta1**t)
        v_hat = state["exp_avg_sq"] / (1 - beta2**t)
        update: torch.Tensor = group["lr"] * m_hat / (v_hat.sqrt() + group["eps"])
        limit: float = group["speed_limit"]
        if group["relativistic_mode"] == "per_component":
            return update.abs() / limit
        rms = group["speed_unit"] == "rms"
        size = torch.linalg.vector_norm(update, dtype=torch.float64)
        block_limit = limit * (math.sqrt(update.numel()) if rms else 1)
        return torch.divide(size, block_limit)


def train(run: Run) -> Result:
    """Train to the end or to the explosion."""
    task, result = TASKS[run.task](run.seed), Result(run)
    parameters = list(task.model.parameters())
    options = dict(run.options)
    if run.optimizer == "Gravity":
        options["generator"] = torch.Generator().manual_seed(run.seed)
    with warnings.catch_warnings():
        # That a law is not monotone, or V₀ large, is what a run may be there to show.
        warnings.simplefilter("ignore", UserWarning)
        optimizer = OPTIMIZERS[run.optimizer](parameters, **options)
    meter = SpeedMeter(optimizer) if isinstance(optimizer, RelativisticAdam) else None
    batches = torch.Generator().manual_seed(run.seed)
    for _ in range(run.epochs):
        _epoch(task, optimizer, parameters, batches, result)
        if result.exploded:
            break
    if meter is not None:
        result.largest_ratio = float(meter.largest)
        result.saturated = float(meter.saturated) / max(1, meter.blocks)
    _validate(task, result)
    return result


def _epoch(
    task: Task,
    optimizer: Optimizer,
    parameters: list[torch.nn.Parameter],
    batches: torch.Generator,
    result: Result,
) -> None:
    """Train one epoch, or until the explosion."""
    bound = math.inf if result.run.clip_norm is None else result.run.clip_norm
    inputs, targets = task.train
    losses = []
    order = torch.randperm(len(targets), generator=batches)
    for batch in torch.split(order, task.batch_size):
        optimizer.zero_grad()
        loss = task.loss(task.model(inputs[batch]), targets[batch])
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, bound))
        losses.append(loss.item())
        if not (math.isfinite(losses[-1]) and norm <= EXPLODED):
            result.exploded = True
            return
        optimizer.step()
        result.steps += 1
    result.train_loss.append(math.fsum(losses) / len(losses))


@torch.no_grad()
def _validate(task: Task, result: Result) -> None:
    inputs, targets = task.validation
    outputs = task.model(inputs)
    if not result.exploded:
        result.validation_loss = task.loss(outputs, targets).item()
    if not targets.is_floating_point():
        predicted = outputs.argmax(dim=1)
        result.validation_accuracy = (predicted == targets).float().mean().item()
