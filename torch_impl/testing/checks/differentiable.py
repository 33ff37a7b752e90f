"""``differentiable=True``: autograd goes through the step."""

import torch
from torch import Tensor

from ..expect import expect, expect_all_same, needs, needs_no_chance, needs_rate
from ..registry import check
from ..subject import Subject, normal


@check("differentiable")
def a_recorded_step_is_the_plain_one(subject: Subject) -> None:
    """Within roundings: corrections are formed in tensors, and in binary32 in torch.optim."""
    needs(subject, "differentiable")
    ends = []
    for differentiable in (False, True):
        torch.manual_seed(0)
        leaves = [normal(shape, i).requires_grad_() for i, shape in enumerate(((3, 2), (4, 1)))]
        tensors = [leaf.clone() for leaf in leaves] if differentiable else leaves
        options = subject.having(lr=0.3)
        optimizer = subject.build(tensors, differentiable=differentiable, **options)
        for step in range(3):
            for i, tensor in enumerate(tensors):
                tensor.grad = normal(tensor.shape, 10 * i + step)
            optimizer.step()
        ends.append([tensor.detach() for tensor in tensors])
    # 1 − 0.999ᵗ is off by 6e-5 in binary32 at t = 1.
    tolerance = 1e-13 if subject.strict else 1e-3
    expect_all_same(
        ends[0], ends[1], "a step that autograd records is not the plain one", tolerance
    )


@check("differentiable")
def a_learning_rate_can_be_learned(subject: Subject) -> None:
    """The hypergradient of a loss after two steps is its finite difference."""
    needs(subject, "differentiable")
    needs_rate(subject)
    needs_no_chance(subject)
    path = {"foreach": False} if subject.has("foreach") else {}

    def loss_after(lr: Tensor) -> Tensor:
        leaf = torch.tensor([[1.0, -2.0]], dtype=torch.float64, requires_grad=True).clone()
        optimizer = subject.build([leaf], lr=lr, differentiable=True, **path)
        for _ in range(2):
            leaf.grad = torch.autograd.grad((leaf.clone() ** 4).sum(), leaf, create_graph=True)[0]
            optimizer.step()
        return (leaf**4).sum()

    lr = torch.tensor(0.01, dtype=torch.float64, requires_grad=True)
    same = torch.autograd.gradcheck(loss_after, (lr,))
    expect(same, "the derivative by lr is not the finite difference")
