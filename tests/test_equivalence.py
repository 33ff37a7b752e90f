"""The torch optimizers take the reference's steps: every law, mode and path, over tens of steps.

Near r = 1 the laws that jump amplify a rounding without bound. Steps on which a ratio comes within
`BAND` of 1 are not compared for them, and both sides go on from the reference's parameters; outside
it the slope of ρ is at most `STEEPNESS`. At r = 1 itself the formulas are compared in
`test_torch_laws`.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reference import LAWS as REFERENCE_LAWS
from reference import adam_direction, speed_ratios
from tests import cases, strategies
from tests.cases import CASES, Case, Options, float64
from torch_impl import RelativisticAdam


def can_be_fused(dtype: torch.dtype, options: Options) -> bool:
    """Whether there are kernels: of steps in binary32 whose updates are limited."""
    return dtype == torch.float32 and options.get("placement", "update") == "update"


BAND = 0.1
# |ρ′| ≤ (1 + r²)/(1 − r²)² = 50.2 at r = 0.9 for `piecewise`, |1 − 2r²|/√(1 − r²) = 1.5 for
# `published`, and 1 for the laws that are nonexpansive.
STEEPNESS = {"published": 1.5, "piecewise": 50.2}

# Gradients whose squares are normal numbers.
RANGE = {torch.float64: (1e-100, 1e100), torch.float32: (1e-12, 1e15)}

PATHS: Mapping[str, Options] = {
    "single": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}
DTYPES = {"float64": torch.float64, "float32": torch.float32}
VARIANTS = [
    pytest.param(name, variant, path, dtype, id=f"{kind}-{name}-{variant}-{path}")
    for kind, dtype in DTYPES.items()
    for name, case in CASES.items()
    for variant in case.variants
    for path in PATHS
    if path != "fused" or can_be_fused(dtype, case.variants[variant])
]


def multiple(dtype: torch.dtype) -> float:
    """Return the allowed error in units of roundoff of |θ| and the longest path it can have gone.

    1e-12 in float64, 2⁸ units in float32; the largest seen in 10⁵ comparisons was 41 units.
    """
    return 1e-12 * 2**53 if dtype == torch.float64 else 2.0**8


class Run:
    """An optimizer over two parameter groups and its twin in the reference."""

    def __init__(self, case: Case, options: Options, dtype: torch.dtype, data: st.DataObject):
        self.case, self.options, self.dtype = case, options, dtype
        self.rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), label="seed"))
        shapes = data.draw(st.lists(strategies.shapes(), min_size=1, max_size=3), label="shapes")
        self.params = [
            torch.nn.Parameter(torch.tensor(self.rng.standard_normal(shape), dtype=dtype))
            for shape in shapes
        ]
        second = data.draw(case.options, label="options of the second group")
        changed = {name: second[name] for name in case.per_group}
        split = data.draw(st.integers(1, len(shapes)), label="first group's size")
        groups: list[dict[str, Any]] = [{"params": self.params[:split]}]
        if split < len(shapes):
            groups.append({"params": self.params[split:], **changed})
        self.optimizer = case.optimizer(groups, **options)
        self.per_array = {
            name: [options[name]] * split + [changed[name]] * (len(shapes) - split)
            for name in case.per_group
        }
        self.largest = 1.0
        self.states = cases.initial_states(self.optimizer, self.params)
        self.thetas = [float64(p) for p in self.params]

    def longest_step(self, i: int) -> float:
        """Bound a step of an entry of the i-th parameter."""
        own = {name: values[i] for name, values in self.per_array.items()}
        return self.case.longest_step({**self.options, **own}, self.largest)

    def gradients(self) -> list[Any]:
        """Draw a gradient for every parameter, at times None."""
        grads: list[Any] = []
        for param in self.params:
            kind = self.rng.choice(strategies.KINDS)
            values = strategies.draw_values(self.rng, param.shape, kind, *RANGE[self.dtype])
            absent = self.rng.random() < 0.1
            param.grad = None if absent else torch.tensor(values, dtype=self.dtype)
            grads.append(None if param.grad is None else float64(param.grad))
        return grads

    def near_jump(self, grads: list[Any]) -> bool:
        """Whether some block's ratio is within `BAND` of 1 on this step."""
        present = [i for i, g in enumerate(grads) if g is not None]
        updates, limits = [], []
        for i in present:
            g, decay = grads[i], self.per_array["weight_decay"][i]
            sign = -1 if self.options["maximize"] else 1
            g = sign * g
            step = 1 if self.states[i] is None else self.states[i].step + 1
            warmup = self.options["speed_warmup_steps"]
            warming = self.options["adaptive_speed"] and warmup > 0
            share = min(1, step / warmup) if warming else 1
            limits.append(self.per_array["speed_limit"][i] * share)
            if self.options["placement"] == "gradient":
                updates.append(g)
                continue
            if self.case.optimizer is RelativisticAdam:
                g = g + decay * self.thetas[i]
            names = ("betas", "eps", "amsgrad")
            u, _ = adam_direction(
                g,
                self.states[i],
                lr=self.per_array["lr"][i],
                **{name: self.options[name] for name in names},
            )
            updates.append(u)
        ratios = speed_ratios(
            updates,
            limits,
            params=[self.thetas[i] for i in present],
            mode=self.options["relativistic_mode"],
            unit=self.options["speed_unit"],
        )
        return any(np.any(np.abs(r - 1) < BAND) for r in ratios)

    def align(self) -> None:
        """Give both sides the same parameters and moments."""
        for i, (param, theta, state) in enumerate(
            zip(self.params, self.thetas, self.states, strict=True)
        ):
            param.data = torch.tensor(theta, dtype=self.dtype)
            self.thetas[i] = float64(param)
            if state is None:
                continue
            moments = {
                key: getattr(state, key)
                for key in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
                if getattr(state, key) is not None
            }
            own = self.optimizer.state[param]
            for key, values in moments.items():
                own[key].copy_(torch.tensor(values))
            same = {key: float64(own[key]) for key in moments}
            self.states[i] = dataclasses.replace(state, **same)

    def steps(self, count: int) -> Iterator[bool]:
        """Step both sides; yield whether the parameters are to be compared."""
        law = self.options.get("law", "smooth_sqrt")
        for _ in range(count):
            grads = self.gradients()
            sizes = [np.max(np.abs(x), initial=0) for x in grads + self.thetas if x is not None]
            self.largest = max(self.largest, *map(float, sizes))
            jumps = not REFERENCE_LAWS[law].claims["continuous"].holds and self.near_jump(grads)
            self.optimizer.step()
            self.thetas, self.states = self.case.step(
                self.thetas,
                grads,
                self.states,
                **self.case.reference_options({**self.options, **self.per_array}),
            )
            if jumps:
                self.align()
            yield not jumps


