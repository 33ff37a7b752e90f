"""The optimizers that runs name."""

from collections.abc import Callable, Iterable
from typing import Any

import pytorch_optimizer
import torch
from torch.optim import Optimizer

from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW, limit_speed

from .baselines import RAD, RGD

Factory = Callable[..., Optimizer]


def limited(inner: Factory) -> Factory:
    """Return a factory of an optimizer behind `limit_speed`, whose options are ``limit``."""

    def make(params: Iterable[torch.nn.Parameter], *, limit: dict[str, Any], **options: Any) -> Any:
        optimizer = inner(params, **options)
        limit_speed(optimizer, **limit)
        return optimizer

    return make


OPTIMIZERS: dict[str, Factory] = {
    "SGD": torch.optim.SGD,
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
    "Adafactor": torch.optim.Adafactor,
    "StableAdamW": pytorch_optimizer.StableAdamW,
    "Lamb": pytorch_optimizer.Lamb,
    "AdaGC": pytorch_optimizer.AdaGC,
    "SPAM": pytorch_optimizer.SPAM,
    "RAD": RAD,
    "RGD": RGD,
    "RelativisticAdam": RelativisticAdam,
    "RelativisticAdamW": RelativisticAdamW,
    "limited SGD": limited(torch.optim.SGD),
    "limited AdamW": limited(torch.optim.AdamW),
    "Gravity": Gravity,
}
