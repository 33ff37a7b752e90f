"""Threads share a step, and every number of them gives the same."""

import os
import signal
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cpu.common import everything, parameters, stepped
from tests.steps import built
from tests.variants import VARIANTS
from torch_impl import Gravity, RelativisticAdam
from torch_impl.fused.cpu import threads as sharing
from torch_impl.fused.cpu.blocks import BLOCK
from torch_impl.fused.cpu.threads import ALONE, PIECE, Tensors, cut_into_pieces
from torch_impl.fused.work import Work


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are shared, small as they are."""
    monkeypatch.setattr(sharing, "ALONE", 0)


def tensors_of(counts: list[int]) -> Tensors:
    """Tensors of these sizes."""
    params = [torch.zeros(count) for count in counts]
    return Tensors(Work(0, {}, params, params, [params], params))


@pytest.mark.parametrize(("case", "options"), VARIANTS)
@pytest.mark.filterwarnings("ignore:law=")
@pytest.mark.usefixtures("shared")
def test_any_number_of_threads_gives_the_same_bits(
    case: Any, options: dict[str, Any], threads: Callable[[int], None]
) -> None:
    """A tensor of three pieces among small ones: on one thread, on two, and on three."""
    results = []
    for count in (1, 2, 3):
        threads(count)
        params = parameters()
        optimizer = built(case, params, **options, fused=True)
        stepped(optimizer, params)
        results.append(everything(optimizer, params))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert torch.equal(one, two)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="NOT CHECKED: a fork, which there is not here")
@pytest.mark.usefixtures("shared")
def test_a_step_after_a_fork_has_threads_of_its_own(threads: Callable[[int], None]) -> None:
    threads(2)
    params = parameters([(700, 1000)])
    optimizer = RelativisticAdam(params, fused=True)
    stepped(optimizer, params)  # its last gradient is there for the child: torch's own threads,
    with warnings.catch_warnings():  # which would draw another one, do not come through a fork
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        child = os.fork()
    if child == 0:
        signal.alarm(60)  # rather than wait for threads that are not there
        code = 1
        try:
            before = params[0].detach().numpy().copy()
            optimizer.step()
            moved = np.abs(params[0].detach().numpy() - before)
            code = 0 if 0 < moved.max() < 1 else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_pieces_cover_every_entry_once() -> None:
    counts = [0, 1, PIECE, PIECE + 1, 3 * PIECE]
    work, firsts = cut_into_pieces(tuple(counts), PIECE)
    assert firsts[-1] == len(work)
    for t, count in enumerate(counts):
        own = work[firsts[t] : firsts[t + 1]]
        assert set(own[:, 0]) == {t}
        assert own[0, 1] == 0
        assert own[-1, 2] == count
        np.testing.assert_array_equal(own[1:, 1], own[:-1, 2])
    assert PIECE % BLOCK == 0


class Notes:
    """What is done with tensors and pieces, in the order in which it ends."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.whole: list[int] = []
        self.passes: list[tuple[str, int]] = []
        self.by: dict[int, int] = defaultdict(int)

    def __call__(self) -> None:
        def noting(what: str) -> Callable[[Any], None]:
            return lambda run: self.note(what, np.arange(len(self.tensors.work))[run])

        self.tensors.in_turn(self.step_whole, noting("measure"), self.settle, noting("finish"))

    def note(self, what: str, pieces: Any) -> None:
        for piece in pieces:
            _, low, high = self.tensors.work[piece]
            self.by[threading.get_ident()] += (high - low) * (what == "measure")
            self.passes.append((what, piece))

    def step_whole(self, firsts: Any) -> None:
        for first in firsts[:-1]:
            tensor = self.tensors.work[first, 0]
            self.by[threading.get_ident()] += self.tensors.counts[tensor]
            self.whole.append(tensor)

    def settle(self, firsts: Any) -> None:
        measured = {piece for what, piece in self.passes if what == "measure"}
        assert measured.issuperset(range(*firsts))
        self.passes.append(("settle", self.tensors.work[firsts[0], 0]))


@given(
    st.lists(st.integers(0, 50) | st.integers(0, 5), min_size=1, max_size=12),
    st.integers(1, 4),
)
def test_every_tensor_is_stepped_once_by_one_thread_or_cut(counts: list[int], number: int) -> None:
    with pytest.MonkeyPatch.context() as context:
        context.setattr(sharing, "PIECE", 4)
        context.setattr(sharing, "ALONE", 0)
        context.setattr(torch, "get_num_threads", lambda: number)
        tensors = tensors_of(counts)
        notes = Notes(tensors)
        notes()
    cut = [tensor for what, tensor in notes.passes if what == "settle"]
    assert sorted([*notes.whole, *cut]) == list(range(len(counts)))
    assert len(cut) < number
    pieces = [k for k, (tensor, _, _) in enumerate(tensors.work) if tensor in cut]
    for what in ("measure", "finish"):
        assert sorted(piece for done, piece in notes.passes if done == what) == pieces
    if cut:
        order = [what for what, _ in notes.passes]
        assert order.index("finish") > max(k for k, what in enumerate(order) if what == "settle")


