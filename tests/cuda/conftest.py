"""Every optimizer here takes the kernels of CUDA, wherever its parameters are."""

from collections.abc import Iterator

import numpy as np
import pytest

import torch_impl.fused.homes


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(torch_impl.fused.homes, "home_of", lambda _param: "cuda")
    with np.errstate(all="ignore"):  # what the interpreter computes with warns, the device does not
        yield
