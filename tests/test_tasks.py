"""The tasks: determined by their seeds, of the shapes they say, with exact landscapes."""

import math

import pytest
import torch
from torch import Tensor

from paper.tasks import TASKS, Task, text
from paper.tasks.landscapes import CONDITION, DIMENSIONS, Landscape
from paper.training import Run, train

SHAPES = {
    "published_regression": ([150, 10], [50, 10], [1]),
    "adding_100": ([4096, 100, 2], [512, 100, 2], [1]),
    "adding_200": ([4096, 200, 2], [512, 200, 2], [1]),
    "faces_cnn": ([120, 1, 25, 25], [80, 1, 25, 25], [2]),
    **dict.fromkeys(("noisy_quadratic", "noisy_double_well"), ([1024, 64], [1, 64], [])),
    **dict.fromkeys(
        ("byte_lstm", "byte_gpt", "byte_gpt_small", "byte_gpt_bf16", "post_ln_gpt"),
        ([3091, 64], [128, 64], [64, 128]),
    ),
}
"""Training inputs, validation inputs, output of a sample; of digits where nothing is said."""

DIGITS = ([1437, 64], [360, 64], [10])


def everything(task: Task) -> list[Tensor]:
    return [*task.train, *task.validation, *task.model.state_dict().values()]


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_determined_by_its_seed(name: str) -> None:
    torch.manual_seed(0)
    first = everything(TASKS[name].make(1))
    torch.manual_seed(1)  # the global generator is none of a task's business
    again, other = everything(TASKS[name].make(1)), everything(TASKS[name].make(2))
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[4], other[4])


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_the_shapes_it_says(name: str) -> None:
    task = TASKS[name].make(1)
    inputs, held_out, output = SHAPES.get(name, DIGITS)
    assert [list(part[0].shape) for part in (task.train, task.validation)] == [inputs, held_out]
    assert [len(part[1]) for part in (task.train, task.validation)] == [inputs[0], held_out[0]]
    assert list(task.model(task.train[0][:2]).shape) == [2, *output]


@pytest.mark.parametrize("name", TASKS)
def test_nothing_that_validates_was_trained_on(name: str) -> None:
    task = TASKS[name].make(1)
    trained = {sample.numpy().tobytes() for sample in task.train[0]}
    assert not trained & {sample.numpy().tobytes() for sample in task.validation[0]}


@pytest.mark.parametrize("name", TASKS)
def test_every_parameter_of_a_task_is_trained(name: str) -> None:
    task = TASKS[name].make(1)
    task.loss(task.model(task.train[0][:2]), task.train[1][:2]).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and bool(p.grad.any()) for p in task.model.parameters())
    result = train(Run("m", name, "AdamW", {"lr": 1e-3}, 2, 1))
    assert (result.steps, result.exploded) == (2, False)
    assert math.isfinite(result.score)


def test_the_bfloat16_tasks_are_computed_in_bfloat16() -> None:
    for name in ("digits_bf16", "byte_gpt_bf16"):
        task = TASKS[name].make(1)
        with torch.autocast("cpu", task.autocast):
            assert task.model(task.train[0][:2]).dtype == torch.bfloat16
        assert {p.dtype for p in task.model.parameters()} == {torch.float32}


def test_half_of_the_faces_are_faces() -> None:
    task = TASKS["faces_cnn"].make(1)
    assert int(torch.cat([task.train[1], task.validation[1]]).sum()) == 100


def test_an_answer_of_one_misses_the_sums_by_a_sixth() -> None:
    """The variance of 4096 squares of triangular deviations is (1/15 − 1/36)."""
    inputs, sums = TASKS["adding_100"].make(1).train
    assert torch.equal((inputs[..., 0] * inputs[..., 1]).sum(dim=1, keepdim=True), sums)
    assert bool((inputs[:, :50, 1].sum(dim=1) == 1).all())
    assert bool((inputs[:, 50:, 1].sum(dim=1) == 1).all())
    four_deviations = 4 * math.sqrt((1 / 15 - 1 / 36) / 4096)
    assert float((sums - 1).square().mean()) == pytest.approx(1 / 6, abs=four_deviations)


def test_the_text_is_ascii_and_its_targets_are_its_next_bytes() -> None:
    assert text.corpus().isascii()
    inputs, targets = TASKS["byte_gpt"].make(1).train
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    assert text.corpus().find(bytes([*inputs[0].tolist(), int(targets[0, -1])])) >= 0


def test_other_sources_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MODULES", text.MODULES[1:])
    with pytest.raises(ValueError, match=rf"paper\.tasks\.text\.MODULES .*{text.DIGEST}"):
        text.corpus.__wrapped__()


@pytest.mark.parametrize("name", ["byte_gpt", "post_ln_gpt"])
def test_a_prediction_sees_nothing_of_what_comes(name: str) -> None:
    task = TASKS[name].make(1)
    x = task.train[0][:1].clone()
    before = task.model(x)
    x[0, 40:] = 7
    after = task.model(x)
    assert torch.equal(before[0, :40], after[0, :40])
    assert not torch.equal(before[0, 40:], after[0, 40:])


def landscape(name: str) -> tuple[Landscape, Tensor]:
    task = TASKS[name].make(1)
    assert isinstance(task.model, Landscape)
    return task.model, task.train[0][:1]


@pytest.mark.parametrize("name", ["noisy_quadratic", "noisy_double_well"])
def test_the_noise_is_added_to_the_gradient(name: str) -> None:
    model, noise = landscape(name)
    (clean,) = torch.autograd.grad(model(torch.zeros_like(noise)).sum(), model.x)
    (noisy,) = torch.autograd.grad(model(noise).sum(), model.x)
    torch.testing.assert_close(noisy - clean, noise[0])


def test_the_quadratic_has_the_curvatures_it_says() -> None:
    model, _ = landscape("noisy_quadratic")
    # The gradient is linear in x: the Hessian's rows are the gradients at the unit vectors.
    units = torch.eye(DIMENSIONS).requires_grad_()
    heights = torch.stack([model.height(unit) for unit in units])
    (hessian,) = (part.double() for part in torch.autograd.grad(heights.sum(), units))
    curvatures = torch.linalg.eigvalsh(hessian)
    expected = torch.logspace(-math.log10(CONDITION), 0, DIMENSIONS, dtype=torch.float64)
    # The Hessian is rounded to binary32, which moves its eigenvalues by at most its norm's 64·2⁻²⁴.
    torch.testing.assert_close(curvatures, expected, rtol=0, atol=64 * 2**-24)
    x = model.x.detach().double()
    (gradient,) = torch.autograd.grad(model.height(model.x), model.x)
    torch.testing.assert_close(gradient.double(), hessian @ x, rtol=1e-5, atol=1e-5)
    assert float(model.height(x.float())) == pytest.approx(float(x @ hessian @ x) / 2, rel=1e-5)


def test_the_double_well_is_as_its_formula() -> None:
    model, _ = landscape("noisy_double_well")
    x = model.x.detach().double()
    height = model.height(model.x)
    assert float(height.detach()) == pytest.approx(float(((x**2 - 1) ** 2).sum()) / 4, rel=1e-6)
    (gradient,) = torch.autograd.grad(height, model.x)
    torch.testing.assert_close(gradient.double(), x * (x**2 - 1), rtol=1e-5, atol=1e-6)
