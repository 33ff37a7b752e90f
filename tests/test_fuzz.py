"""Any input is taken, or refused with a clear error that changes nothing: a few of each kind.

`make fuzz` takes a million.
"""

from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paper.tables import faults
from tests.fuzz import targets
from tests.fuzz.loaders import loader
from tests.fuzz.outcomes import FindingError
from tests.fuzz.readers import text_of
from tests.fuzz.run import fuzzed
from tests.fuzz.targets import TARGETS, Target
from torch_impl import handle


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TARGETS)
def test_an_input_is_taken_or_refused_clearly(name: str, tmp_path: Path) -> None:
    take = TARGETS[name].make(tmp_path)

    @settings(max_examples=25)
    @given(st.randoms(use_true_random=False))
    def each(random: Random) -> None:
        take(random)

    each()


@pytest.mark.filterwarnings("ignore")
def test_inputs_are_counted_and_made_from_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "paper.readme.filled"
    counts = [{**fuzzed(name, 50), "seconds": 0} for _ in range(2)]
    assert counts[0] == counts[1] == {**counts[0], "inputs": 50, "findings": 0}
    assert counts[0]["taken"] + counts[0]["refused"] == 50
    assert min(counts[0]["taken"], counts[0]["refused"]) > 0
    monkeypatch.setitem(targets.TARGETS, name, Target(loader(torch.optim.AdamW), 1))
    found = fuzzed(name, 50)
    assert found["taken"] + found["refused"] + found["findings"] == 50
    assert any(kind.startswith("KeyError in ") for kind in found["first of each finding"])


class HalfLoaded(torch.optim.SGD):
    """Changes a group before it refuses a state."""

    def load_state_dict(self, _: Any) -> None:
        self.param_groups[0]["lr"] *= 2
        raise ValueError("refused")


def test_a_change_by_a_refused_state_is_found(tmp_path: Path) -> None:
    take = loader(partial(HalfLoaded, lr=0.1))(tmp_path)
    with pytest.raises(FindingError, match="changed, though refused: refused"):
        take(Random(0))  # noqa: S311


def test_a_form_that_is_not_checked_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "FORM", object)
    found = fuzzed("paper.tables.faults.read", 100)
    assert any(kind.startswith("TypeError in faults.py") for kind in found["first of each finding"])


@pytest.mark.filterwarnings("ignore")
def test_a_hook_that_lets_everything_pass_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handle, "check_loaded", lambda *_: None)
    found = fuzzed("AdamW.load_state_dict, limited", 100)
    assert any(kind.startswith("KeyError in adam.py") for kind in found["first of each finding"])


def test_an_error_that_says_nothing_is_found(tmp_path: Path) -> None:
    def read(_: Path) -> None:
        raise ValueError

    with pytest.raises(FindingError, match="the error says nothing"):
        text_of(lambda: "{}", read)(tmp_path)(Random(0))  # noqa: S311
