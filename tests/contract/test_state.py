"""Checkpoints of others and of older versions continue; our own are in `torch_impl.testing`."""

import pickle
from typing import Any

import pytest
import relativistic_adam
import torch

import reference
from tests.cases import CASES, SUBJECTS, Options, float64
from tests.steps import built, every_class, normal
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW

pytestmark = [pytest.mark.filterwarnings("ignore:law="), pytest.mark.contract("state")]


@every_class()
def test_a_pickled_optimizer_continues(name: str) -> None:
    leaf = normal(3, 1).requires_grad_()
    optimizer = built(SUBJECTS[name], [leaf])
    optimizer.param_groups[0].pop("maximize")  # as if saved before the option was added
    other = pickle.loads(pickle.dumps(optimizer))  # noqa: S301
    assert other.param_groups[0]["maximize"] is False
    (copied,) = other.param_groups[0]["params"]
    copied.grad = normal(3, 2)
    other.step()
    assert not torch.equal(copied.detach(), leaf.detach())


@pytest.mark.parametrize("mode", ["per_param", "per_component"])
@pytest.mark.parametrize("cls", [RelativisticAdam, RelativisticAdamW])
def test_a_checkpoint_of_relativistic_adam_1_0_0_continues(cls: Any, mode: str) -> None:
    """Its moments and integer steps; with its law, and ε = 0, the next step is its own."""
    published = getattr(relativistic_adam, cls.__name__)
    options: Options = {"lr": 0.1, "eps": 0.0, "relativistic_mode": mode, "weight_decay": 0}
    leaf = normal(4, 1).requires_grad_()
    old = published([leaf], **options)
    for step in range(5):
        leaf.grad = normal(4, step)
        old.step()
    other = leaf.detach().clone().requires_grad_()
    new = cls([other], law="published")
    new.load_state_dict(old.state_dict())
    assert new.param_groups[0]["eps"] == 0
    leaf.grad = other.grad = normal(4, 9)
    old.step()
    new.step()
    torch.testing.assert_close(float64(other), float64(leaf), rtol=1e-12, atol=0)


@every_class()
def test_an_integer_step_is_converted(name: str) -> None:
    """As in a checkpoint, and in an optimizer pickled whole."""
    leaf = normal(3, 1).requires_grad_()
    leaf.grad = normal(3, 2)
    optimizer = built(SUBJECTS[name], [leaf])
    optimizer.step()
    saved = optimizer.state_dict()
    saved["state"][0]["step"] = 7
    optimizer.load_state_dict(saved)
    assert torch.equal(optimizer.state[leaf]["step"], torch.tensor(7.0))
    optimizer.state[leaf]["step"] = 7
    unpickled = pickle.loads(pickle.dumps(optimizer))  # noqa: S301
    (state,) = unpickled.state.values()
    assert torch.equal(state["step"], torch.tensor(7.0))


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("name", ["RelativisticAdam", "RelativisticAdamW"])
def test_a_checkpoint_of_torchs_adam_continues(name: str, amsgrad: bool) -> None:
    """Without a limit, and on torch's foreach path, it goes on as it would have there."""
    peer = getattr(torch.optim, name.removeprefix("Relativistic"))
    leaf = normal(4, 1).requires_grad_()
    old = peer([leaf], lr=0.1, amsgrad=amsgrad, foreach=True)
    for step in range(3):
        leaf.grad = normal(4, step)
        old.step()
    other = leaf.detach().clone().requires_grad_()
    new = CASES[name].optimizer([other], speed_limit=float("inf"))
    new.load_state_dict(old.state_dict())
    assert new.param_groups[0]["amsgrad"] is amsgrad
    leaf.grad = other.grad = normal(4, 9)
    old.step()
    new.step()
    torch.testing.assert_close(other, leaf, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("name", ["RelativisticAdam"])
def test_amsgrad_can_be_switched_on(name: str) -> None:
    """The largest v so far starts from the next one."""
    leaf = normal(4, 1).requires_grad_()
    optimizer = CASES[name].optimizer([leaf])
    for amsgrad in (False, True):
        optimizer.param_groups[0]["amsgrad"] = amsgrad
        leaf.grad = normal(4, 2)
        optimizer.step()
    state = optimizer.state[leaf]
    assert torch.equal(state["max_exp_avg_sq"], state["exp_avg_sq"])


@pytest.mark.parametrize("cls", [Gravity])
def test_a_checkpoint_of_the_published_gravity_continues(cls: Any) -> None:
    """Its groups count t; a parameter may have been saved without state."""
    values, grads = [normal(3, i) for i in (1, 2)], [normal(3, i) for i in (3, 4)]
    velocities = [normal(3, 5), normal(3, 6)]
    group = {"lr": 0.2, "alpha": 0.01, "beta": 0.9, "t": 4, "params": [0, 1, 2]}
    saved = {"state": {i: {"v": v} for i, v in enumerate(velocities)}, "param_groups": [group]}
    leaves = [value.clone().requires_grad_() for value in values]
    optimizer = cls([*leaves, torch.zeros(1)])
    optimizer.load_state_dict(saved)
    assert list(optimizer.state) == leaves
    loaded = optimizer.param_groups[0]
    assert (loaded["lr"], loaded["velocity_std"], "t" in loaded) == (0.2, 0.01 / 0.2, False)
    for leaf, grad in zip(leaves, grads, strict=True):
        leaf.grad = grad
    optimizer.step()
    states = [reference.GravityState(4, float64(v)) for v in velocities]
    expected, _ = reference.gravity_step(
        [float64(v) for v in values], [float64(g) for g in grads], states, lr=0.2, beta=0.9
    )
    for leaf, value in zip(leaves, expected, strict=True):
        torch.testing.assert_close(leaf.detach(), torch.from_numpy(value), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", ["RelativisticAdam", "RelativisticAdamW"])
def test_a_fused_checkpoint_goes_on_without(name: str) -> None:
    """And a group of it can be given to another optimizer."""
    leaf = normal(4, 1, torch.float32).requires_grad_()
    leaf.grad = normal(4, 2, torch.float32)
    old = torch.optim.AdamW([leaf], fused=True)
    old.step()
    optimizer = CASES[name].optimizer([leaf])
    optimizer.load_state_dict(old.state_dict())
    assert optimizer.param_groups[0]["fused"] is None
    optimizer.step()
    CASES[name].optimizer([dict(optimizer.param_groups[0])])


@every_class()
def test_an_optimizer_pickled_before_an_option_was_there(name: str) -> None:
    """The option is missing from its defaults too."""
    optimizer = built(SUBJECTS[name], [normal(3, 1).requires_grad_()])
    missing = ["maximize", "foreach", "capturable", "differentiable"]
    if name in CASES:
        missing += ["velocity_std"] if name == "Gravity" else ["law", "speed_unit"]
    for option in missing:
        optimizer.defaults.pop(option, None)
        optimizer.param_groups[0].pop(option)
    if name == "AdamW":  # which looks this one up in the defaults that were pickled
        optimizer.defaults["differentiable"] = False
    other = pickle.loads(pickle.dumps(optimizer))  # noqa: S301
    (leaf,) = other.param_groups[0]["params"]
    leaf.grad = normal(3, 2)
    other.step()
    assert not torch.equal(leaf.detach(), normal(3, 1))
