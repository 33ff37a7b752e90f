"""What optimizers declare of their steps, and the checks of it."""

import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

from reference import LAWS as REFERENCE_LAWS
from tests.cases import CASES, Case, Options
from torch_impl import LAWS, Gravity, RelativisticAdam, RelativisticAdamW
from torch_impl.invariants import Invariants, NormBound, SmallUpdates, steps_taken
from torch_impl.testing import CHECKS, NotApplicable, Subject, run_check
from torch_impl.testing.invariants.bounds import expect_within
from torch_impl.testing.walk import Walk

pytestmark = pytest.mark.filterwarnings("ignore:law=")

NAMES = [name for name, check in CHECKS.items() if check.topic == "invariants"]

WARMED: Options = {"adaptive_speed": True, "speed_warmup_steps": 5}
MORE: list[tuple[str, Options]] = [
    ("RelativisticAdam", {"eps": 0.0, "amsgrad": True}),
    ("RelativisticAdamW", {"eps": 0.0, "relativistic_mode": "global"}),
    ("RelativisticAdam", {"weight_decay": 0.07, "speed_unit": "relative", **WARMED}),
    ("RelativisticAdamW", {"speed_unit": "relative", "relativistic_mode": "per_component"}),
    ("RelativisticAdamW", {"speed_unit": "rms", "speed_follows_lr": True, "lr": 1.0}),
    ("RelativisticAdam", {"placement": "gradient", "speed_limit": 1.0, "weight_decay": 0.1}),
    ("RelativisticAdamW", {"placement": "gradient", "speed_limit": 1.0, "law": "published"}),
    ("RelativisticAdam", {"speed_limit": "auto", "on_nonfinite": "skip"}),
    ("RelativisticAdamW", {"speed_limit": math.inf, "maximize": True}),
    ("Gravity", {"weight_decay": 0.3, "maximize": True}),
    ("Gravity", {"alpha": 0.1, "max_step_grad": 2.0}),
]
"""What the variants of the cases do not have."""


@pytest.fixture
def few() -> Iterator[None]:
    """A tenth of the profile's examples: there are many variants."""
    profile = settings.get_current_profile_name()
    settings.register_profile("few", max_examples=settings().max_examples // 10)
    settings.load_profile("few")
    yield
    settings.load_profile(profile)


@pytest.mark.property(2)  # of each of the checks, which not all variants declare
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("case", "options"),
    [
        *(
            pytest.param(case, options, id=f"{name}-{variant}")
            for name, case in CASES.items()
            for variant, options in case.variants.items()
        ),
        *(pytest.param(CASES[name], options, id=f"{name}-{options}") for name, options in MORE),
    ],
)
def test_what_is_declared_is_kept(case: Case, options: Options) -> None:
    kept = set()
    for name in NAMES:
        try:
            run_check(name, case.subject(options))
        except NotApplicable:
            continue
        kept.add(name)
    assert "the_same_seed_gives_the_same_bits" in kept


@pytest.mark.property(1)
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    "options",
    [o for o in CASES["Gravity"].variants.values() if o["max_step_grad"] != "inverse_max"],
    ids=str,
)
def test_steps_scale_with_gradients_as_gravity_declares(options: Options) -> None:
    """No other optimizer does, so that it is seen often enough in a run of its own alone."""
    run_check("steps_scale_with_gradients_as_declared", CASES["Gravity"].subject(options))


def declared(cls: Any, **options: Any) -> set[str]:
    """Return the names of what is declared."""
    invariants = cls([torch.ones(2)], **options).invariants()
    kept = {key: value for key, value in vars(invariants).items() if key != "decay"}
    return {key for key, value in kept.items() if value is not None and value is not False}


EVERYTHING = {
    "norm_bound",
    "small_updates",
    "deterministic",
    "odd",
    "equivariant",
    "monotone",
    "continuous",
    "descends",
}


@pytest.mark.parametrize("cls", [RelativisticAdam, RelativisticAdamW])
@pytest.mark.parametrize(
    ("options", "more", "less"),
    [
        ({}, set(), set()),
        ({"on_nonfinite": "skip"}, {"guarded"}, set()),
        ({"eps": 0.0}, {"degree"}, {"norm_bound", "small_updates"}),
        ({"maximize": True}, set(), {"descends"}),
        ({"law": "newtonian"}, set(), {"norm_bound"}),
        ({"speed_limit": math.inf}, set(), {"norm_bound"}),
        ({"speed_limit": "auto"}, set(), {"norm_bound", "small_updates"}),
        ({"law": "published"}, set(), {"monotone", "continuous", "equivariant"}),
        (
            {"law": "piecewise", "relativistic_mode": "per_component"},
            set(),
            {"norm_bound", "small_updates", "monotone", "continuous"},
        ),
        (
            {"placement": "gradient", "speed_limit": 1.0},
            set(),
            {"norm_bound", "small_updates"},
        ),
    ],
)
def test_no_more_and_no_less_is_declared_than_holds(
    cls: Any, options: Options, more: set[str], less: set[str]
) -> None:
    assert declared(cls, **options) == EVERYTHING - less | more


