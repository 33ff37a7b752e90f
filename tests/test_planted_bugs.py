"""Bugs that were planted, and defects that were published: each is found by the check it concerns.

What is planted is planted in an optimizer that passes.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import pytorch_optimizer
import relativistic_adam
import torch
from torch import Tensor

from tests import published_gravity
from tests.cases import SUBJECTS, Case, Options
from torch_impl import RelativisticAdam
from torch_impl.invariants import Invariants, NormBound, SmallUpdates
from torch_impl.testing import CHECKS, NotApplicable, Subject, run_check

EVENTS = "a_sequence_of_events_ends_where_its_steps_alone_lead"
PROMISES = [name for name, check in CHECKS.items() if check.topic in {"invariants", "events"}]


class LimitedAdam(torch.optim.Optimizer):
    """Adam behind one smooth limit for the whole model; a NaN is no step."""

    block = "model"

    def __init__(self, params: Any, lr: float = 1e-3, c: float = 0.1) -> None:
        super().__init__(params, {"lr": lr, "c": c, "betas": (0.9, 0.999), "eps": 1e-8})

    def invariants(self) -> Invariants:
        (group,) = self.param_groups
        adam = {name: group[name] for name in ("lr", "betas", "eps")}
        return Invariants(
            norm_bound=NormBound("model", lambda _size, _count: group["c"]),
            small_updates=SmallUpdates(lambda params: torch.optim.Adam(params, **adam), 0.5),
            deterministic=True,
            odd=True,
            equivariant=True,
            monotone=True,
            continuous=True,
            descends=True,
            guarded=True,
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        if closure is not None:
            closure()
        pairs = [
            (group, param)
            for group in self.param_groups
            for param in group["params"]
            if param.grad is not None
        ]
        if not all(bool(param.grad.isfinite().all()) for _, param in pairs):
            self.skip([param for _, param in pairs])
            return
        updates = [self.update(group, param) for group, param in pairs]
        for (group, param), update, norm in zip(pairs, updates, self.norms(updates), strict=True):
            gain = 1 / math.hypot(1, norm / group["c"])
            param.copy_(param.double() - gain * update)

    def update(self, group: dict[str, Any], param: Tensor) -> Tensor:
        beta1, beta2 = group["betas"]
        state = self.state[param]
        zeros = torch.zeros_like(param)
        t = state["step"] = state.get("step", 0) + 1
        assert param.grad is not None
        gradient = param.grad.double().clamp(-1e150, 1e150)  # whose square is finite
        m = beta1 * state.get("m", zeros).double() + (1 - beta1) * gradient
        v = beta2 * state.get("v", zeros).double() + self.complement(beta2) * gradient**2
        state["m"], state["v"] = m.to(param.dtype), v.to(param.dtype)
        corrections = self.correction(beta1, t), self.correction(beta2, t)
        size: Tensor = (v / corrections[1]).sqrt() + group["eps"]
        update: Tensor = group["lr"] * (m / corrections[0]) / size
        return update

    def complement(self, beta: float) -> float:
        return 1 - beta

    def correction(self, beta: float, t: int) -> float:
        return 1 - beta**t

    def norms(self, updates: Sequence[Tensor]) -> list[float]:
        norm = math.hypot(*(float(update.norm()) for update in updates))
        return [norm] * len(updates)

    def skip(self, params: Sequence[Tensor]) -> None:
        """Leave everything as it is."""


class NarrowComplement(LimitedAdam):
    def complement(self, beta: float) -> float:
        return float(1 - torch.tensor(beta, dtype=torch.float32))


class LateCorrection(LimitedAdam):
    def correction(self, beta: float, t: int) -> float:
        return 1 - beta ** (t + 1)


class GlobalPerTensor(LimitedAdam):
    def norms(self, updates: Sequence[Tensor]) -> list[float]:
        return [float(update.norm()) for update in updates]


class CountingSkip(LimitedAdam):
    def skip(self, params: Sequence[Tensor]) -> None:
        for param in params:
            self.state[param]["step"] = self.state[param].get("step", 0) + 1


class CountingSkipUndeclared(CountingSkip):
    """Says by its option alone what it does about a NaN."""

    def __init__(self, params: Any, on_nonfinite: str = "skip", **options: Any) -> None:
        super().__init__(params, **options)
        self.defaults["on_nonfinite"] = on_nonfinite

    def invariants(self) -> Invariants:
        return Invariants()


class SquaresOverflow(LimitedAdam):
    def norms(self, updates: Sequence[Tensor]) -> list[float]:
        square = sum((update.float() ** 2).sum() for update in updates)
        return [math.sqrt(square)] * len(updates)


class Uncertain(LimitedAdam):
    calls = 0

    def correction(self, beta: float, t: int) -> float:
        Uncertain.calls += 1
        return super().correction(beta, t) * (1 + Uncertain.calls % 7 / 100)


class Lopsided(LimitedAdam):
    def update(self, group: dict[str, Any], param: Tensor) -> Tensor:
        return super().update(group, param).clamp(min=-group["lr"] / 2)


class FirstEntryTwice(LimitedAdam):
    def update(self, group: dict[str, Any], param: Tensor) -> Tensor:
        update = super().update(group, param)
        update.view(-1)[0] *= 2
        return update


class FirstTensorTwice(LimitedAdam):
    def norms(self, updates: Sequence[Tensor]) -> list[float]:
        first, *others = super().norms(updates)
        return [2 * first, *others]


class MatricesTwice(LimitedAdam):
    def update(self, group: dict[str, Any], param: Tensor) -> Tensor:
        return super().update(group, param) * (2 if param.dim() > 1 else 1)


class Ascending(LimitedAdam):
    def update(self, group: dict[str, Any], param: Tensor) -> Tensor:
        return -super().update(group, param)


@pytest.mark.parametrize("name", PROMISES)
def test_nothing_is_found_where_nothing_is_planted(name: str) -> None:
    elsewhere = {
        "steps_scale_with_gradients_as_declared": "does not declare degree",
        "an_infinite_gradient_entry_does_harm_in_its_block_only": "takes no step",
    }
    if name in elsewhere:
        with pytest.raises(NotApplicable, match=elsewhere[name]):
            run_check(name, LimitedAdam)
    else:
        run_check(name, LimitedAdam)


DRAWS = 10
"""How often a check's examples are drawn anew, at most: forty at a time can miss a rare one."""


