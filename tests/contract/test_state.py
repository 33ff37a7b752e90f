"""State that is saved, loaded and copied continues; state that does not fit is refused."""

import copy
import io
import pickle
from typing import Any

import pytest
import relativistic_adam
import torch

from tests.cases import CASES, Case, Options, float64
from tests.steps import VARIANTS, built, normal
from torch_impl import RelativisticAdam, RelativisticAdamW

pytestmark = pytest.mark.filterwarnings("ignore:law=")


@VARIANTS
def test_saved_state_continues_bit_for_bit(case: Case, options: Options) -> None:
    def run(steps: range, leaf: torch.Tensor, optimizer: Any) -> None:
        for step in steps:
            leaf.grad = normal(4, step)
            optimizer.step()

    leaf = normal(4, 1).requires_grad_()
    optimizer = built(case, [leaf], **options)
    run(range(3), leaf, optimizer)
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    other = leaf.detach().clone().requires_grad_()
    restored = built(case, [other], lr=9.0, **options)
    restored.load_state_dict(torch.load(buffer, weights_only=True))
    third_leaf, third = copy.deepcopy((leaf, optimizer))
    for continued in ((leaf, optimizer), (other, restored), (third_leaf, third)):
        run(range(3, 6), *continued)
    assert torch.equal(leaf, other)
    assert torch.equal(leaf, third_leaf)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_state_of_narrow_parameters_stays_wide(name: str, dtype: torch.dtype) -> None:
    """A second moment of 1e-12 is 0 in binary16, and the step after it NaN."""

    def step(leaf: torch.Tensor, optimizer: Any) -> None:
        leaf.grad = torch.full_like(leaf, 1e-6)
        optimizer.step()

    leaf = torch.ones(3, dtype=dtype).requires_grad_()
    optimizer = built(CASES[name], [leaf], lr=1e-3)
    step(leaf, optimizer)
    other = leaf.detach().clone().requires_grad_()
    restored = built(CASES[name], [other], lr=1e-3)
    restored.load_state_dict(optimizer.state_dict())
    assert all(value.dtype == torch.float32 for value in restored.state[other].values())
    for _ in range(3):
        step(leaf, optimizer)
        step(other, restored)
    assert torch.equal(leaf, other)
    assert leaf.isfinite().all()


@pytest.mark.parametrize("name", CASES)
def test_state_that_was_saved_narrow_is_widened(name: str) -> None:
    leaf = torch.ones(3, dtype=torch.bfloat16).requires_grad_()
    leaf.grad = torch.ones_like(leaf)
    optimizer = built(CASES[name], [leaf])
    optimizer.step()
    saved = optimizer.state_dict()
    for key, value in saved["state"][0].items():
        saved["state"][0][key] = value.to(torch.bfloat16)
    restored = built(CASES[name], [leaf])
    restored.load_state_dict(saved)
    assert all(value.dtype == torch.float32 for value in restored.state[leaf].values())


@pytest.mark.parametrize("name", CASES)
def test_loaded_state_is_a_copy(name: str) -> None:
    leaf = normal(3, 1).requires_grad_()
    leaf.grad = normal(3, 2)
    optimizer = built(CASES[name], [leaf])
    optimizer.step()
    saved = optimizer.state_dict()
    before = copy.deepcopy(saved)
    other = normal(3, 1).requires_grad_()
    other.grad = normal(3, 3)
    restored = built(CASES[name], [other])
    restored.load_state_dict(saved)
    restored.step()
    for key, value in before["state"][0].items():
        assert torch.equal(saved["state"][0][key], value)


@pytest.mark.parametrize("name", CASES)
def test_state_of_another_shape_is_refused(name: str) -> None:
    def stepped(shape: Any) -> Any:
        leaves = [normal(2, 1).requires_grad_(), normal(shape, 2).requires_grad_()]
        optimizer = built(CASES[name], [{"params": [leaf]} for leaf in leaves])
        for leaf in leaves:
            leaf.grad = torch.ones_like(leaf)
        optimizer.step()
        return optimizer

    optimizer = stepped((3, 4))
    before = copy.deepcopy(optimizer.state_dict())
    message = r"of parameter 1 in group 1 has shape \(4, 3\): expected the parameter's, \(3, 4\)"
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(stepped((4, 3)).state_dict())
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for i, state in before["state"].items():
        assert all(torch.equal(after["state"][i][key], value) for key, value in state.items())


@pytest.mark.parametrize("name", CASES)
def test_state_of_other_groups_is_refused_as_torch_does(name: str) -> None:
    one = built(CASES[name], [{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)]}])
    two = built(CASES[name], [torch.zeros(1), torch.zeros(1)])
    with pytest.raises(ValueError, match="different number of parameter groups"):
        two.load_state_dict(one.state_dict())


@pytest.mark.parametrize("name", CASES)
def test_a_pickled_optimizer_continues(name: str) -> None:
    leaf = normal(3, 1).requires_grad_()
    optimizer = built(CASES[name], [leaf])
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


@pytest.mark.parametrize("name", CASES)
def test_a_parameter_saved_before_its_first_step_starts_anew(name: str) -> None:
    leaves = [normal(3, 1).requires_grad_(), normal(3, 2).requires_grad_()]
    optimizer = built(CASES[name], leaves)
    leaves[0].grad = normal(3, 3)
    optimizer.step()
    restored = built(CASES[name], leaves)
    restored.load_state_dict(optimizer.state_dict())
    assert list(restored.state) == [leaves[0]]
    leaves[1].grad = normal(3, 4)
    restored.step()
    assert [float(restored.state[leaf]["step"]) for leaf in leaves] == [2, 1]
