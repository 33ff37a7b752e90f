"""What limits, telemetry, policies and fused steps cost: ``python -m paper.overhead``.

A step of a variant over a step of its baseline, both on copies of the same parameters, one right
after the other and in random order, `.grad` replaced in every round, on one thread. A ratio is that
of the medians over the rounds; beside it stands the baseline over itself, and a row is not judged
where that is farther than 5 % from 1.
"""

import argparse
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from tqdm import tqdm

from analysis.files import markdown, write_atomically
from torch_impl import Gravity, RelativisticAdamW, limit_speed

MODELS: Mapping[str, Sequence[int]] = {
    "1 tensor of 4M": [4_000_000],
    "48 tensors, 7M": [590_000, 770, 2_400, 590_000, 2_400, 770] * 6 + [400, 770] * 6,
    "500 tensors of 100": [100] * 500,
}
"""Sizes of the tensors of a model, by name."""

_D = 512
_LAYER = (3 * _D * _D, 3 * _D, _D * _D, _D, 4 * _D * _D, 4 * _D, 4 * _D * _D, *[_D] * 5)

LARGE_MODELS: Mapping[str, Sequence[int]] = {
    "1 tensor of 16M": [16_000_000],
    "149 tensors, 38M": [_D, _D, *_LAYER * 12, *[_D] * 3],
    "64 tensors of 131,072": [131_072] * 64,
    "1,000 tensors of 100": [100] * 1000,
}
"""The same for whole steps as one kernel; the second is a transformer's, without embeddings."""

CONTROL_BAND = 0.05

Make = Callable[[list[Tensor]], Optimizer]


def _adamw(params: list[Tensor]) -> Optimizer:
    return torch.optim.AdamW(params)


def _limited(**options: Any) -> Make:
    def make(params: list[Tensor]) -> Optimizer:
        optimizer = torch.optim.AdamW(params)
        limit_speed(optimizer, 1e-3, **options)
        return optimizer

    return make


def _own(**options: Any) -> Make:
    return lambda params: RelativisticAdamW(
        params, **{"speed_limit": 1e-3, "speed_unit": "rms", **options}
    )


def _fused(**options: Any) -> Make:
    return _own(fused=True, **options)


PAIRS: Mapping[str, tuple[str, Make, Make]] = {
    "limit_speed": ("AdamW", _adamw, _limited()),
    "limit_speed, per component": ("AdamW", _adamw, _limited(mode="per_component")),
    "limit_speed, gradients": ("AdamW", _adamw, _limited(placement="gradient")),
    "limit_speed with telemetry": ("AdamW", _adamw, _limited(telemetry=True)),
    "limit_speed, skip": ("AdamW", _adamw, _limited(on_nonfinite="skip")),
    "RelativisticAdamW": ("AdamW", _adamw, _own()),
    "telemetry": ("RelativisticAdamW", _own(), _own(telemetry=True)),
    "skip": ("RelativisticAdamW", _own(), _own(on_nonfinite="skip")),
    "gradients limited": ("RelativisticAdamW", _own(), _own(placement="gradient")),
    "measured limit": ("RelativisticAdamW", _own(), _own(speed_limit="auto")),
}
"""Variant → its baseline's name, and both."""


def _fused_adamw(params: list[Tensor]) -> Optimizer:
    return torch.optim.AdamW(params, fused=True)


def _fused_gravity(params: list[Tensor]) -> Optimizer:
    return Gravity(params, fused=True)


FUSED_PAIRS: Mapping[str, tuple[str, Make, Make]] = {
    "RelativisticAdamW, per_component": (
        "AdamW",
        _fused_adamw,
        _fused(relativistic_mode="per_component"),
    ),
    "RelativisticAdamW, per_param": ("AdamW", _fused_adamw, _fused()),
    "RelativisticAdamW, global": ("AdamW", _fused_adamw, _fused(relativistic_mode="global")),
    "Gravity": ("AdamW", _fused_adamw, _fused_gravity),
}
"""The same of fused steps."""

TABLES = {"overhead": (PAIRS, MODELS), "fused": (FUSED_PAIRS, LARGE_MODELS)}
"""Table → its rows and its columns."""