def run_check_often(name: str, subject: Subject) -> None:
    for _ in range(DRAWS):
        run_check(name, subject)


def expect_found(name: str, subject: Subject, message: str) -> None:
    """Run a check, which fails; a few failures at once are a group of exceptions."""
    with pytest.raises((Exception, ExceptionGroup)) as found:
        run_check_often(name, subject)
    assert not found.errisinstance(NotApplicable)
    failures = getattr(found.value, "exceptions", [found.value])
    assert any(message in f"{type(failure).__name__}: {failure}" for failure in failures), failures


@pytest.mark.parametrize(
    ("cls", "name", "message"),
    [
        (NarrowComplement, "small_updates_pass_nearly_unchanged", "from that of Adam"),
        (LateCorrection, "small_updates_pass_nearly_unchanged", "from that of Adam"),
        (GlobalPerTensor, "no_step_is_longer_than_its_bound", "of one model"),
        (
            GlobalPerTensor,
            "no_step_of_narrow_parameters_is_longer_than_its_bound",
            "of one model",
        ),
        (CountingSkip, EVENTS, "replayed"),
        (CountingSkipUndeclared, EVENTS, "replayed"),
        (SquaresOverflow, "a_huge_learning_rate_still_moves_the_parameters", "there is no step"),
        (Uncertain, "the_same_seed_gives_the_same_bits", "the same steps end differently"),
        (Lopsided, "mirrored_gradients_take_mirrored_steps", "mirrored steps end elsewhere"),
        (FirstEntryTwice, "the_order_of_entries_does_not_matter", "entries in another order"),
        (FirstTensorTwice, "the_order_of_tensors_does_not_matter", "tensors in another order"),
        (MatricesTwice, "the_shape_of_a_tensor_does_not_matter", "a tensor in another shape"),
        (Ascending, "every_entry_moves_against_its_gradient", "move the parameters by"),
    ],
)
def test_a_planted_bug_is_found(cls: Any, name: str, message: str) -> None:
    expect_found(name, Subject(cls), message)


@pytest.mark.parametrize("degree", [0, 1])
def test_a_wrong_degree_is_found(degree: int) -> None:
    subject = Subject(torch.optim.SGD, {"lr": 0.1}, invariants=lambda _: Invariants(degree=degree))
    name = "steps_scale_with_gradients_as_declared"
    if degree == 1:
        run_check(name, subject)
    else:
        expect_found(name, subject, "does not scale by its power 0")


