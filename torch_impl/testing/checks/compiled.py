"""Under torch.compile: the results of eager, without a compilation in every step."""

import functools
import warnings
from typing import Any

import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch._dynamo.utils import counters

from ..expect import expect, expect_all_same, needs_no_chance
from ..registry import check
from ..subject import Options, Subject, normal

SHAPES = ((5, 3), (7, 1))


def _run(subject: Subject, backend: Any, path: Options) -> list[Tensor]:
    """Take five steps; on the default path, options that are tensors change on the way."""
    torch.manual_seed(0)
    leaves = [normal(s, i, torch.float32).requires_grad_() for i, s in enumerate(SHAPES)]
    moving = {n: v.clone() for n, v in subject.options.items() if isinstance(v, Tensor)}
    moving |= subject.having(lr=torch.tensor(0.1)) if not path else {}
    options = {**subject.having(lr=0.1), **moving, **path}
    optimizer = subject.build(leaves, **options)
    step = torch.compile(optimizer.step, backend=backend) if backend else optimizer.step
    for i in range(5):
        for j, leaf in enumerate(leaves):
            leaf.grad = normal(leaf.shape, 10 * i + j, torch.float32)
        step()
        for value in moving.values():
            value.mul_(0.9)
    return [leaf.detach() for leaf in leaves]


def _compiled(subject: Subject, backend: Any, path: Options) -> list[Tensor]:
    """Return where a compiled run ends, without what others have compiled before."""
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the compiler about itself
        return _run(subject, backend, path)


def _expect_the_results_of_eager(subject: Subject, compiled: list[Tensor], path: Options) -> None:
    # Some roundings of binary32 a step; compiled, corrections are formed in tensors, and in
    # binary32 in torch.optim, in which 1 − 0.999ᵗ is off by 6e-5 at t = 1.
    tolerance = 1e-6 if subject.strict else 1e-3
    expect_all_same(
        compiled, _run(subject, None, path), "a compiled step is not that of eager", tolerance
    )


def _paths(subject: Subject) -> list[Options]:
    return [{}, {"foreach": True}] if subject.takes("foreach") else [{}]


def _graphs_and_breaks(subject: Subject, path: Options) -> tuple[list[Tensor], int, set[str]]:
    """Return where a compiled run ends, how many graphs it was compiled to, and what broke them."""
    counters.clear()
    counter = CompileCounterWithBackend("eager")
    ends = _compiled(subject, counter, path)
    kinds = {reason.partition("\n")[0] for reason in counters["graph_break"]}
    return ends, counter.frame_count, kinds


@functools.cache
def _breaks_of_adamw(foreach: bool) -> frozenset[str]:
    _, _, kinds = _graphs_and_breaks(
        Subject(torch.optim.AdamW), {"foreach": True} if foreach else {}
    )
    return frozenset(kinds)


@check("torch.compile", costly=True)
def a_step_is_compiled_once_and_whole(subject: Subject) -> None:
    """One graph in five steps, and no graph breaks but AdamW's: those around the step itself."""
    needs_no_chance(subject)
    for path in _paths(subject):
        expected = _breaks_of_adamw(bool(path))
        ends, graphs, breaks = _graphs_and_breaks(subject, path)
        where = f"with {path}" if path else "by default"
        expect(graphs == 1, f"five steps {where} were compiled to {graphs} graphs: expected 1")
        expect(breaks <= expected, f"the graph is broken {where}: {sorted(breaks - expected)}")
        _expect_the_results_of_eager(subject, ends, path)


@check("torch.compile", costly=True)
def what_inductor_generates_gives_the_results_of_eager(subject: Subject) -> None:
    """The code that runs, on the default path and on foreach."""
    needs_no_chance(subject)
    for path in _paths(subject):
        _expect_the_results_of_eager(subject, _compiled(subject, "inductor", path), path)
