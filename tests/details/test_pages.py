"""State in huge pages is what `torch.zeros_like` makes, in memory that is its own."""

import gc
import io
import mmap
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.cases import CASES
from torch_impl import Gravity, RelativisticAdamW
from torch_impl.pages import LEAST, empty_like_each, zeros_like_each

huge = pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(),
    reason="NOT CHECKED: this system has no huge pages",
)


class Odd(Tensor):
    """Not a plain tensor."""


def various() -> list[Tensor]:
    """A large tensor, one that is large with others, and others of many kinds."""
    return [
        torch.ones(LEAST // 4),
        torch.ones(LEAST // 4 - 1),
        torch.nn.Parameter(torch.ones(3, 5)),
        torch.ones(3, 5, 2, 7).to(memory_format=torch.channels_last),
        torch.ones(7, 3).t(),
        torch.ones(5, dtype=torch.complex64),
        torch.ones(5, dtype=torch.float64),
        torch.tensor(1.0),
        torch.ones(0, 3),
        torch.ones(4, 6)[:, ::2],
        torch.ones(3).as_subclass(Odd),
        torch.ones(3, device="meta"),
    ]


def dtypes_of(tensors: Sequence[Tensor]) -> list[torch.dtype]:
    return [torch.bfloat16 if x.dim() == 4 else x.dtype for x in tensors]


def mapping_at(place: int) -> str | None:
    """Return what Linux says of the memory at a place."""
    for text in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text()):
        low, high = (int(x, 16) for x in text.split(maxsplit=1)[0].split("-"))
        if low <= place < high:
            return text
    return None


def is_huge_at(place: int) -> bool:
    """Whether huge pages are wanted at a place, of which a forked process has copies."""
    text = mapping_at(place)
    flags = re.findall(r"VmFlags:(.*)", text or "")
    return text is not None and " rw-p " in text.splitlines()[0] and "hg" in flags[0].split()


def is_huge(tensor: Tensor) -> bool:
    """Whether a tensor is in huge pages of its own kind.

    So may one of torch's be, in memory that NumPy has asked for and left; its storage differs.
    """
    return not tensor.untyped_storage().resizable() and is_huge_at(tensor.data_ptr())


@pytest.mark.parametrize("enough", [False, True])
def test_zeros_are_those_of_torch(enough: bool) -> None:
    tensors = various()[0 if enough else 2 :]
    dtypes = dtypes_of(tensors)
    made = zeros_like_each(tensors, dtypes)
    for tensor, dtype, zeros in zip(tensors, dtypes, made, strict=True):
        expected = torch.zeros_like(tensor, dtype=dtype)
        assert type(zeros) is type(expected)
        assert (zeros.dtype, zeros.device) == (dtype, tensor.device)
        assert (zeros.shape, zeros.stride()) == (expected.shape, expected.stride())
        assert not zeros._is_view() or expected._is_view()
        assert not zeros.requires_grad
        if not zeros.is_meta:
            assert torch.equal(zeros, expected)
            assert zeros.untyped_storage().nbytes() == expected.untyped_storage().nbytes()


@huge
def test_what_is_large_enough_together_is_in_huge_pages() -> None:
    tensors = various()
    plain = set(range(8))
    made = zeros_like_each(tensors, dtypes_of(tensors))
    for i, zeros in enumerate(made):
        if zeros.numel() and not zeros.is_meta:
            assert is_huge(zeros) is (i in plain)
            assert zeros.data_ptr() % 64 == 0 or i not in plain
    assert not any(map(is_huge, zeros_like_each(tensors[2:8], dtypes_of(tensors[2:8]))))
    one = torch.ones(LEAST // 8)
    for like_each in (zeros_like_each, empty_like_each):
        assert is_huge(like_each([one, one], [torch.float32] * 2)[1])
        assert not is_huge(like_each([one], [torch.float32])[0])


@pytest.mark.parametrize("like_each", [zeros_like_each, empty_like_each])
def test_tensors_do_not_share_entries_and_keep_their_memory(like_each: Any) -> None:
    sizes = (LEAST // 4 - 1, 1, 17, LEAST // 4)
    made = like_each([torch.ones(n) for n in sizes], [torch.float32] * 4)
    for i, zeros in enumerate(made):
        zeros.fill_(i + 1)
    kept = made[2]
    assert [float(x.min()) for x in made] == [float(x.max()) for x in made] == [1, 2, 3, 4]
    del made, zeros
    gc.collect()
    torch.ones(LEAST // 4)
    assert torch.equal(kept, torch.full((17,), 3.0))
    file = io.BytesIO()
    torch.save(kept, file)
    assert len(file.getvalue()) < 5000


@huge
def test_a_large_tensor_takes_its_memory_with_it() -> None:
    """Whatever is left of those that were made with it."""
    made = zeros_like_each([torch.ones(LEAST // 4)] * 2, [torch.float32] * 2)
    place = made[0].data_ptr()
    assert is_huge_at(place)
    del made[0]
    gc.collect()
    assert not is_huge_at(place)
    assert is_huge(made[0])


@huge
@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("foreach", [None, False])
def test_state_that_is_made_or_loaded_is_in_huge_pages(name: str, foreach: bool | None) -> None:
    params = [torch.ones(n, requires_grad=True) for n in (LEAST // 4, LEAST // 4 - 1, 3)]
    for param in params:
        param.grad = torch.ones_like(param)
    optimizers = [CASES[name].optimizer(params, lr=0.5, foreach=foreach) for _ in range(2)]
    optimizers[0].step()
    optimizers[1].load_state_dict(optimizers[0].state_dict())
    for optimizer in optimizers:
        for param in params:
            buffers = [x for x in optimizer.state[param].values() if x.shape == param.shape]
            assert buffers
            assert all(map(is_huge, buffers))
    for param in params:
        for key, value in optimizers[0].state[param].items():
            assert torch.equal(value, optimizers[1].state[param][key])
            assert value.data_ptr() != optimizers[1].state[param][key].data_ptr()


@huge
@pytest.mark.parametrize("cls", [RelativisticAdamW, Gravity])
def test_a_system_without_huge_pages_has_others(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Without(mmap.mmap):
        def madvise(self, *_: Any) -> None:
            raise OSError

    ends = []
    for change in ((), (sys, "platform", "darwin"), (mmap, "mmap", Without)):
        torch.manual_seed(1)
        param = torch.ones(LEAST // 4, requires_grad=True)
        param.grad = torch.ones_like(param)
        optimizer = cls([param])
        with monkeypatch.context() as patched:
            if change:
                patched.setattr(*change)
            optimizer.step()
        ends.append(param.detach())
        assert is_huge(optimizer.state[param][cls._needed_buffers[0]]) is not bool(change)
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])
