"""Sparse gradients, on both paths; what else a gradient may be is in `torch_impl.testing`."""

import pytest
import torch

from tests.cases import SUBJECTS
from tests.steps import PATHS, built, every_class, normal

pytestmark = [pytest.mark.filterwarnings("ignore:law="), pytest.mark.contract("tensors")]


@PATHS
@every_class("torch.optim says Adam, and not which gradient it is")
def test_sparse_gradients_are_refused_before_anything_changes(name: str, foreach: bool) -> None:
    dense, sparse = normal(3, 1).requires_grad_(), normal(3, 2).requires_grad_()
    dense.grad, sparse.grad = normal(3, 3), normal(3, 4).to_sparse()
    before = dense.detach().clone()
    optimizer = built(SUBJECTS[name], [{"params": [dense]}, {"params": [sparse]}], foreach=foreach)
    with pytest.raises(RuntimeError, match=rf"{name} does not support sparse gradients: .*\(3,\)"):
        optimizer.step()
    assert torch.equal(dense.detach(), before)
    assert not optimizer.state
