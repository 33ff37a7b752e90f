"""What Triton's compiler makes of the launches of a step: ``python -m tests.cuda.compiled``.

Prints JSON. It compiles for a GPU of compute capability 9.0 that need not be there: the steps are
those of the optimizers, their launches end before anything would run.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

import torch_impl.fused.homes
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW

PATTERNS = {
    "wide loads": r"ld\.global\.v4\.b32",
    "wide stores": r"st\.global\.v4\.b32",
    "approximate": r"(?:div\.full|div\.approx|sqrt\.approx|rsqrt|rcp\.approx)\.(?:ftz\.)?f32",
    "fused": r"fma\.rn\.f32",
    "local": r"(?:ld|st)\.local",
}
"""What is counted in the assembly."""

SUBJECTS: Mapping[str, tuple[Any, torch.dtype, dict[str, Any]]] = {
    "per_param": (RelativisticAdamW, torch.float32, {}),
    "global": (
        RelativisticAdamW,
        torch.float32,
        {"relativistic_mode": "global", "speed_unit": "relative", "law": "tanh"},
    ),
    "per_component": (
        RelativisticAdam,
        torch.float32,
        {"relativistic_mode": "per_component", "capturable": True, "lr": torch.tensor(0.1)},
    ),
    "bfloat16": (RelativisticAdamW, torch.bfloat16, {"stochastic_rounding": True}),
    "float16": (RelativisticAdam, torch.float16, {"amsgrad": True, "weight_decay": 0.1}),
    "gravity": (Gravity, torch.float32, {}),
    "relative gravity": (Gravity, torch.bfloat16, {"max_step_grad": 3, "weight_decay": 0.1}),
}


class Absent:
    """A driver of a device that is not there."""

    def get_current_device(self) -> int:
        """Return its number."""
        return 0

    def get_current_stream(self, _device: int) -> int:
        """Return its stream."""
        return 0

    def get_current_target(self) -> GPUTarget:
        """Return what to compile for."""
        return GPUTarget("cuda", 90, 32)


def launches(subject: Any, dtype: torch.dtype, options: dict[str, Any]) -> dict[str, Any]:
    """Return what is found in the kernels that two steps launch, the second with AMP's scale."""
    found = {}
    run = JITFunction.run

    def compile_only(kernel: Any, *args: Any, **kwargs: Any) -> Any:
        compiled = run(kernel, *args, **{**kwargs, "warmup": True})
        ptx = compiled.asm["ptx"]
        name = kernel.fn.__name__
        found[name] = {key: len(re.findall(pattern, ptx)) for key, pattern in PATTERNS.items()}
        return compiled

    JITFunction.run = compile_only
    params = [torch.zeros(n, dtype=dtype, requires_grad=True) for n in (5, 5000)]
    optimizer = subject(params, fused=True, **options)
    for scale in (torch.ones(1), None):
        for param in params:
            param.grad = torch.zeros_like(param)
        optimizer.grad_scale, optimizer.found_inf = scale, scale
        optimizer.step()
    JITFunction.run = run
    return found


def main() -> None:
    """Print what is found for every subject, by kernel."""
    driver.set_active(Absent())
    torch_impl.fused.homes.home_of = lambda param: "cuda"  # noqa: ARG005
    found = {name: launches(*subject) for name, subject in SUBJECTS.items()}
    print(json.dumps(found, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
