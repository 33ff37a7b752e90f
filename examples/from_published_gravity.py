"""From the published PyTorch Gravity: one import, and its checkpoint.

The constructor is the published one, lr, alpha and beta in this order with these defaults, so that
only the import line changes. What is new is keyword-only. The published class is a listing in the
README of gravity.optimizer; the Gravity of pytorch-optimizer stands in for it here, which takes the
same steps, has another default of lr, and calls the clock ``step`` where the listing says ``t``.
Needs pytorch-optimizer.
"""

import inspect
import tempfile
from pathlib import Path

import pytorch_optimizer
import torch

from subluminal import Gravity


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))


def train(model, optimizer, steps):
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        inputs = torch.randn(32, 8, generator=generator)
        optimizer.zero_grad()
        targets = inputs.sum(dim=1, keepdim=True)
        torch.nn.functional.mse_loss(model(inputs), targets).backward()
        optimizer.step()


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


arguments = [
    argument.replace(annotation=argument.empty)
    for argument in inspect.signature(Gravity).parameters.values()
    if argument.kind is not argument.KEYWORD_ONLY
]
print(f"Gravity{inspect.Signature(arguments)}")

old_model = network()
old = pytorch_optimizer.Gravity(old_model.parameters(), 0.1, 0.01, 0.9)
train(old_model, old, 50)

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "checkpoint.pt"
    state = old.state_dict()
    for group in state["param_groups"]:
        group["t"] = group.pop("step")  # as the published class calls it
    torch.save({"model": old_model.state_dict(), "optimizer": state}, file)
    saved = torch.load(file, weights_only=True)

start = weights(old_model)
train(old_model, old, 50)  # where it goes by itself
moved = (weights(old_model) - start).abs().max().item()
print(f"published: 50 steps saved, 50 more move a weight by up to {moved:.3f}")

model = network()
optimizer = Gravity(model.parameters(), 0.1, 0.01, 0.9)
model.load_state_dict(saved["model"])
optimizer.load_state_dict(saved["optimizer"])
train(model, optimizer, 50)
apart = (weights(model) - weights(old_model)).abs().max().item()
print(f"subluminal: after the same 50 steps {apart:.1e} from the published")
