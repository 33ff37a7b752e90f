"""One training run: a pure function from a configuration to its result."""

import math
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from torch_impl import Gravity, RelativisticAdam

from .optimizers import OPTIMIZERS
from .tasks import TASKS, Task

APART = 2**31
"""What is added to a seed for numbers that are not to be those that the task has drawn; torch's
generator reads 32 bits of it."""

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
        Key of `paper.optimizers.OPTIMIZERS`.
    options
        The optimizer's arguments.
    steps
        Optimizer steps.
    seed
        Of the data, the network, the batches and all else that is drawn.
    clip_norm
        Bound for clip_grad_norm_, None for no clipping.
    schedule
        The learning rate: "constant", or a "cosine" from its value to 0.
    spike
        Factor of the gradient in the step half way, before it is clipped.
    span
        Steps over which each recorded training loss is a mean.
    """

    method: str
    task: str
    optimizer: str
    options: dict[str, Any]
    steps: int
    seed: int
    clip_norm: float | None = None
    schedule: Literal["constant", "cosine"] = "constant"
    spike: float = 1.0
    span: int = 1


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
        Mean loss of each whole span of steps before the explosion.
    validation_loss, validation_accuracy
        Of the last parameters. The loss is NaN after an explosion; the accuracy is then that of a
        broken network, near chance, and None for a regression.
    largest_ratio
        Largest speed ratio r of any block on any step, None where it was not measured.
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

    @property
    def score(self) -> float:
        """What the run is judged by, smaller is better; ∞ after an explosion."""
        if self.exploded:
            return math.inf
        if TASKS[self.run.task].score == "loss":
            return self.validation_loss
        return 1 - (self.validation_accuracy or 0.0)

    @property
    def trained(self) -> bool:
        """Whether the run reached the goal of its task."""
        return self.score <= TASKS[self.run.task].goal

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


def train(run: Run, *, measure: bool = False) -> Result:
    """Train to the end or to the explosion.

    Parameters
    ----------
    run
        The configuration, from which alone the result follows.
    measure
        Whether to measure the speed ratios of a RelativisticAdam.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        task, result = TASKS[run.task].make(run.seed), Result(run)
        optimizer = _optimizer(run, task)
        meter = None
        if measure and isinstance(optimizer, RelativisticAdam):
            meter = SpeedMeter(optimizer)
        _descend(task, optimizer, result)
        if meter is not None:
            result.largest_ratio = float(meter.largest)
            result.saturated = float(meter.saturated) / max(1, meter.blocks)
        _validate(task, result)
    return result


def _optimizer(run: Run, task: Task) -> Optimizer:
    options = dict(run.options)
    if OPTIMIZERS[run.optimizer] is Gravity:
        options["generator"] = torch.Generator().manual_seed(run.seed + APART)
    with warnings.catch_warnings():
        # That a law is not monotone, or V₀ large, is what a run may be there to show.
        warnings.simplefilter("ignore", UserWarning)
        return OPTIMIZERS[run.optimizer](list(task.model.parameters()), **options)


def _descend(task: Task, optimizer: Optimizer, result: Result) -> None:
    """Take the steps of a run, or those before its explosion."""
    run = result.run
    losses: list[float] = []
    parameters = list(task.model.parameters())
    bound = math.inf if run.clip_norm is None else run.clip_norm
    cosine = LambdaLR(optimizer, lambda t: 0.5 * (1 + math.cos(math.pi * t / run.steps)))
    for batch in _batches(run, task):
        optimizer.zero_grad()
        loss = _loss(task, task.train, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        if run.spike != 1 and result.steps == run.steps // 2:
            torch._foreach_mul_([p.grad for p in parameters if p.grad is not None], run.spike)
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, bound))
        losses.append(loss.item())
        if not (math.isfinite(losses[-1]) and norm <= EXPLODED):
            result.exploded = True
            return
        optimizer.step()
        result.steps += 1
        if run.schedule == "cosine":
            cosine.step()
        if len(losses) == run.span:
            result.train_loss.append(math.fsum(losses) / len(losses))
            losses.clear()


def _batches(run: Run, task: Task) -> Iterator[Tensor]:
    """Yield the indices of each step's samples: epoch after epoch, in an order drawn for each."""
    generator = torch.Generator().manual_seed(run.seed)
    taken = 0
    while True:
        order = torch.randperm(len(task.train[1]), generator=generator)
        for batch in torch.split(order, task.batch_size):
            if taken == run.steps:
                return
            taken += 1
            yield batch


def _outputs(task: Task, inputs: Tensor) -> Tensor:
    with torch.autocast("cpu", task.autocast, enabled=task.autocast is not None):
        outputs: Tensor = task.model(inputs)
    return outputs.float()


def _loss(task: Task, data: tuple[Tensor, Tensor], batch: Tensor) -> Tensor:
    inputs, targets = data
    return task.loss(_outputs(task, inputs[batch]), targets[batch])


@torch.no_grad()
def _validate(task: Task, result: Result) -> None:
    inputs, targets = task.validation
    outputs = _outputs(task, inputs)
    if not result.exploded:
        result.validation_loss = task.loss(outputs, targets).item()
        result.exploded = not math.isfinite(result.validation_loss)
    if not targets.is_floating_point():
        predicted = outputs.argmax(dim=-1)
        result.validation_accuracy = (predicted == targets).float().mean().item()