HOST = [name for name, check in CHECKS.items() if check.topic == "host"]


class Refusing(torch.optim.SGD):
    """Fails for a reason of its own."""

    message = "out of cookies"

    def step(self, closure: Any = None) -> Any:
        raise NotImplementedError(self.message)


class WithoutMetaKernels(Refusing):
    message = "Could not run 'own::step' with arguments from the 'Meta' backend"


@pytest.mark.parametrize("name", HOST)
@pytest.mark.parametrize(
    ("case", "options"),
    [
        pytest.param(case, options, id=f"{name}-{variant}")
        for name, case in SUBJECTS.items()
        for variant, options in case.variants.items()
    ],
)
@pytest.mark.filterwarnings("ignore:law=")
def test_nothing_is_found_on_the_host_of_ours(name: str, case: Case, options: Options) -> None:
    """Nor of torch.optim's AdamW."""
    run_check(name, case.subject(options))


def test_what_is_on_the_host_for_a_reason_is_not_found() -> None:
    reading, counting = HOST
    for policy in ("skip", "raise"):
        with pytest.raises(NotApplicable, match=f"whether it is finite, to {policy}"):
            run_check(reading, RelativisticAdam, on_nonfinite=policy)
    with pytest.raises(NotApplicable, match="needs data"):
        run_check(reading, WithoutMetaKernels)
    with pytest.raises(NotImplementedError, match="cookies"):
        run_check(reading, Refusing)
    with pytest.raises(NotApplicable, match="refuses it"):
        run_check(reading, torch.optim.SGD, fused=True)
    run_check(reading, torch.optim.SGD)
    with pytest.raises(NotApplicable, match="no count"):
        run_check(counting, torch.optim.SGD)


def test_the_norms_that_adafactor_reads_are_found() -> None:
    reading, counting = HOST
    expect_found(reading, Subject(torch.optim.Adafactor), "a step reads a tensor on the host")
    run_check(counting, torch.optim.Adafactor)


def published_claims(optimizer: torch.optim.Optimizer) -> Invariants:
    """What relativistic-adam's README says: Adam, below c, approached smoothly."""
    (group,) = optimizer.param_groups
    blocks = {"global": "model", "per_param": "tensor", "per_component": "entry"}
    decoupled = isinstance(optimizer, relativistic_adam.RelativisticAdamW)
    plain: Any = torch.optim.AdamW if decoupled else torch.optim.Adam
    adam = {name: group[name] for name in ("lr", "betas", "eps", "weight_decay", "amsgrad")}
    return Invariants(
        norm_bound=NormBound(
            blocks[group["relativistic_mode"]], lambda _size, _count: group["speed_limit"]
        ),
        decay=group["lr"] * group["weight_decay"] if decoupled else 0.0,
        small_updates=SmallUpdates(lambda params: plain(params, **adam), 1.0),
        monotone=True,
        continuous=True,
    )


def gravitys_claims(optimizer: torch.optim.Optimizer) -> Invariants:
    """What follows from Gravity's formula for V₀ = 0: |ζ| ≤ 3^(3/4)/4, and the sign of g."""
    (group,) = optimizer.param_groups
    return Invariants(
        norm_bound=NormBound("entry", lambda _size, _count: group["lr"] * 3**0.75 / 4),
        descends=True,
    )


ADAM, ADAMW = relativistic_adam.RelativisticAdam, relativistic_adam.RelativisticAdamW


