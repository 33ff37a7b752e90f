"""What hands speed reports to loggers and trainers; none of these is needed to import the package.

Each takes the report of the optimizer itself, or of a handle of `limit_speed` on it.
"""

from collections.abc import Callable, Iterator
from typing import Any

from .telemetry import SpeedReport

Reporter = Any
"""Whatever has a `speed_report`: an optimizer of the package, or a handle of `limit_speed`."""


def write_to_tensorboard(writer: Any, reported: SpeedReport, step: int) -> None:
    """Write a report to a torch.utils.tensorboard.SummaryWriter, one scalar per number.

    Parameters
    ----------
    writer
        Anything with ``add_scalar(tag, value, global_step)``.
    reported
        What `speed_report` returned.
    step
        The step that it is of.
    """
    for tag, value in reported.flat().items():
        writer.add_scalar(tag, value, step)


def lightning_callback(reporter: Reporter | None = None, every: int = 50) -> Any:
    """Return a Lightning callback that logs speed reports through the trainer's loggers.

    Parameters
    ----------
    reporter
        What to ask; None asks those of the trainer's optimizers that have a `speed_report`.
    every
        Log each so many steps.

    Raises
    ------
    ImportError
        If ``lightning`` is not installed.
    """
    try:
        from lightning.pytorch import Callback  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("lightning_callback needs the package 'lightning'") from error

    class SpeedReportCallback(Callback):
        """Logs the speed report every so many steps."""

        def __init__(self) -> None:
            self._logged = 0

        def on_train_batch_end(self, trainer: Any, *_: Any, **__: Any) -> None:
            """Log, once per optimizer step that is due."""
            step = trainer.global_step
            if step == self._logged or step % every:
                return
            self._logged = step
            for values in _reports(reporter, trainer.optimizers):
                for logger in trainer.loggers:
                    logger.log_metrics(values, step=step)

    return SpeedReportCallback()


def transformers_callback(reporter: Reporter | None = None) -> Any:
    """Return a callback for transformers.Trainer that adds speed reports to what it logs.

    Parameters
    ----------
    reporter
        What to ask; None asks the trainer's optimizer, if it has a `speed_report`.

    Raises
    ------
    ImportError
        If ``transformers`` is not installed.
    """
    try:
        from transformers import TrainerCallback  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("transformers_callback needs the package 'transformers'") from error

    class SpeedReportCallback(TrainerCallback):
        """Adds the speed report to the logs."""

        def on_log(
            self,
            args: Any,  # noqa: ARG002
            state: Any,
            control: Any,  # noqa: ARG002
            logs: dict[str, float] | None = None,
            **kwargs: Any,
        ) -> None:
            """Add the report of the last step to the entry that is logged."""
            for values in _reports(reporter, [kwargs.get("optimizer")]):
                for entry in (logs, state.log_history[-1] if state.log_history else None):
                    if entry is not None:
                        entry.update(values)

    return SpeedReportCallback()


def _reports(reporter: Reporter | None, optimizers: Any) -> Iterator[dict[str, float]]:
    """Yield the flat reports of a reporter, or of those optimizers that have one."""
    for asked in [reporter] if reporter is not None else optimizers:
        inner = getattr(asked, "optimizer", asked)  # Lightning and accelerate wrap optimizers
        report: Callable[[], SpeedReport] | None = getattr(inner, "speed_report", None)
        if report is not None:
            yield report().flat()