@pytest.mark.parametrize(("name", "variant", "path", "dtype"), VARIANTS)
@pytest.mark.filterwarnings("ignore:law=")
@given(data=st.data())
def test_torch_takes_the_references_steps(
    name: str, variant: str, path: str, dtype: torch.dtype, data: st.DataObject
) -> None:
    case = CASES[name]
    options = {**data.draw(case.options, label="options"), **case.variants[variant]}
    steep = options.get("law") in STEEPNESS
    if steep and options["placement"] == "gradient" and options["speed_unit"] == "relative":
        options["speed_unit"] = "rms"  # or θ's error comes back in c, times the slope, in each step
    if path == "fused" and "placement" in options:
        options["placement"] = "update"
    run = Run(case, {**options, **PATHS[path]}, dtype, data)
    steepness = STEEPNESS.get(options.get("law", ""), 1)
    if options.get("placement") == "gradient":  # Adam divides by what has been limited
        steepness *= steepness
    unit = torch.finfo(dtype).eps / 2
    travelled = [0.0] * len(run.params)
    for compared in run.steps(data.draw(st.integers(10, 30), label="steps")):
        for i, (param, theta) in enumerate(zip(run.params, run.thetas, strict=True)):
            travelled[i] += steepness * run.longest_step(i)
            size = float(np.max(np.abs(theta), initial=0))
            tolerance = multiple(dtype) * unit * (size + travelled[i])
            if compared:
                error = np.max(np.abs(float64(param) - theta), initial=0)
                assert error <= tolerance, f"off by {error}, {error / tolerance} of the tolerance"
        assert all(math.isfinite(float(p.detach().sum())) for p in run.params)