def test_a_penalty_can_cancel_what_a_limit_leaves_of_a_gradient() -> None:
    options: Options = {"placement": "gradient", "speed_limit": 1.0, "weight_decay": 0.1}
    assert "equivariant" in declared(RelativisticAdamW, **options)
    assert "equivariant" not in declared(RelativisticAdam, **options)
    assert "degree" not in declared(RelativisticAdam, eps=0.0, weight_decay=0.1)


def test_gravity_declares_its_bound_where_there_is_no_first_velocity() -> None:
    assert declared(Gravity, alpha=0.0) == EVERYTHING - {"small_updates"}
    scaling = declared(Gravity, alpha=0.0, max_step_grad=2.0)
    assert scaling == EVERYTHING - {"small_updates", "norm_bound"} | {"degree"}
    assert declared(Gravity) == {"deterministic"}


def test_of_groups_that_differ_little_is_declared() -> None:
    for cls in (RelativisticAdam, Gravity):
        groups: list[Options] = [{"params": [torch.ones(n)], "lr": n} for n in (1, 2)]
        optimizer = cls(groups)
        assert optimizer.invariants() == Invariants(deterministic=True)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 0.5),
        ({"speed_unit": "rms"}, 1.0),
        ({"speed_unit": "relative"}, 1.5),
        ({"speed_follows_lr": True, "speed_reference_lr": 2e-3}, 0.25),
        ({"adaptive_speed": True, "speed_warmup_steps": 4}, 0.25),
    ],
)
def test_the_declared_limit_is_that_of_the_step_to_come(options: Options, expected: float) -> None:
    weight = torch.ones(4, requires_grad=True)
    optimizer = RelativisticAdam([weight], speed_limit=0.5, **options)
    weight.grad = torch.ones(4)
    optimizer.step()
    bound = optimizer.invariants().norm_bound
    assert bound is not None
    assert (bound.block, bound.limit(3.0, 4)) == ("tensor", expected)
    assert steps_taken(optimizer) == 1


@pytest.mark.parametrize("key", LAWS)
def test_what_a_law_promises_is_what_the_reference_claims(key: str) -> None:
    law, model = LAWS[key], REFERENCE_LAWS[key]
    assert law.bounded == model.claims["bounded"].holds
    assert law.continuous == model.claims["continuous"].holds
    ratios = np.geomspace(1e-3, 1e3, 10_001)
    deviation = float(np.max(np.abs(model.gain(ratios) - 1) / ratios**2))
    if law.deviation == math.inf:
        assert deviation > 1e3
    else:
        assert deviation == pytest.approx(law.deviation, rel=1e-2)  # as near as the grid gets to it
        assert deviation <= law.deviation * (1 + 1e-9)  # 1 − φ(10⁻³) has lost six digits of 16


def test_what_cannot_be_declared_is_refused() -> None:
    with pytest.raises(ValueError, match="block='group': expected one of 'entry', 'tensor'"):
        NormBound("group", lambda _size, _count: 1.0)
    with pytest.raises(ValueError, match=r"deviation=-1\.0: expected a finite number"):
        SmallUpdates(torch.optim.SGD, -1.0)
    with pytest.raises(ValueError, match=r"small_updates\.deviation=0.5 without norm_bound"):
        Invariants(small_updates=SmallUpdates(torch.optim.SGD, 0.5))


def test_nothing_is_checked_of_an_optimizer_that_declares_nothing() -> None:
    for name in NAMES:
        with pytest.raises(NotApplicable, match="does not declare"):
            run_check(name, torch.optim.SGD)


def test_a_step_to_where_a_dtype_has_no_numbers_is_not_judged() -> None:
    subject = CASES["Gravity"].subject({"alpha": 0.0})
    for rate, judged in ((2.0**10, True), (2.0**17, False)):  # the bound is some half of it
        walk = Walk(subject, [torch.zeros(1, dtype=torch.float16)])
        walk.set_rate(rate)
        promises, before = walk.promised(), walk.values()
        moves = walk.moved([torch.ones(1, dtype=torch.float16)])
        expect_within(promises, before, moves, walk)
        too_far = [torch.full((1,), math.inf)]
        with pytest.raises(AssertionError, match="moved by inf") if judged else nullcontext():
            expect_within(promises, before, too_far, walk)
        expect_within(promises, [torch.full((1,), math.nan)], too_far, walk)


def test_a_declaration_may_be_of_the_first_steps_only() -> None:
    def at_first(optimizer: torch.optim.Optimizer) -> Invariants:
        bound = NormBound("tensor", lambda _size, _count: 0.0)
        return Invariants(norm_bound=None if steps_taken(optimizer) else bound)

    class Late(torch.optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {"lr": 1.0})

        @torch.no_grad()
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            assert closure is None
            for param in self.param_groups[0]["params"]:
                count = self.state[param].get("step", 0)
                param.sub_(float(count))
                self.state[param]["step"] = count + 1

    run_check("no_step_is_longer_than_its_bound", Subject(Late, invariants=at_first))
