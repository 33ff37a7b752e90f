"""What is proved is what runs: kernels of the proofs against the product's own, bit for bit.

This is a comparison and no proof: all inputs of the 16-bit formats, a million of binary32, each
under several limits, on this machine.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
import z3
from numpy.typing import NDArray

import reference
from proofs import exhaustive
from proofs.deep import conformance
from proofs.floats import kernels
from proofs.floats.machines import FORMATS, MODES, NEAREST, Arrays, Symbolic
from tests.bits import as_array, as_tensor, assert_same_bits, every_number, finite
from torch_impl import LAWS, Gravity
from torch_impl.arithmetic import Arithmetic
from torch_impl.limit import Proposal, limit_entries, round_toward_zero

Array = NDArray[Any]

TORCH = {"binary16": torch.float16, "bfloat16": torch.bfloat16, "binary32": torch.float32}
LIMITS = (6e-8, 1e-3, 0.1, 1.0, 300.0, 6e4)


def by_kernel(kernel: Callable[..., Any], x: Array, c: float) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(kernel(Arrays(x.dtype), x, x.dtype.type(c)))


def by_law(x: Array, c: float) -> Array:
    """torch's law, as it stands."""
    update = as_tensor(x)
    limited = LAWS["smooth_sqrt"].limit_entries(update, torch.tensor(c, dtype=update.dtype))
    return as_array(limited)


def by_optimizer(*, foreach: bool) -> Callable[[Array, float], Array]:
    """torch's limit of a proposal, one tensor at a time or many together."""

    def limited(x: Array, c: float) -> Array:
        updates = [as_tensor(part) for part in np.array_split(x, 3)]
        proposal = Proposal(
            updates,
            [torch.zeros_like(update) for update in updates],
            [torch.zeros_like(update) for update in updates],
            c,
            LAWS["smooth_sqrt"],
            "norm",
            "per_component",
            Arithmetic(foreach),
        )
        limit_entries(proposal)
        return np.concatenate([as_array(update) for update in proposal.updates])

    return limited


@pytest.mark.parametrize("c", LIMITS)
@pytest.mark.parametrize("format_name", TORCH)
@pytest.mark.parametrize(
    "run",
    [by_law, by_optimizer(foreach=False), by_optimizer(foreach=True)],
    ids=["law", "single", "foreach"],
)
def test_the_kernel_proved_is_torchs(
    run: Callable[[Array, float], Array], format_name: str, c: float
) -> None:
    x = every_number(TORCH[format_name])
    limit = round_toward_zero(c, TORCH[format_name])
    assert_same_bits(run(x, limit), by_kernel(kernels.smooth_torch, x, limit))


@pytest.mark.parametrize("c", LIMITS)
@pytest.mark.parametrize("format_name", TORCH)
def test_the_kernel_proved_is_the_references(format_name: str, c: float) -> None:
    """And, of finite numbers, torch's: the two ways of writing it agree."""
    x = finite(every_number(TORCH[format_name]))
    limit = round_toward_zero(c, TORCH[format_name])
    expected = by_kernel(kernels.smooth_numpy, x, limit)
    assert_same_bits(reference.LAWS["smooth_sqrt"].limit_entries(x, limit), expected)
    assert_same_bits(by_kernel(kernels.smooth_torch, x, limit), expected)


@pytest.mark.parametrize("foreach", [False, True], ids=["single", "foreach"])
@pytest.mark.parametrize("exponent", [-110, -30, -1, 0, 10, 25, 40, 100])
def test_the_term_proved_is_gravitys(exponent: int, foreach: bool) -> None:
    """With t = 0 and V₀ = 0 the velocity is ζ/2, and halving is exact above the subnormals."""
    rng = np.random.default_rng(exponent + 200)
    g = (rng.standard_normal(1000) * 2.0**exponent).astype(np.float32)
    param = torch.nn.Parameter(torch.zeros(1000))
    optimizer = Gravity([param], alpha=0.0, initial_step=0, foreach=foreach)
    param.grad = torch.from_numpy(g.copy())
    optimizer.step()
    expected = by_kernel(kernels.zeta, g, float(np.max(np.abs(g))))
    halved = expected / np.float32(2) + np.float32(0)  # V₀ = 0 takes the sign of a zero
    is_exact = (expected == 0) | (np.abs(halved) >= np.finfo(np.float32).tiny)
    assert is_exact.mean() > 0.9
    velocity = optimizer.state[param]["v"].numpy()
    assert_same_bits(velocity[is_exact], halved[is_exact])
    assert (np.abs(velocity) <= np.abs(g)).all()


@pytest.mark.parametrize("path", ["single", "foreach", "capturable"])
@pytest.mark.parametrize("exponent", [-100, -30, -1, 0, 10, 25, 60])
def test_the_weighted_term_proved_is_gravitys(exponent: int, path: str) -> None:
    """At t = 1 with V₀ = 0 the velocity is what is added to β̂·V, for w = 1 − β̂ = 1.1/3."""
    g = (np.random.default_rng(exponent + 200).standard_normal(1000) * 2.0**exponent).astype("f4")
    param = torch.nn.Parameter(torch.zeros(1000))
    options: Any = {"foreach": path == "foreach", "capturable": path == "capturable"}
    optimizer = Gravity([param], alpha=0.0, **options)
    param.grad = torch.from_numpy(g.copy())
    optimizer.step()
    kernel = kernels.zeta_over_weight if path == "capturable" else kernels.weighted_zeta
    weight = np.float32(1 - (0.9 + 1) / 3)
    with np.errstate(all="ignore"):
        expected = kernel(Arrays(g.dtype), g, np.max(np.abs(g)), weight) + np.float32(0)
    assert_same_bits(optimizer.state[param]["v"].numpy(), expected)
    assert (np.abs(expected) <= np.abs(g)).all()


