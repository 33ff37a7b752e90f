"""State that does not fit is refused, by name; other refusals are in `torch_impl.testing`."""

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
def test_a_refusal_names_the_parameter_by_its_name(name: str) -> None:
    def stepped(shape: Any) -> Any:
        layer = torch.nn.Linear(*shape)
        optimizer = built(SUBJECTS[name], layer.named_parameters())
        layer(torch.ones(shape[0])).sum().backward()
        optimizer.step()
        return optimizer

    with pytest.raises(ValueError, match=r"of parameter weight in group 0 has shape \(3, 2\)"):
        stepped((4, 3)).load_state_dict(stepped((2, 3)).state_dict())


BAD_STATES: list[tuple[str, Any, str]] = [
    ("buffer", None, " is None: expected a dense tensor"),
    ("buffer", 1.0, " is 1.0: expected a dense tensor"),
    ("buffer", torch.zeros(3).to_sparse(), "expected a dense tensor"),
    ("buffer", torch.zeros(3, device="meta"), "expected a dense tensor"),
    ("buffer", torch.zeros(3, dtype=torch.complex64), "has dtype torch.complex64"),
    ("step", None, " is None: expected a finite number"),
    ("step", torch.ones((), device="meta"), "expected a finite number"),
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
