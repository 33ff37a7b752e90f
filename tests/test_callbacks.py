"""Speed reports reach TensorBoard, Lightning and transformers' Trainer, each as it is."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from torch_impl import RelativisticAdamW, limit_speed
from torch_impl.callbacks import lightning_callback, transformers_callback, write_to_tensorboard

# What these packages warn of, about themselves and what they import.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ImportWarning"),
]


def test_tensorboard_gets_a_scalar_per_number(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import (  # noqa: PLC0415
        EventAccumulator,
    )
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = RelativisticAdamW([("w", weight)], telemetry=True)
    weight.grad = torch.ones(2)
    optimizer.step()
    report = optimizer.speed_report()
    with SummaryWriter(str(tmp_path)) as writer:
        write_to_tensorboard(writer, report, 7)
    events: Any = EventAccumulator(str(tmp_path))
    events.Reload()
    assert set(events.Tags()["scalars"]) == set(report.flat())
    (ratio,) = events.Scalars("speed/ratio/w")
    assert ratio.step == 7
    assert ratio.value == pytest.approx(report.tensors["w"].ratio)


@pytest.mark.parametrize("attached", [False, True], ids=["own", "limit_speed"])
def test_lightning_logs_the_report_of_every_so_many_steps(tmp_path: Path, attached: bool) -> None:
    import lightning.pytorch as lightning  # noqa: PLC0415
    from lightning.pytorch.loggers import CSVLogger  # noqa: PLC0415

    reporters: list[Any] = []

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def training_step(self, batch: torch.Tensor, _: int) -> Any:
            return self.layer(batch).square().mean()

        def configure_optimizers(self) -> Any:
            if not attached:
                return RelativisticAdamW(self.named_parameters(), 0.1, telemetry=True)
            optimizer = torch.optim.AdamW(self.named_parameters(), 0.1)
            reporters.append(limit_speed(optimizer, 0.01, telemetry=True))
            return optimizer

    class Late:
        """The handle, which is there once the optimizer is."""

        def speed_report(self) -> Any:
            return reporters[0].speed_report()

    logged: list[tuple[int, dict[str, float]]] = []

    class Logger(CSVLogger):
        def log_metrics(self, metrics: Any, step: int | None = None) -> None:
            if "speed/gain/layer.weight" in metrics:
                assert step is not None
                logged.append((step, dict(metrics)))

    trainer = lightning.Trainer(
        max_steps=6,
        accelerator="cpu",
        logger=Logger(tmp_path),
        callbacks=[lightning_callback(Late() if attached else None, every=2)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader: Any = torch.utils.data.DataLoader(list(torch.ones(24, 2)), batch_size=4)  # type: ignore[arg-type]
    trainer.fit(Module(), loader)
    assert [step for step, _ in logged] == [2, 4, 6]
    assert all(0 < values["speed/gain/layer.weight"] <= 1 for _, values in logged)


def test_the_trainer_logs_the_report_beside_the_loss(tmp_path: Path) -> None:
    from transformers import Trainer, TrainingArguments  # noqa: PLC0415

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> Any:
            y = self.layer(x)
            return {"loss": (y - labels).square().mean(), "logits": y}

    model = Model()
    optimizer = RelativisticAdamW(model.named_parameters(), 0.1, telemetry=True)
    rows = [{"x": torch.ones(2), "labels": torch.zeros(1)} for _ in range(24)]
    trainer: Any = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(tmp_path),
            max_steps=4,
            per_device_train_batch_size=4,
            logging_steps=2,
            report_to=[],
            use_cpu=True,
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=rows,
        optimizers=(optimizer, None),
        callbacks=[transformers_callback()],
    )
    trainer.train()
    with_loss = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["step"] for entry in with_loss] == [2, 4]
    assert all(0 < entry["speed/gain/layer.weight"] <= 1 for entry in with_loss)


def test_whoever_has_no_report_is_left_out_and_there_may_be_nothing_to_log_to() -> None:
    """An optimizer without limits; a Trainer that has not logged yet."""
    from types import SimpleNamespace  # noqa: PLC0415

    callback = transformers_callback()
    logs: dict[str, float] = {"loss": 1.0}
    state = SimpleNamespace(log_history=[])
    weight = torch.nn.Parameter(torch.ones(2))
    callback.on_log(None, state, None, logs, optimizer=torch.optim.AdamW([weight]))
    assert logs == {"loss": 1.0}
    callback.on_log(None, state, None, logs, optimizer=RelativisticAdamW([weight]))
    assert logs == {"loss": 1.0, "speed/skipped_steps": 0, "speed/consecutive_skips": 0}


@pytest.mark.parametrize(
    ("make", "package"),
    [(lightning_callback, "lightning"), (transformers_callback, "transformers")],
)
def test_a_package_that_is_missing_is_named(
    make: Any, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (package, "lightning.pytorch"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"needs the package '{package}'"):
        make()
