"""accelerate: a prepared optimizer, gradients accumulated over two batches, a state that goes on.

The wrapper that `Accelerator.prepare` puts around an optimizer steps it every second batch here,
and the limit holds for each of these steps. `save_state` and `load_state` keep all that the
optimizer knows: the resumed run ends with the weights of the one that never stopped.
Needs accelerate.
"""

import tempfile

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, TensorDataset

from subluminal import RelativisticAdamW

LIMIT = 1e-3


def prepared():
    """Return an accelerator and what it has prepared."""
    torch.manual_seed(0)
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))
    optimizer = RelativisticAdamW(
        model.named_parameters(), lr=0.1, speed_limit=LIMIT, speed_unit="rms", telemetry=True
    )
    inputs = torch.randn(512, 8)
    loader = DataLoader(TensorDataset(inputs, inputs.square().sum(dim=1, keepdim=True)), 32)
    return accelerator, *accelerator.prepare(model, optimizer, loader)


def train(accelerator, model, optimizer, loader):
    """Train for an epoch; return how many steps there were, and the speed of the fastest tensor."""
    steps, fastest = 0, 0.0
    for inputs, targets in loader:
        with accelerator.accumulate(model):
            accelerator.backward(torch.nn.functional.mse_loss(model(inputs), targets))
            optimizer.step()
            optimizer.zero_grad()
        if accelerator.sync_gradients:
            steps += 1
            report = optimizer.optimizer.speed_report()  # of the optimizer inside the wrapper
            fastest = max(fastest, *(speed.applied_rms for speed in report.tensors.values()))
    return steps, fastest


accelerator, model, optimizer, loader = prepared()
steps, fastest = train(accelerator, model, optimizer, loader)
print(f"{len(loader)} batches, {steps} steps, the fastest at {fastest / LIMIT:.4f} of the limit")

with tempfile.TemporaryDirectory() as folder:
    accelerator.save_state(folder)
    train(accelerator, model, optimizer, loader)  # on, without a stop

    again, other_model, other_optimizer, other_loader = prepared()
    again.load_state(folder)
train(again, other_model, other_optimizer, other_loader)
apart = max(
    (one - two).abs().max().item()
    for one, two in zip(model.parameters(), other_model.parameters(), strict=True)
)
print(f"loaded and trained on: {apart} from the run that never stopped")