@pytest.mark.parametrize(
    ("cls", "options", "name", "message"),
    [
        pytest.param(
            ADAM,
            {"relativistic_mode": "global"},
            "no_step_is_longer_than_its_bound",
            "of one model",
            id="global is per tensor",
        ),
        pytest.param(
            ADAM,
            {},
            "the_layout_of_a_parameter_does_not_matter",
            "RuntimeError: view size is not compatible",
            id="channels_last and transposed parameters raise",
        ),
        pytest.param(
            ADAM,
            {},
            "complex_parameters_step_as_pairs_of_reals",
            "complex numbers are not stepped as pairs",
            id="complex is wrong",
        ),
        pytest.param(
            ADAM,
            {},
            "an_infinite_gradient_entry_does_harm_in_its_block_only",
            "expected at most 0.1",
            id="an infinite gradient applies the unscaled update to the rest",
        ),
        pytest.param(
            ADAM,
            {},
            "a_huge_learning_rate_still_moves_the_parameters",
            "at a learning rate of 2^70 there is no step",
            id="a norm that overflows zeroes the step",
        ),
        pytest.param(
            ADAM,
            {"relativistic_mode": "per_component"},
            "a_higher_learning_rate_never_shortens_a_step",
            "expected no less",
            id="the law is not monotone",
        ),
        pytest.param(
            ADAM,
            {"relativistic_mode": "per_component"},
            "a_step_does_not_jump_as_the_learning_rate_grows",
            "a step jumps",
            id="the law jumps",
        ),
        pytest.param(
            ADAM,
            {"eps": 1e-2},
            "small_updates_pass_nearly_unchanged",
            "from that of Adam",
            id="epsilon is divided by the bias correction",
        ),
        pytest.param(
            ADAMW,
            {"eps": 0.0, "weight_decay": 0.1, "speed_limit": 1e6},
            "small_updates_pass_nearly_unchanged",
            "from that of AdamW",
            id="AdamW decays after the step",
        ),
        pytest.param(
            ADAM,
            {},
            "a_state_of_another_shape_is_refused_by_name",
            "is loaded for a parameter of",
            id="a state of the wrong shape is loaded",
        ),
        *(
            pytest.param(
                cls,
                {"relativistic_mode": mode},
                "a_step_reads_no_tensor_on_the_host",
                "a step reads a tensor on the host: Tensor.item()",
                id=f"host synchronisation in every step, {cls.__name__}, {mode}",
            )
            for cls in (ADAM, ADAMW)
            for mode in ("global", "per_param", "per_component")
        ),
        *(
            pytest.param(
                cls,
                {},
                "other_values_that_an_option_cannot_have_are_refused",
                "weight_decay=-1.0 is accepted",
                id=f"a negative weight decay, {cls.__name__}",
            )
            for cls in (ADAM, ADAMW)
        ),
        pytest.param(
            ADAM,
            {},
            "a_count_of_steps_is_a_tensor",
            "'step' is of type int: expected a tensor",
            id="step is an int",
        ),
        pytest.param(
            ADAM,
            {},
            "a_step_is_compiled_once_and_whole",
            "were compiled to 6 graphs",
            id="each step is compiled anew",
        ),
    ],
)
def test_a_defect_of_relativistic_adam_1_0_0_is_found(
    cls: Any, options: dict[str, Any], name: str, message: str
) -> None:
    expect_found(name, Subject(cls, options, strict=True, invariants=published_claims), message)


def test_relativistic_adam_1_0_0_keeps_the_limit_of_a_tensor_and_of_an_entry() -> None:
    """So that what is found of its "global" mode is that it is none."""
    for mode in ("per_param", "per_component"):
        options = {"relativistic_mode": mode}
        subject = Subject(ADAM, options, invariants=published_claims)
        run_check("no_step_is_longer_than_its_bound", subject)


GRAVITIES = [published_gravity.Gravity, pytorch_optimizer.Gravity]


@pytest.mark.parametrize("cls", GRAVITIES, ids=["published", "pytorch_optimizer"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param(
            "groups_have_their_own_learning_rates",
            "ZeroDivisionError",
            id="a learning rate of 0 passes validation",
        ),
        pytest.param(
            "an_infinite_gradient_entry_does_harm_in_its_block_only",
            "with finite gradients became [nan]",
            id="an infinite gradient gives NaN on finite entries",
        ),
        pytest.param(
            "every_entry_moves_against_its_gradient",
            "in torch.float16 gradients of",
            id="in binary16 the largest entry becomes 0",
        ),
        pytest.param(
            "a_tensor_without_entries_does_no_harm", "RuntimeError", id="an empty tensor raises"
        ),
    ],
)
def test_a_defect_of_gravity_is_found(cls: Any, name: str, message: str) -> None:
    subject = Subject(cls, {"alpha": 0.0}, strict=True, invariants=gravitys_claims)
    expect_found(name, subject, message)


def test_a_group_added_to_the_published_gravity_is_found() -> None:
    expect_found(EVENTS, Subject(published_gravity.Gravity), "KeyError: 'v'")


def test_gravitys_bound_holds_of_what_was_published() -> None:
    for cls in GRAVITIES:
        subject = Subject(cls, {"alpha": 0.0}, invariants=gravitys_claims)
        run_check("no_step_is_longer_than_its_bound", subject)
