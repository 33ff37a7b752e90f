"""State that does not fit is refused, before anything changes."""

import copy
import re
from typing import Any

import pytest
import torch

from tests.cases import CASES, SUBJECTS
from tests.steps import built, every_class, normal

pytestmark = [pytest.mark.filterwarnings("ignore:law="), pytest.mark.contract("state")]

ACCEPTS = "torch.optim accepts it, and fails later inside step"


@every_class(ACCEPTS)
def test_state_of_another_shape_is_refused(name: str) -> None:
    def stepped(shape: Any) -> Any:
        leaves = [normal(2, 1).requires_grad_(), normal(shape, 2).requires_grad_()]
        optimizer = built(SUBJECTS[name], [{"params": [leaf]} for leaf in leaves])
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


@every_class()
def test_state_of_other_groups_is_refused_as_torch_does(name: str) -> None:
    one = built(SUBJECTS[name], [{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)]}])
    two = built(SUBJECTS[name], [torch.zeros(1), torch.zeros(1)])
    with pytest.raises(ValueError, match="different number of parameter groups"):
        two.load_state_dict(one.state_dict())


@every_class(ACCEPTS)
def test_state_of_another_optimizer_is_refused(name: str) -> None:
    leaf = normal(3, 1).requires_grad_()
    leaf.grad = normal(3, 2)
    other = torch.optim.SGD([leaf], lr=0.1, momentum=0.9)
    other.step()
    optimizer = built(SUBJECTS[name], [leaf])
    with pytest.raises(ValueError, match=r"parameter 0 in group 0 has keys \['momentum_buffer'\]"):
        optimizer.load_state_dict(other.state_dict())
    assert not optimizer.state


@every_class(ACCEPTS)
def test_a_refusal_names_the_parameter_by_its_name(name: str) -> None:
    def stepped(shape: Any) -> Any:
        layer = torch.nn.Linear(*shape)
        optimizer = built(SUBJECTS[name], layer.named_parameters())
        layer(torch.ones(shape[0])).sum().backward()
        optimizer.step()
        return optimizer

    with pytest.raises(ValueError, match=r"of parameter weight in group 0 has shape \(3, 2\)"):
        stepped((4, 3)).load_state_dict(stepped((2, 3)).state_dict())


@every_class("torch.optim does not look at loaded options")
def test_options_that_are_not_valid_are_refused_at_load(name: str) -> None:
    optimizer = built(SUBJECTS[name], [torch.zeros(2)])
    saved = optimizer.state_dict()
    saved["param_groups"][0]["lr"] = -1.0
    with pytest.raises(ValueError, match=r"lr=-1\.0: expected a finite number >= 0"):
        optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] > 0


BAD_STATES: list[tuple[str, Any, str]] = [
    ("buffer", None, " is None: expected a dense tensor"),
    ("buffer", 1.0, " is 1.0: expected a dense tensor"),
    ("buffer", torch.zeros(3).to_sparse(), "expected a dense tensor"),
    ("buffer", torch.zeros(3, dtype=torch.complex64), "has dtype torch.complex64"),
    ("step", None, " is None: expected a finite number"),
    ("step", "7", " is '7': expected a finite number"),
    ("step", torch.ones(2), "expected a finite number"),
    ("step", torch.tensor(float("nan")), " is nan: expected a finite number"),
    ("step", -5, " is -5: expected a finite number"),
]


@pytest.mark.parametrize(("key", "value", "message"), BAD_STATES, ids=lambda value: str(value)[:12])
@pytest.mark.parametrize("name", CASES)
def test_a_state_that_cannot_be_is_refused_before_anything_changes(
    name: str, key: str, value: Any, message: str
) -> None:
    leaf = normal(3, 1, torch.float32).requires_grad_()
    leaf.grad = normal(3, 2, torch.float32)
    optimizer = built(CASES[name], [leaf])
    optimizer.step()
    saved = copy.deepcopy(optimizer.state_dict())
    before = copy.deepcopy(saved["state"][0])
    buffer = "v" if name == "Gravity" else "exp_avg"
    saved["state"][0][buffer if key == "buffer" else "step"] = value
    with pytest.raises(ValueError, match=re.escape(message)):
        optimizer.load_state_dict(saved)
    for name_of, tensor in optimizer.state[leaf].items():
        assert torch.equal(tensor, before[name_of])


@pytest.mark.parametrize("name", CASES)
def test_loaded_options_that_do_not_fit_the_parameters_are_refused(name: str) -> None:
    optimizer = built(CASES[name], [torch.zeros(2)])
    saved = optimizer.state_dict()
    saved["param_groups"][0]["lr"] = 1e39
    with pytest.raises(ValueError, match=r"lr=1e\+39: expected at most"):
        optimizer.load_state_dict(saved)
