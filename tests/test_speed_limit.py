"""The limit as the optimizers apply it: how far a step goes, and over which block."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reference import LAWS as REFERENCE_LAWS
from reference import limit
from tests import strategies
from tests.cases import Options, float64
from tests.steps import PATHS, normal
from torch_impl import LAWS, RelativisticAdam, RelativisticAdamW

ADAMS = [RelativisticAdam, RelativisticAdamW]
pytestmark = pytest.mark.filterwarnings("ignore:law=")


# A step of c, the decay of lr·λ·‖θ‖, half an ulp of each entry for the write, and for the limit
# itself the roundings of `test_torch_laws`.
BOUNDED = [key for key in LAWS if REFERENCE_LAWS[key].claims["bounded"].holds]


@PATHS
@pytest.mark.parametrize("mode", ["global", "per_param", "per_component"])
@pytest.mark.parametrize("law", BOUNDED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@given(
    arrays=strategies.updates(1e-3, 1e3),
    scale=st.sampled_from([1e-12, 1.0, 1e12]),
    c=strategies.speed_limits(1e-3, 1e1),
    decay=st.sampled_from([0.0, 0.1]),
)
def test_parameters_never_move_faster_than_the_speed_limit(
    law: str,
    mode: str,
    foreach: bool,
    dtype: torch.dtype,
    arrays: Any,
    scale: float,
    c: float,
    decay: float,
) -> None:
    leaves = [torch.tensor(a, dtype=dtype).requires_grad_() for a in arrays]
    optimizer = RelativisticAdamW(
        leaves,
        lr=1.0,
        weight_decay=decay,
        speed_limit=c,
        relativistic_mode=mode,
        law=law,
        foreach=foreach,
    )
    for step in range(3):
        before = [float64(leaf).ravel() for leaf in leaves]
        for leaf in leaves:
            leaf.grad = (normal(leaf.shape, step) * scale).to(dtype)
        optimizer.step()
        after = [float64(leaf).ravel() for leaf in leaves]
        if mode == "global":
            before, after = [np.concatenate(before)], [np.concatenate(after)]
        for old, new in zip(before, after, strict=True):
            half_ulp = torch.finfo(dtype).eps / 2 * np.maximum(np.abs(old), np.abs(new))
            moved, size = np.abs(new - old), np.abs(old)
            rounding = 8 * torch.finfo(torch.float32).eps
            if mode == "per_component":
                assert (moved <= (c + decay * size) * (1 + rounding) + half_ulp).all()
            else:
                bound = (c + decay * np.linalg.norm(size)) * (1 + rounding)
                assert np.linalg.norm(moved) <= bound + np.linalg.norm(half_ulp)


@pytest.mark.parametrize("cls", ADAMS)
def test_one_norm_spans_groups_dtypes_and_laws_in_global_mode(cls: Any) -> None:
    leaves = [torch.zeros(3, dtype=torch.float64), torch.zeros(4, dtype=torch.float32)]
    groups = [
        {"params": [leaves[0].requires_grad_()], "speed_limit": 1.0},
        {"params": [leaves[1].requires_grad_()], "speed_limit": 2.0, "law": "tanh"},
    ]
    for leaf in leaves:
        leaf.grad = torch.ones_like(leaf)
    cls(groups, lr=10.0, eps=0.0, relativistic_mode="global", law="hard_clip").step()
    norm = 10 * math.sqrt(7)
    expected = 10 / norm * 1.0, 10 / norm * 2 * math.tanh(norm / 2)
    for leaf, value in zip(leaves, expected, strict=True):
        np.testing.assert_allclose(float64(leaf), -value, rtol=1e-6)


@PATHS
def test_each_parameter_warms_its_limit_up_by_its_own_step(foreach: bool) -> None:
    early, late = torch.zeros(1).requires_grad_(), torch.zeros(1).requires_grad_()
    options: Options = {"lr": 1e6, "speed_limit": 1.0, "law": "hard_clip", "foreach": foreach}
    optimizer = RelativisticAdam(
        [early, late], adaptive_speed=True, speed_warmup_steps=10, **options
    )
    early.grad = torch.ones(1)
    optimizer.step()
    late.grad = torch.ones(1)
    optimizer.step()
    assert float(early.detach()) == pytest.approx(-0.1 - 0.2)
    assert float(late.detach()) == pytest.approx(-0.1)


def stepped(groups: list[Options], **options: Any) -> list[strategies.Array]:
    """Take one step of size lr in every entry, against the sign of θ, and return the moves."""
    leaves = [leaf for group in groups for leaf in group["params"]]
    before = [float64(leaf) for leaf in leaves]
    for leaf in leaves:
        leaf.requires_grad_().grad = torch.ones_like(leaf)
    RelativisticAdam(groups, eps=0.0, **options).step()
    return [old - float64(leaf) for old, leaf in zip(before, leaves, strict=True)]


@PATHS
@pytest.mark.parametrize(
    "units", [("relative", "norm"), ("norm", "relative"), ("rms", "relative"), ("norm", "rms")]
)
def test_groups_measure_one_block_each_in_its_own_unit(
    units: tuple[str, str], foreach: bool
) -> None:
    """Global mode: n and θ are the model's, whichever groups ask for them."""

    def params() -> list[torch.Tensor]:
        return [torch.full((3,), 1.0).double(), torch.full((4,), 100.0).double()]

    groups = [
        {"params": [leaf], "speed_unit": unit} for leaf, unit in zip(params(), units, strict=True)
    ]
    options: Options = {"lr": 1e3, "speed_limit": 0.1, "relativistic_mode": "global"}
    moves = stepped(groups, foreach=foreach, **options)
    thetas = [float64(leaf) for leaf in params()]
    updates = [np.full(3, 1e3), np.full(4, 1e3)]
    for i, unit in enumerate(units):
        whole = limit(updates, 0.1, params=thetas, mode="global", unit=unit)
        np.testing.assert_allclose(moves[i], whole[i], rtol=1e-11)


