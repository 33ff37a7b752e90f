"""Adam's direction, as torch.optim.Adam takes it: u = lr·m̂/(√v̂ + ε).

m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ) (Kingma and Ba, arXiv
1412.6980); AMSGrad divides by the largest v so far (arXiv 1904.09237). 1 − β is formed in float64:
in binary32 1 − 0.999 is off by 1.3e-5.
"""

import math
from typing import Any

import torch
from torch import Tensor

from .batches import Batch


def adam_single(batch: Batch, group: dict[str, Any]) -> list[Tensor]:
    """Advance the moments of a batch of one tensor and return its proposed update."""
    beta1, beta2 = group["betas"]
    (grad,), (step,) = batch.grads, batch.steps
    (m,), (v,) = batch.buffers("exp_avg"), batch.buffers("exp_avg_sq")
    m.mul_(beta1).add_(grad, alpha=1 - beta1)
    v.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    if group["amsgrad"]:
        (largest,) = batch.buffers("max_exp_avg_sq")
        v = torch.maximum(largest, v, out=largest)
    denominator = v.sqrt().div_(math.sqrt(1 - beta2**step)).add_(group["eps"])
    return [denominator.reciprocal_().mul_(m).mul_(group["lr"] / (1 - beta1**step))]


def adam_foreach(batch: Batch, group: dict[str, Any]) -> list[Tensor]:
    """`adam_single` for many tensors at once, operation by operation."""
    beta1, beta2 = group["betas"]
    m, v = batch.buffers("exp_avg"), batch.buffers("exp_avg_sq")
    torch._foreach_mul_(m, beta1)
    torch._foreach_add_(m, batch.grads, alpha=1 - beta1)
    torch._foreach_mul_(v, beta2)
    torch._foreach_addcmul_(v, batch.grads, batch.grads, value=1 - beta2)
    if group["amsgrad"]:
        largest = batch.buffers("max_exp_avg_sq")
        torch._foreach_maximum_(largest, v)
        v = largest
    updates = list(torch._foreach_sqrt(v))
    torch._foreach_div_(updates, [math.sqrt(1 - beta2**step) for step in batch.steps])
    torch._foreach_add_(updates, group["eps"])
    torch._foreach_reciprocal_(updates)
    torch._foreach_mul_(updates, m)
    torch._foreach_mul_(updates, [group["lr"] / (1 - beta1**step) for step in batch.steps])
    return updates
