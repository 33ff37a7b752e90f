"""The numbers of the paper that follow from the laws, the defaults and the analysis of both."""

import inspect
from collections.abc import Iterable

import numpy as np

import reference
from analysis import gravity, rounding
from analysis.facts import FACTS
from analysis.maps import MAPS, noise_floor
from reference.gravity import CLOCKS, ZETA_SUPREMUM
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW

from .numerals import scientific


def derived() -> dict[str, str]:
    """Return the values by path, each as it is to be read."""
    parts = {
        "law": _laws(),
        "defaults": _defaults(),
        "adam": {"bound": f"{reference.largest_adam_entry():.2f}"},
        "regime": _regimes(),
        "cycle": _cycles(),
        "noise": _noise(),
        "gravity": _gravity(),
        "rounding": _rounding(),
    }
    return {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}


def _laws() -> dict[str, str]:
    jump, excess = FACTS["published"].jump, FACTS["piecewise"].first_excess
    if jump is None or excess is None:
        raise ValueError("a published law neither jumps nor exceeds: expected both to be derived")
    return {
        "properties": str(len(reference.LAW_PROPERTIES)),
        "published.jump": f"{float(jump):.2f}",
        "published.jump.long": f"{float(jump):.5f}",
        "piecewise.first_excess": f"{float(excess):.3f}",
    }


def _defaults() -> dict[str, str]:
    signature = inspect.signature(RelativisticAdam).parameters
    decoupled = inspect.signature(RelativisticAdamW).parameters
    kinematic = inspect.signature(Gravity).parameters
    beta1, beta2 = signature["betas"].default
    return {
        **{key: f"{signature[key].default:g}" for key in ("lr", "speed_limit")},
        "eps": scientific(signature["eps"].default, 0),
        "beta1": f"{beta1:g}",
        "beta2": f"{beta2:g}",
        "warmup": str(signature["speed_warmup_steps"].default),
        "weight_decay": f"{decoupled['weight_decay'].default:g}",
        **{f"gravity.{key}": f"{kinematic[key].default:g}" for key in ("lr", "alpha", "beta")},
    }


def _regimes() -> dict[str, str]:
    rate, limit = 1e-3, 0.1
    million = reference.regime(lr=rate, speed_limit=limit, numel=10**6).typical_ratio
    return {
        "critical_entries": f"{(limit / rate) ** 2:,.0f}",
        "million.ratio": f"{million:.0f}",
    }


def _cycles() -> dict[str, str]:
    cycle = MAPS["smooth_sqrt"]
    return {f"amplitude.{rate:g}": f"{cycle.cycle_amplitude(rate):.4g}" for rate in (2.5, 5, 50)}


def _noise() -> dict[str, str]:
    """Spread of x on x²/2 under noise of deviation 1, at two rates under one limit."""
    limit = 1e-3
    return {
        f"spread.{name}": f"{limit * noise_floor('smooth_sqrt', rate, rate / limit):.4f}"
        for name, rate in (("slow", 0.1), ("fast", 1.0))
    }


def _gravity() -> dict[str, str]:
    steep = np.random.default_rng(0).normal(size=1000) * 10
    ranks = np.stack([np.argsort(np.argsort(np.abs(g))) for g in (steep, reference.zeta(steep))])
    coded = reference.GRAVITY_CLAIMS["zeta_below_half_inverse_m_as_coded"].witness
    swapped = reference.GRAVITY_CLAIMS["zeta_below_half_inverse_m_as_maximum"].witness
    if coded is None or swapped is None:
        raise ValueError("both readings of the bound hold: expected witnesses against them")
    beta = inspect.signature(Gravity).parameters["beta"].default
    return {
        "supremum": f"{ZETA_SUPREMUM:.5f}",
        "rank_correlation": f"{np.asarray(np.corrcoef(ranks))[0, 1]:.2f}".replace("-", "−"),
        "witness.coded": _vector(coded[0]),
        "witness.coded.zeta": f"{np.abs(reference.zeta(coded[0])).max():.5f}",
        "witness.coded.bound": f"{max(coded[0]) / 2:g}",
        "witness.maximum": _vector(swapped[0]),
        **{
            f"reach.{name}": f"{gravity.displacement(CLOCKS[name], beta):.4g}"
            for name in ("keras", "pytorch")
        },
    }


def _vector(entries: Iterable[float]) -> str:
    return f"({', '.join(f'{entry:g}' for entry in entries)})"


def _rounding() -> dict[str, str]:
    off = float(np.float32(0.999)) - 0.999
    return {
        "naive.binary16": scientific(rounding.curve("naive", "binary16", 0.1).vanishes_from),
        "beta2.error": scientific(abs(off) / (1 - 0.999)),
    }