@PATHS
def test_groups_may_differ_in_mode_and_law(foreach: bool) -> None:
    """Each is limited as if it were alone."""
    kinds: list[Options] = [
        {"relativistic_mode": mode, "law": law}
        for mode in ("global", "per_param", "per_component")
        for law in ("hard_clip", "published")
        if (mode, law) != ("global", "published")
    ]
    options: Options = {"lr": 0.2, "speed_limit": 0.3, "foreach": foreach}
    together = stepped([{"params": [torch.zeros(5)], **kind} for kind in kinds], **options)
    for move, kind in zip(together, kinds, strict=True):
        (alone,) = stepped([{"params": [torch.zeros(5)], **kind}], **options)
        np.testing.assert_array_equal(move, alone)


@PATHS
@pytest.mark.parametrize("mode", ["global", "per_param"])
def test_parameters_whose_squares_overflow_are_measured(mode: str, foreach: bool) -> None:
    params = [torch.full((4,), 1e200, dtype=torch.float64) for _ in range(2)]
    options: Options = {"lr": 1e220, "speed_unit": "relative", "speed_limit": 1e-3}
    moves = stepped([{"params": params}], relativistic_mode=mode, foreach=foreach, **options)
    np.testing.assert_allclose(moves, np.full((2, 4), 1e197), rtol=1e-2)


@PATHS
@pytest.mark.parametrize("unit", ["norm", "relative"])
def test_a_limit_that_underflows_stops_the_entry(unit: str, foreach: bool) -> None:
    leaf = torch.zeros(2).requires_grad_()
    leaf.grad = torch.tensor([0.0, 1.0])
    optimizer = RelativisticAdam(
        [leaf],
        speed_limit=1e-43,
        speed_unit=unit,
        relativistic_mode="per_component",
        adaptive_speed=True,
        speed_warmup_steps=10**6,
        foreach=foreach,
    )
    optimizer.step()
    assert leaf.detach().tolist() == [0.0, 0.0]
