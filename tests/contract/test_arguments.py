"""Invalid arguments are refused by name, value and what was expected, before anything changes."""

import inspect
import re
import warnings
from typing import Any

import pytest
import torch

import reference
from tests.cases import CASES, Options
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW

pytestmark = pytest.mark.contract("options")

ERRORS = [
    pytest.param(name, options, message, id=f"{name}-{options}")
    for name, case in CASES.items()
    for options, message in case.errors
]


def escaped(message: str) -> str:
    """A message that names a value literally may hold characters that a pattern reads."""
    return message if message.startswith(("betas\\[", "beta=.*")) else re.escape(message)


@pytest.mark.parametrize(("name", "options", "message"), ERRORS)
def test_invalid_options_are_named(name: str, options: Options, message: str) -> None:
    cls: Any = CASES[name].optimizer
    with pytest.raises(ValueError, match=escaped(message)):
        cls([torch.zeros(2)], **options)


GROUP_ERRORS = [
    pytest.param(name, options, message, id=f"{name}-{options}")
    for name, case in CASES.items()
    for options, message in case.errors
    if "generator" not in options
] + [
    pytest.param("Gravity", {"velocity_std": 1e39}, "velocity_std=1e+39: expected at most", id="V0")
]


@pytest.mark.parametrize(("name", "options", "message"), GROUP_ERRORS)
def test_invalid_options_of_a_group_leave_the_optimizer_as_it_was(
    name: str, options: Options, message: str
) -> None:
    cls: Any = CASES[name].optimizer
    optimizer = cls([torch.zeros(2)])
    with pytest.raises(ValueError, match=escaped(message)):
        optimizer.add_param_group({"params": [torch.zeros(3)], **options})
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": [torch.zeros(3)]})


@pytest.mark.parametrize("law", ["published", "piecewise"])
@pytest.mark.parametrize("cls", [RelativisticAdam, RelativisticAdamW])
def test_laws_that_are_not_monotone_warn_once(law: str, cls: Any) -> None:
    assert not reference.LAWS[law].claims["monotone"].holds
    groups = [{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)]}]
    with pytest.warns(UserWarning, match=f"law='{law}' fails the claim 'monotone'") as caught:
        optimizer = cls(groups, law=law)
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.add_param_group({"params": [torch.zeros(1)]})
        optimizer.step()


def test_a_law_that_comes_with_a_later_group_warns_where_the_group_is_added() -> None:
    optimizer = RelativisticAdam([torch.zeros(1)])
    with pytest.warns(UserWarning, match="law='published' fails the claim 'monotone'") as caught:
        optimizer.add_param_group({"params": [torch.zeros(1)], "law": "published"})
    assert [warning.filename for warning in caught] == [__file__]


def test_other_laws_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for law in ("newtonian", "smooth_sqrt", "tanh", "hard_clip"):
            RelativisticAdam([torch.zeros(1)], law=law)


def test_a_warning_finds_its_way_out_of_code_without_a_module() -> None:
    code = "RelativisticAdam(params, law='published')"
    names = {"RelativisticAdam": RelativisticAdam, "params": [torch.zeros(1)]}
    with pytest.warns(UserWarning, match="law='published' fails the claim"):
        exec(code, names)  # noqa: S102


def test_a_velocity_deviation_above_one_warns() -> None:
    with pytest.warns(UserWarning, match="standard deviation alpha/lr = 10 exceeds 1") as caught:
        Gravity([torch.zeros(1)], lr=1e-3)
    assert caught[0].filename == __file__


def defaults_of(function: Any) -> Options:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


@pytest.mark.parametrize("name", CASES)
def test_reference_and_torch_have_the_same_defaults(name: str) -> None:
    case = CASES[name]
    step = reference.gravity_step if name == "Gravity" else case.step
    theirs = defaults_of(step)
    ours = case.reference_options(defaults_of(case.optimizer.__init__))
    shared = ours.keys() & theirs.keys()
    assert len(shared) >= 5
    assert {key: ours[key] for key in shared} == {key: theirs[key] for key in shared}
    if name == "Gravity":
        drawn = defaults_of(reference.initial_velocity)
        assert (ours["lr"], defaults_of(Gravity.__init__)["alpha"]) == tuple(drawn.values())
        assert ours["initial_step"] == reference.CLOCKS[theirs["clock"]]


PUBLISHED = {
    "RelativisticAdam": "lr betas eps speed_limit weight_decay amsgrad relativistic_mode "
    "adaptive_speed speed_warmup_steps",
    "RelativisticAdamW": "lr betas eps speed_limit weight_decay amsgrad relativistic_mode "
    "adaptive_speed speed_warmup_steps",
    "Gravity": "lr alpha beta",
}


@pytest.mark.parametrize("name", CASES)
def test_published_arguments_come_first_and_the_rest_is_keyword_only(name: str) -> None:
    parameters = inspect.signature(CASES[name].optimizer).parameters
    published = ["params", *PUBLISHED[name].split()]
    kinds = {key: parameter.kind for key, parameter in parameters.items()}
    assert list(kinds)[: len(published)] == published
    for key, kind in kinds.items():
        keyword_only = kind is inspect.Parameter.KEYWORD_ONLY
        assert keyword_only == (key not in published)


@pytest.mark.parametrize("name", CASES)
def test_every_option_is_in_the_groups_and_nowhere_else(name: str) -> None:
    cls: Any = CASES[name].optimizer
    optimizer = cls([torch.zeros(1)])
    options = set(inspect.signature(cls).parameters) - {"params", "generator"}
    assert options <= set(optimizer.param_groups[0])
    plain = torch.optim.SGD([torch.zeros(1)])
    public = {key for key in vars(optimizer) if not key.startswith("_")}
    assert public == {key for key in vars(plain) if not key.startswith("_")}
