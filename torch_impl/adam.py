"""Adam's direction, as torch.optim.Adam takes it: u = lr·m̂/(√v̂ + ε).

m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ) (Kingma and Ba, arXiv
1412.6980); AMSGrad divides by the largest v so far (arXiv 1904.09237). 1 − β is formed in float64:
in binary32 1 − 0.999 is off by 1.3e-5. Entries of a gradient beyond 2⁶³, whose squares binary32
does not hold (2⁵¹¹ in binary64), count as 2⁶³: v stays finite, and |u| within Adam's own bound.
"""

from torch import Tensor

from .batches import Batch


def propose_adam(batch: Batch) -> list[Tensor]:
    """Advance the moments of a batch and return the proposed updates."""
    batch.saturate()
    arithmetic, lr = batch.arithmetic, batch.number("lr")
    beta1, beta2 = (batch.as_scalar(beta) for beta in batch.group["betas"])
    m = arithmetic.mul(batch.read("exp_avg"), beta1)
    m = arithmetic.add(m, batch.grads, 1 - beta1)
    batch.write("exp_avg", m)
    v = arithmetic.mul(batch.read("exp_avg_sq"), beta2)
    v = arithmetic.add_square(v, batch.grads, 1 - beta2)
    batch.write("exp_avg_sq", v)
    batch.grads = []  # which may be the step's own, as large as the updates that come next
    if batch.group["amsgrad"]:
        v = arithmetic.maximum(batch.read("max_exp_avg_sq"), v)
        batch.write("max_exp_avg_sq", v)
    updates = arithmetic.roots(v)
    updates = arithmetic.div(updates, [(1 - beta2**step) ** 0.5 for step in batch.steps])
    updates = arithmetic.add_number(updates, batch.number("eps"))
    updates = arithmetic.reciprocal(updates)
    updates = arithmetic.mul(updates, m)
    return arithmetic.mul(updates, [lr / (1 - beta1**step) for step in batch.steps])
