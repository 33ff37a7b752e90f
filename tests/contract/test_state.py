"""State that is saved, loaded and copied continues."""

import copy
import io
import pickle
from typing import Any

import pytest
import relativistic_adam
import torch

import reference
from tests.cases import CASES, SUBJECTS, Case, Options, float64
from tests.steps import built, every_class, everyone, normal
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW

pytestmark = [pytest.mark.filterwarnings("ignore:law="), pytest.mark.contract("state")]

NARROW = "torch.optim keeps and loads the moments in the dtype of the parameter"


@everyone()
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


@every_class(NARROW)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_state_of_narrow_parameters_stays_wide(name: str, dtype: torch.dtype) -> None:
    """A second moment of 1e-12 is 0 in binary16, and the step after it NaN."""

    def step(leaf: torch.Tensor, optimizer: Any) -> None:
        leaf.grad = torch.full_like(leaf, 1e-6)
        optimizer.step()

    leaf = torch.ones(3, dtype=dtype).requires_grad_()
    optimizer = built(SUBJECTS[name], [leaf], lr=1e-3)
    step(leaf, optimizer)
    other = leaf.detach().clone().requires_grad_()
    restored = built(SUBJECTS[name], [other], lr=1e-3)
    restored.load_state_dict(optimizer.state_dict())
    assert all(value.dtype == torch.float32 for value in restored.state[other].values())
    for _ in range(3):
        step(leaf, optimizer)
        step(other, restored)
    assert torch.equal(leaf, other)
    assert leaf.isfinite().all()


@every_class(NARROW)
def test_state_that_was_saved_narrow_is_widened(name: str) -> None:
    leaf = torch.ones(3, dtype=torch.bfloat16).requires_grad_()
    leaf.grad = torch.ones_like(leaf)
    optimizer = built(SUBJECTS[name], [leaf])
    optimizer.step()
    saved = optimizer.state_dict()
    for key, value in saved["state"][0].items():
        saved["state"][0][key] = value.to(torch.bfloat16)
    restored = built(SUBJECTS[name], [leaf])
    restored.load_state_dict(saved)
    assert all(value.dtype == torch.float32 for value in restored.state[leaf].values())


@every_class("torch.optim loads the very tensors, and steps in them")
def test_loaded_state_is_a_copy(name: str) -> None:
    leaf = normal(3, 1).requires_grad_()
    leaf.grad = normal(3, 2)
    optimizer = built(SUBJECTS[name], [leaf])
    optimizer.step()
    saved = optimizer.state_dict()
    before = copy.deepcopy(saved)
    other = normal(3, 1).requires_grad_()
    other.grad = normal(3, 3)
    restored = built(SUBJECTS[name], [other])
    restored.load_state_dict(saved)
    restored.step()
    for key, value in before["state"][0].items():
        assert torch.equal(saved["state"][0][key], value)


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
def test_a_parameter_saved_before_its_first_step_starts_anew(name: str) -> None:
    leaves = [normal(3, 1).requires_grad_(), normal(3, 2).requires_grad_()]
    optimizer = built(SUBJECTS[name], leaves)
    leaves[0].grad = normal(3, 3)
    optimizer.step()
    restored = built(SUBJECTS[name], leaves)
    restored.load_state_dict(optimizer.state_dict())
    assert list(restored.state) == [leaves[0]]
    leaves[1].grad = normal(3, 4)
    restored.step()
    assert [float(restored.state[leaf]["step"]) for leaf in leaves] == [2, 1]


@every_class()
@pytest.mark.parametrize("order", ["built", "loaded"])
def test_buffers_lie_in_memory_as_their_parameter(name: str, order: str) -> None:
    leaf = normal((2, 3, 4, 5), 1)
    strided = leaf.contiguous(memory_format=torch.channels_last).requires_grad_()
    strided.grad = torch.ones_like(strided)
    optimizer = built(SUBJECTS[name], [strided])
    optimizer.step()
    if order == "loaded":
        saved = copy.deepcopy(optimizer.state_dict())
        optimizer = built(SUBJECTS[name], [strided])
        optimizer.load_state_dict(saved)
    for key, value in optimizer.state[strided].items():
        assert key == "step" or value.stride() == strided.stride()


@every_class("torch.optim keeps the layout that was saved")
def test_loaded_buffers_take_the_layout_of_their_parameter(name: str) -> None:
    plain = normal((2, 3, 4, 5), 1).requires_grad_()
    plain.grad = normal(plain.shape, 2)
    optimizer = built(SUBJECTS[name], [plain])
    optimizer.step()
    strided = plain.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    restored = built(SUBJECTS[name], [strided])
    restored.load_state_dict(optimizer.state_dict())
    for key, value in restored.state[strided].items():
        assert torch.equal(value, optimizer.state[plain][key])
        assert key == "step" or value.stride() == strided.stride()


@every_class()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_state_follows_the_dtype_of_its_parameter(name: str, dtype: torch.dtype) -> None:
    other = torch.float32 if dtype == torch.float64 else torch.float64
    leaf = normal(3, 1, other).requires_grad_()
    leaf.grad = normal(3, 2, other)
    optimizer = built(SUBJECTS[name], [leaf])
    optimizer.step()
    converted = leaf.detach().to(dtype).requires_grad_()
    restored = built(SUBJECTS[name], [converted])
    restored.load_state_dict(optimizer.state_dict())
    assert all(v.dtype == dtype for k, v in restored.state[converted].items() if k != "step")
    converted.grad = normal(3, 3, dtype)
    restored.step()
    assert converted.isfinite().all()


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


@every_class()
def test_hooks_around_saving_and_loading(name: str) -> None:
    """A hook before loading may rewrite the state; one after it sees what was loaded."""
    leaf = normal(3, 1).requires_grad_()
    leaf.grad = normal(3, 2)
    optimizer = built(SUBJECTS[name], [leaf])
    optimizer.step()
    calls: list[str] = []
    optimizer.register_state_dict_pre_hook(lambda _: calls.append("before saving"))
    optimizer.register_state_dict_post_hook(lambda _, saved: {**saved, "author": "hook"})
    saved = optimizer.state_dict()
    assert saved.pop("author") == "hook"
    renamed = {"state": {"weight": saved["state"][0]}, "param_groups": saved["param_groups"]}
    restored = built(SUBJECTS[name], [leaf])
    restored.register_load_state_dict_pre_hook(
        lambda _, loaded: {**loaded, "state": {0: loaded["state"]["weight"]}}
    )
    restored.register_load_state_dict_post_hook(
        lambda loaded: calls.append(str(loaded.state[leaf]["step"].item()))
    )
    for _ in range(2):  # what loading registers for itself is gone after it
        restored.load_state_dict(renamed)
    assert calls == ["before saving", "1.0", "1.0"]
    assert len(restored._optimizer_load_state_dict_pre_hooks) == 1
    assert len(restored._optimizer_load_state_dict_post_hooks) == 1


@every_class(NARROW)
def test_a_hook_after_loading_sees_the_state_in_full_precision(name: str) -> None:
    leaf = torch.ones(3, dtype=torch.bfloat16).requires_grad_()
    leaf.grad = torch.ones_like(leaf)
    optimizer = built(SUBJECTS[name], [leaf])
    optimizer.step()
    seen: list[torch.dtype] = []
    optimizer.register_load_state_dict_post_hook(
        lambda loaded: seen.extend(value.dtype for value in loaded.state[leaf].values())
    )
    optimizer.load_state_dict(optimizer.state_dict())
    assert set(seen) == {torch.float32}


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
