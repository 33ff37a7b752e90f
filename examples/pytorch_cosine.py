"""Plain PyTorch: a cosine on the learning rate, which the speed limit follows.

With ``speed_follows_lr`` the limit is c_t = c·lr_t/lr_ref, so that the one scheduler that a script
has anyway lowers both. A large learning rate then decides how large a *proposed* update is, and c
how large an applied one is: the accuracy hardly depends on the learning rate any more, where AdamW
under the same cosine fails. Needs scikit-learn, for its digits.
"""

import math

import torch
from sklearn.datasets import load_digits
from torch import nn

from subluminal import RelativisticAdamW

EPOCHS, BATCH = 8, 64


def train(make, lr):
    """Return the accuracy on held-out digits, and every step's limit and fastest tensor."""
    torch.manual_seed(0)
    images, labels = (torch.as_tensor(part) for part in load_digits(return_X_y=True))
    images = images.float() / 16
    held_out, rest = torch.arange(0, len(images), 5), torch.arange(len(images)) % 5 != 0
    inputs, targets = images[rest], labels[rest]
    model = nn.Sequential(
        nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    optimizer = make(model, lr)
    steps = EPOCHS * math.ceil(len(inputs) / BATCH)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    limits, speeds = [], []
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(inputs)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[batch]), targets[batch]).backward()
            optimizer.step()
            if isinstance(optimizer, RelativisticAdamW):
                (group,) = optimizer.param_groups
                limits.append(group["speed_limit"] * group["lr"] / group["speed_reference_lr"])
                tensors = optimizer.speed_report().tensors.values()
                speeds.append(max(tensor.applied_rms for tensor in tensors))
            scheduler.step()
    guesses = model(images[held_out]).argmax(dim=1)
    return (guesses == labels[held_out]).float().mean().item(), limits, speeds


def adamw(model, lr):
    return torch.optim.AdamW(model.parameters(), lr)


def limited(model, lr):
    return RelativisticAdamW(
        model.parameters(),
        lr,
        speed_limit=0.01,
        speed_unit="rms",  # c·√n for a tensor of n entries
        speed_follows_lr=True,
        telemetry=True,
    )


print("accuracy    AdamW  RelativisticAdamW")
for rate in (0.01, 0.3, 3.0):
    plain, (ours, limits, speeds) = train(adamw, rate)[0], train(limited, rate)
    print(f"lr = {rate:<5}  {plain:.3f}  {ours:.3f}")
print("the limit c_t and the fastest tensor's rms, at the last of these learning rates:")
for step in (0, len(limits) // 2, len(limits) - 1):
    print(f"step {step + 1:3}: c_t = {limits[step]:.2e}, applied {speeds[step]:.2e}")
faster = sum(speed > limit * (1 + 1e-6) for speed, limit in zip(speeds, limits, strict=True))
print(f"steps faster than their limit: {faster} of {len(limits)}")
