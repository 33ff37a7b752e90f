"""From relativistic-adam 1.0.0: one import, and its checkpoint.

The constructor is the published one, so that only the import line changes:

    from relativistic_adam import RelativisticAdam   # before
    from subluminal import RelativisticAdam          # after

A state dict saved by 1.0.0 is loaded as it is. With ``law="published"`` the training goes on where
1.0.0 would have taken it; what is left is ε, which 1.0.0 divides by √(1 − β₂ᵗ). By default the law
is smooth_sqrt, whose updates do not drop to 0 below the limit, and the weights part.
Needs relativistic-adam.
"""

import tempfile
import warnings
from pathlib import Path

import relativistic_adam
import torch

import subluminal

OPTIONS = {"lr": 0.02, "speed_limit": 0.1, "relativistic_mode": "per_param"}


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))


def train(model, optimizer, steps):
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        inputs = torch.randn(32, 8, generator=generator)
        optimizer.zero_grad()
        targets = inputs.square().sum(dim=1, keepdim=True)
        torch.nn.functional.mse_loss(model(inputs), targets).backward()
        optimizer.step()


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


old_model = network()
old = relativistic_adam.RelativisticAdam(old_model.parameters(), **OPTIONS)
train(old_model, old, 50)

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "checkpoint.pt"
    torch.save({"model": old_model.state_dict(), "optimizer": old.state_dict()}, file)
    saved = torch.load(file, weights_only=True)

start = weights(old_model)
train(old_model, old, 50)  # where 1.0.0 goes
moved = (weights(old_model) - start).abs().max().item()
print(f"1.0.0: 50 steps saved, 50 more move a weight by up to {moved:.3f}")
for law in ("published", "smooth_sqrt"):
    model = network()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="law='published'")  # that it is not monotone
        optimizer = subluminal.RelativisticAdam(model.parameters(), **OPTIONS, law=law)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    train(model, optimizer, 50)
    apart = (weights(model) - weights(old_model)).abs().max().item()
    print(f"subluminal, law={law!r}: after the same 50 steps {apart:.1e} from 1.0.0")
