"""torch.compile: the whole step as one graph, the same results, nothing compiled again.

What changes from step to step has to be a tensor, or each new value is compiled anew: the learning
rate and the speed limit are changed in place here. ``fused=True`` is for steps that are not
compiled. Needs a C++ compiler, as torch.compile does on the CPU.
"""

import torch
from torch._dynamo.testing import CompileCounterWithBackend

from subluminal import RelativisticAdamW

STEPS = 20


def train(backend=None):
    """Return the trained weights of a small network."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))
    lr, limit = torch.tensor(1e-2), torch.tensor(1e-3)
    optimizer = RelativisticAdamW(model.parameters(), lr, speed_limit=limit, speed_unit="rms")
    step = torch.compile(optimizer.step, backend=backend) if backend else optimizer.step
    inputs = torch.randn(64, 8)
    targets = inputs.square().sum(dim=1, keepdim=True)
    for i in range(STEPS):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(inputs), targets).backward()
        step()
        lr.fill_(1e-2 * (1 - i / STEPS))
        limit.fill_(1e-3 * (1 - i / STEPS))
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


counter = CompileCounterWithBackend("inductor")
eager, compiled = train(), train(counter)
print(f"{STEPS} steps, a new learning rate and limit in each: {counter.frame_count} graph compiled")
print(f"largest difference from eager: {(compiled - eager).abs().max().item():.1e}")
