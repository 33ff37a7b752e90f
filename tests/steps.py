"""Building and running the optimizers of `tests.cases`."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.cases import CASES, CONTROL, SUBJECTS, Case
from torch_impl import Gravity

PATHS = pytest.mark.parametrize("foreach", [False, True], ids=["single", "foreach"])
VARIANTS = pytest.mark.parametrize(
    ("case", "options"),
    [
        pytest.param(case, options, id=f"{name}-{variant}")
        for name, case in CASES.items()
        for variant, options in case.variants.items()
    ],
)


def every_class(control_fails: str | None = None) -> pytest.MarkDecorator:
    """Run a test with every optimizer as it is by default, and with the control, by ``name``."""
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=_failing(name, control_fails)) for name in SUBJECTS]
    )


def everyone() -> pytest.MarkDecorator:
    """Run a test with every variant of every optimizer, and with the control."""
    return pytest.mark.parametrize(
        ("case", "options"),
        [
            pytest.param(case, options, id=f"{name}-{variant}")
            for name, case in SUBJECTS.items()
            for variant, options in case.variants.items()
        ],
    )


def _failing(name: str, reason: str | None) -> list[pytest.MarkDecorator]:
    return [pytest.mark.xfail(reason=reason, strict=True)] if reason and name in CONTROL else []


def built(case: Case, params: Any, **options: Any) -> Any:
    if case.optimizer is Gravity:
        options.setdefault("alpha", 0.0)
    return case.optimizer(params, **options)


def trained(
    case: Case, params: list[torch.Tensor], gradients: Callable[[int], Any], **options: Any
) -> list[torch.Tensor]:
    """Take three steps from copies of the parameters; return where they end."""
    leaves = [p.detach().clone().requires_grad_() for p in params]
    optimizer = built(case, leaves, **options)
    for step in range(3):
        for leaf, grad in zip(leaves, gradients(step), strict=True):
            leaf.grad = grad
        optimizer.step()
    return [leaf.detach() for leaf in leaves]


def normal(shape: Any, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class FailingSGD(torch.optim.SGD):
    """Raises in its step for as long as ``fails``."""

    fails = True

    def step(self, closure: Any = None) -> Any:
        if self.fails:
            raise KeyError("planned")
        return super().step(closure)