class Flushed(Arrays):
    """Arrays whose subnormal results become zeros of their sign."""

    def _flushed(self, y: Array) -> Array:
        least = torch.finfo(as_tensor(np.zeros(1, self.dtype)).dtype).smallest_normal
        return np.where(np.abs(y) < least, np.copysign(self.number(0), y), y)

    def add(self, x: Any, y: Any) -> Any:
        return self._flushed(super().add(x, y))

    def mul(self, x: Any, y: Any) -> Any:
        return self._flushed(super().mul(x, y))

    def div(self, x: Any, y: Any) -> Any:
        return self._flushed(super().div(x, y))

    def sqrt(self, x: Any) -> Any:
        return self._flushed(super().sqrt(x))


@pytest.mark.parametrize("c", LIMITS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_flushed_kernels_keep_the_limit(dtype: torch.dtype, c: float) -> None:
    """Smooth_sqrt and ζ where subnormal results are flushed, on all numbers; 1/G gives NaN."""
    x = finite(every_number(dtype))
    machine, limit = Flushed(x.dtype), x.dtype.type(round_toward_zero(c, dtype))
    size = np.abs(x.astype(np.float64))
    with np.errstate(all="ignore"):
        for kernel in (kernels.smooth_torch, kernels.smooth_numpy):
            limited = np.abs(kernel(machine, x, limit).astype(np.float64))
            assert (limited <= np.minimum(size, float(limit))).all()
        assert (np.abs(kernels.zeta(machine, x, limit).astype(np.float64)) <= size).all()
        largest = machine.number(2.0**15 if dtype == torch.float16 else 2.0**127)
        inverse = machine.div(machine.number(1), largest)
        assert np.isnan(machine.div(machine.number(0), inverse).astype(np.float64))


def test_z3_computes_what_numpy_does() -> None:
    """On pairs of all sizes: its kernels are those that the other tests compare."""
    rng = np.random.default_rng(3)
    for sort, dtype in FORMATS.values():
        machine = Symbolic(sort, MODES[NEAREST])
        for x, c in rng.integers(0, 2**15, (20, 2), dtype=np.uint16).view(dtype):
            if not np.isfinite(x) or not np.isfinite(c):
                continue
            pair = [z3.fpBVToFP(z3.BitVecVal(int(n.view(np.uint16)), 16), sort) for n in (x, c)]
            for kernel in (kernels.smooth_torch, kernels.smooth_numpy, kernels.zeta):
                symbolic = z3.simplify(z3.fpToIEEEBV(kernel(machine, *pair))).as_long()
                assert symbolic == int(by_kernel(kernel, np.asarray(x), c).view(np.uint16))


def test_coq_is_asked_for_what_numpy_computes() -> None:
    """`make proofs` has Coq compute these goals; a result is written as m·2ᵉ, m of 24 digits."""
    goals = [line for line in conformance.coq_source().splitlines() if line.startswith("Goal")]
    assert len(goals) == len(conformance.KERNELS) * len(list(conformance.points())) >= 60
    one, one_over_root_two = "(number (8388608) (-23))", "false 11863283 (-24)"
    assert f"{one} {one}) = SpecFloat.S754_finite {one_over_root_two}" in goals[0]
    assert np.float32(1 / np.sqrt(2)) == 11863283 * 2.0**-24
    assert any("S754_zero" in goal for goal in goals)  # the naive kernel's, at 2⁶⁴
    assert any("S754_finite true 1 (-149)" in goal for goal in goals)  # a subnormal


C_KERNELS: Mapping[str, Callable[..., Any]] = {
    "smooth": kernels.smooth_torch,
    "smooth_branched": kernels.smooth_numpy,
    "naive": kernels.smooth_naive,
    "zeta": kernels.zeta,
    "zeta_over_half": kernels.zeta_over_half,
}


@pytest.mark.skipif(
    exhaustive.compiler() is None,
    reason="NOT CHECKED: the kernels in C against NumPy's, because there is no C compiler",
)
@pytest.mark.parametrize("name", C_KERNELS)
def test_the_kernels_in_c_are_the_same(name: str) -> None:
    x = finite(every_number(torch.float32))
    with exhaustive.compiled() as in_c:
        for c in (1e-6, 0.1, 1.0, 1e3):
            limit = round_toward_zero(c, torch.float32)
            expected = by_kernel(C_KERNELS[name], x, limit)
            assert_same_bits(in_c.apply(name, x, limit), expected)


def test_torchs_tanh_is_plausible_on_every_number() -> None:
    """0 ≤ tanh r ≤ min(r, 1), which the theorem on the tanh law assumes, on all r ≥ 0.

    All numbers of the three formats: 2³¹ of binary32, a quarter of a minute.
    """
    for dtype in (torch.float16, torch.bfloat16):
        every = as_tensor(every_number(dtype)[: 2**15])
        assert_plausible(every[~every.isnan()])
    chunk = torch.arange(2**22, dtype=torch.int32)
    infinity = 0x7F800000  # its bits, those of NaNs follow
    for start in range(0, infinity, 2**22):
        assert_plausible((chunk + start).view(torch.float32))
    assert_plausible(torch.tensor([torch.inf]))


def assert_plausible(r: torch.Tensor) -> None:
    result = r.tanh()
    assert bool((result >= 0).all())
    assert bool((result <= r).all())
    assert bool((result <= 1).all())
