"""Lightning: the limit follows Lightning's scheduler, reports are logged, a checkpoint goes on.

`configure_optimizers` returns the optimizer and a cosine as for any other. A run that stops after
half of its epochs and is resumed from Lightning's own checkpoint ends with the weights of one that
never stopped. Needs lightning.
"""

import logging
import tempfile
import warnings
from pathlib import Path

import lightning.pytorch as lightning
import torch
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader, TensorDataset

from subluminal import RelativisticAdamW
from subluminal.callbacks import lightning_callback

EPOCHS, BATCHES = 6, 8
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
for of_itself in (".*LeafSpec.*is deprecated", ".*does not have many workers"):
    warnings.filterwarnings("ignore", message=of_itself)


class Regression(lightning.LightningModule):
    """A small network and its optimizer."""

    def __init__(self):
        super().__init__()
        self.network = torch.nn.Sequential(
            torch.nn.Linear(8, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1)
        )

    def training_step(self, batch, _):
        inputs, targets = batch
        return torch.nn.functional.mse_loss(self.network(inputs), targets)

    def configure_optimizers(self):
        optimizer = RelativisticAdamW(
            self.named_parameters(),
            lr=0.1,
            speed_limit=0.01,
            speed_unit="rms",
            speed_follows_lr=True,
            telemetry=True,
        )
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * BATCHES)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": cosine, "interval": "step"},
        }


def train(folder, epochs, checkpoint=None):
    """Return the trained module and the trainer; start from a checkpoint if there is one."""
    torch.manual_seed(0)
    module = Regression()
    inputs = torch.randn(32 * BATCHES, 8)
    loader = DataLoader(TensorDataset(inputs, inputs.square().sum(dim=1, keepdim=True)), 32)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=CSVLogger(folder),
        callbacks=[lightning_callback(every=BATCHES)],
        default_root_dir=folder,
        enable_checkpointing=False,  # the one that is resumed is saved below
        log_every_n_steps=BATCHES,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, loader, ckpt_path=checkpoint)
    return module, trainer


with tempfile.TemporaryDirectory() as temporary:
    whole, trainer = train(Path(temporary) / "whole", EPOCHS)
    _, half = train(Path(temporary) / "half", EPOCHS // 2)
    file = Path(temporary) / "half.ckpt"
    half.save_checkpoint(file)
    resumed, _ = train(Path(temporary) / "resumed", EPOCHS, file)
    (log,) = Path(temporary, "whole").rglob("metrics.csv")
    header, *rows = (line.split(",") for line in log.read_text().splitlines())

for quantity in ("applied_rms", "ratio"):  # what is proposed falls, and the limit with it
    name = f"speed/{quantity}/network.0.weight"
    values = [float(row[header.index(name)]) for row in rows]
    print(f"{name}, once an epoch: {', '.join(f'{value:.1e}' for value in values)}")
apart = max(
    (one - two).abs().max().item()
    for one, two in zip(whole.parameters(), resumed.parameters(), strict=True)
)
print(f"resumed after {EPOCHS // 2} of {EPOCHS} epochs: {apart} from the run that never stopped")