def test_threads_have_like_shares(threads: Callable[[int], None]) -> None:
    """And this one is among them."""
    threads(2)
    for counts in ([PIECE] * 6, [6 * PIECE], [1000] * 2000, [PIECE, 3 * PIECE, 1, 2 * PIECE]):
        notes = Notes(tensors_of(counts))
        notes()
        shares = notes.by
        assert threading.get_ident() in shares
        assert len(shares) == 2
        assert max(shares.values()) - min(shares.values()) <= PIECE * (len({*counts}) > 1)


@pytest.mark.usefixtures("shared")
def test_a_thread_has_a_piece_where_there_are_as_many(threads: Callable[[int], None]) -> None:
    threads(4)
    runs: list[slice] = []
    tensors_of([4 * PIECE]).spread(runs.append)
    assert sorted(run.start for run in runs) == [0, 1, 2, 3]


def test_few_entries_are_left_to_this_thread(threads: Callable[[int], None]) -> None:
    threads(2)
    for count, expected in ((ALONE, 1), (ALONE + 1, 2)):
        runs: list[slice] = []
        tensors_of([count // 2, count - count // 2]).spread(runs.append)
        assert len(runs) == expected


def test_no_thread_writes_any_more_when_one_has_failed() -> None:
    ended: list[slice] = []

    def task(run: slice) -> None:
        if run.start == 0:
            raise KeyError("planned")
        time.sleep(0.05)
        ended.append(run)

    for runs in ([slice(0, 1), slice(1, 2)], [slice(1, 2), slice(0, 1)]):
        ended.clear()
        with pytest.MonkeyPatch.context() as context:
            context.setattr(torch, "get_num_threads", lambda: 2)
            with pytest.raises(KeyError, match="planned"):
                sharing._together(task, runs)
        assert ended == [slice(1, 2)]


@pytest.mark.parametrize("name", ["wait", "_pool"])
def test_nor_when_this_one_is_interrupted_or_another_does_not_start(name: str) -> None:
    """While it waits for the others, or while it starts them."""
    ended: list[slice] = []

    def task(run: slice) -> None:
        time.sleep(0.02 * run.start)
        ended.append(run)

    original, calls = getattr(sharing, name), [0]

    def failing(*some: Any) -> Any:
        calls[0] += 1
        if calls[0] == {"wait": 1, "_pool": 2}[name]:
            raise KeyboardInterrupt
        return original(*some)

    with pytest.MonkeyPatch.context() as context:
        context.setattr(torch, "get_num_threads", lambda: 2)
        context.setattr(sharing, name, failing)
        with pytest.raises(KeyboardInterrupt):
            sharing._together(task, [slice(k, k + 1) for k in range(3)])
    assert slice(1, 2) in ended


@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=8),
    st.sampled_from([{}, {"weight_decay": 0.1}, {"max_step_grad": 2.0}]),
    st.integers(0, 2**32 - 1),
)
def test_gravitys_tensors_are_stepped_as_each_is_alone(
    counts: list[int], options: dict[str, Any], seed: int
) -> None:
    """Each by the largest entry of its own gradient, in whatever pieces that is found."""
    generator = np.random.default_rng(seed)
    values = [generator.normal(size=(3, n)).astype(np.float32) for n in counts]
    for value in values:
        if value.size and generator.random() < 0.1:
            value[1, generator.integers(value.shape[1])] = generator.choice([np.inf, np.nan])
    ends = []
    with pytest.MonkeyPatch.context() as context:
        context.setattr(sharing, "PIECE", 64)
        for together in (True, False):
            params = [torch.from_numpy(value[0].copy()).requires_grad_() for value in values]
            groups = [params] if together else [[param] for param in params]
            optimizers = [Gravity(own, 0.5, alpha=0.0, fused=True, **options) for own in groups]
            for step in (1, 2):
                for param, value in zip(params, values, strict=True):
                    param.grad = torch.from_numpy(value[step])
                for optimizer in optimizers:
                    optimizer.step()
            ends.append([param.detach().numpy() for param in params])
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)