def measure(sizes: Sequence[int], pair: tuple[str, Make, Make], rounds: int, seed: int) -> Any:
    """Return the ratio of a variant to its baseline, and that of the baseline to itself.

    Parameters
    ----------
    sizes
        Entries of each tensor.
    pair
        From `PAIRS`.
    rounds
        How many steps each takes, after five that do not count.
    seed
        Of the order within the rounds, and of the gradients.
    """
    _, baseline, variant = pair
    order = random.Random(seed)  # noqa: S311
    generator = torch.Generator().manual_seed(seed)
    gradients = [torch.randn(n, generator=generator) for n in sizes]
    contenders = {}
    for name, make in (("baseline", baseline), ("again", baseline), ("variant", variant)):
        params = [torch.zeros(n, requires_grad=True) for n in sizes]
        contenders[name] = (params, make(params))
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for count in range(rounds + 5):
        for name in order.sample(list(contenders), len(contenders)):
            params, optimizer = contenders[name]
            for param, gradient in zip(params, gradients, strict=True):
                param.grad = gradient.clone()
            start = time.perf_counter()
            optimizer.step()
            elapsed = time.perf_counter() - start
            if count >= 5:  # noqa: PLR2004
                times[name].append(elapsed)
    middle = {name: statistics.median(values) for name, values in times.items()}
    return {
        "ratio": middle["variant"] / middle["baseline"],
        "control": middle["again"] / middle["baseline"],
    }


def rows(results: Mapping[str, Any], name: str = "overhead") -> list[Sequence[str]]:
    """Return a row per variant of a table and a column per model."""
    pairs, models = TABLES[name]
    table: list[Sequence[str]] = [("a step with", "over one of", *models)]
    for variant, (baseline, _, _) in pairs.items():
        cells = [_cell(results[name]["ratios"][variant][model]) for model in models]
        table.append((variant, baseline, *cells))
    return table


def environment(results: Mapping[str, Any], name: str = "overhead") -> str:
    """Return what a table was measured on, in words."""
    where = results[name]["environment"]
    return (
        f"Medians of {where['rounds']} rounds on {where['machine']}, one thread, Python "
        f"{where['python']}, torch {where['torch']}; the baselines over themselves gave "
        f"{where['lowest control']:.2f} to {where['highest control']:.2f}."
    )


def read(folder: Path) -> dict[str, Any]:
    """Return what ``make overhead`` has measured."""
    results: dict[str, Any] = json.loads((folder / "overhead.json").read_text(encoding="utf-8"))
    return results


def _cell(found: Mapping[str, float]) -> str:
    if abs(found["control"] - 1) > CONTROL_BAND:
        return f"not judged (control {found['control']:.2f})"
    return f"{found['ratio']:.2f}"


def main(arguments: list[str] | None = None) -> None:
    """Measure every pair, and write overhead.json."""
    parser = argparse.ArgumentParser(description="Measures what limits and telemetry cost.")
    parser.add_argument("--out", type=Path, default=Path("build/overhead"), help="folder to write")
    parser.add_argument("--rounds", type=int, default=60, help="steps of each contender")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    file = given.out / "overhead.json"
    results = read(given.out) if file.exists() else {}
    for name in given.tables:
        results[name] = _table(name, given.rounds)
        print(markdown(rows(results, name)))
        print(environment(results, name))
    write_atomically(file, json.dumps(results, indent=1) + "\n")


def _table(name: str, rounds: int) -> dict[str, Any]:
    """Measure the pairs of a table."""
    pairs, models = TABLES[name]
    ratios: dict[str, dict[str, Any]] = {variant: {} for variant in pairs}
    cells = [(variant, model) for variant in pairs for model in models]
    for variant, model in tqdm(cells, unit="cell"):
        for attempt in range(3):  # a machine that others use may disturb one
            found = measure(models[model], pairs[variant], rounds, attempt)
            if abs(found["control"] - 1) <= CONTROL_BAND:
                break
        ratios[variant][model] = found
    controls = [found["control"] for some in ratios.values() for found in some.values()]
    return {
        "environment": {
            "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores",
            "python": platform.python_version(),
            "torch": torch.__version__,
            "rounds": rounds,
            "lowest control": min(controls),
            "highest control": max(controls),
        },
        "ratios": ratios,
    }


if __name__ == "__main__":
    main()
