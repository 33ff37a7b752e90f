"""What is derived, as text: tables of the laws, Gravity, bounds and dynamics."""

import math
from collections.abc import Iterator

import sympy as sp

from . import adam, adam_flow, bounds, flows, gravity, gravity_flow, rounding
from .facts import FACTS, LawFacts
from .maps import MAPS

Table = dict[str, str]


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, sp.Float):
        return f"{float(value):.6g}"
    return str(value).replace("**", "^").replace("oo", "∞")


def law_rows(facts: LawFacts) -> Table:
    """Return every fact of a law as text, by name."""
    limits = facts.speed_limits
    peaks = ", ".join(f"{_text(value)} at r = {_text(where)}" for where, value in facts.peaks)
    radial, tangential = zip(*facts.eigenvalues, strict=True)
    return {
        "φ near 0": _text(facts.series),
        "ρ at 0, 1⁻, 1⁺, ∞": ", ".join(_text(limits[at]) for at in ("0", "1-", "1+", "oo")),
        "jump of ρ at 1": _text(facts.jump),
        "ρ is C^k at 1, k": _text(facts.smoothness),
        "ρ nondecreasing": "yes" if facts.monotone else "no",
        "turning points of ρ": peaks or "none",
        "sup ρ": _text(facts.speed_supremum),
        "ρ > 1 from r": _text(facts.first_excess),
        "sup φ": _text(facts.gain_supremum),
        "sup |φ − 1|/r²": _text(facts.identity_coefficient),
        "radial eigenvalue ρ′": "; ".join(map(_text, radial)),
        "tangential eigenvalue ρ/r": "; ".join(map(_text, tangential)),
        "Lipschitz constant": _text(facts.lipschitz),
        "inverse r(y)": _text(facts.inverse),
        "potential ∫ρ": _text(facts.potential),
        "its conjugate": _text(facts.conjugate),
    }


def gravity_rows() -> dict[str, Table]:
    """Return every fact about Gravity as text, by title and name."""
    tables = {}
    for reading, facts in gravity.FACTS.items():
        supremum, where = facts.supremum
        power, value = facts.large_scale
        tables[f"ζ with m = {_text(gravity.READINGS[reading])}"] = {
            "ζ(g, G)": _text(facts.zeta),
            "turning point in g, and ζ there": f"{_text(facts.turning_point)}, {_text(facts.peak)}",
            "reached from G": _text(facts.turns_within_from),
            "ζ of the steepest entry": _text(facts.steepest),
            "sup |ζ|, at G": f"{_text(supremum)}, {_text(where)}",
            "ζ(λg)/λ for λ → 0": _text(facts.small_scale),
            "ζ(λg) for λ → ∞": f"λ^{-power} · {_text(value)}",
            "⟨ζ, g⟩/‖g‖² at least": _text(facts.descent),
        }
    tables["β̂ and V₀"] = {
        "β̂(t)": _text(gravity.running_coefficient()),
        "Π β̂ over n steps": _text(gravity.coefficient_product()),
        **{
            f"reach S of V₀, β = 0.9, t from {clock}": f"{gravity.displacement(clock, 0.9):.5g}"
            for clock in (0, 1)
        },
    }
    return tables


def bound_rows() -> Table:
    """Return the optimizers' bounds as text, by name."""
    return {
        "K, the least with m² ≤ K·v, for β₁² < β₂": _text(adam.limit_constant()),
        "|m̂|/√v̂ after t steps at most": _text(adam.corrected_bound()),
        **{
            f"‖θ_T − θ₀‖ at most, c {schedule}": _text(bounds.displacement(schedule))
            for schedule in bounds.SCHEDULES
        },
        "‖θ_T‖ at most, decay d": _text(bounds.growth()),
        "and in the end": _text(bounds.resting_norm()),
    }


def flow_rows() -> Table:
    """Return energies and rates of the flows as text, by name."""
    relativistic = {
        geometry: flows.Flow("smooth_sqrt", geometry) for geometry in ("per_component", "metric")
    }
    return {
        **{
            f"kinetic energy, {geometry}": _text(flow.kinetic_energy)
            for geometry, flow in relativistic.items()
        },
        "dE/dt, metric": _text(relativistic["metric"].energy_rate),
        "curl of the velocity, per_param": _text(flows.Flow("smooth_sqrt", "per_param").curl),
        "Adam: kinetic energy of an entry": _text(adam_flow.energy("smooth_sqrt")),
        "Adam: B′/B of its preconditioner at most": _text(adam_flow.stiffening()),
        "Gravity: rate a(s) of its velocity": _text(gravity_flow.rate()),
        "Gravity: dE/ds over |V|², ζ = identity": _text(gravity_flow.energy_rate()),
    }


def map_rows(key: str) -> Table:
    """Return what follows for the step x ← x − c·ρ(ηL|x|/c) on a quadratic, a = ηL, as text."""
    mapping = MAPS[key]
    derived = {
        "multiplier at 0": _text(mapping.multiplier_at_zero),
        "0 repels beyond a =": _text(mapping.first_repelling),
    }
    for ratio, start, end in mapping.cycle_ratios:
        between = f"{_text(start)} ≤ r < {_text(end)}"
        derived[f"cycle ±r·c/a, {between}: r"] = _text(ratio)
    for rate in (2.5, 5, 50):
        amplitude = mapping.cycle_amplitude(rate)
        derived[f"amplitude/c of the cycle at a = {rate:g}"] = (
            "no cycle" if math.isnan(amplitude) else f"{amplitude:.6g}"
        )
    return derived


def rounding_rows(limit: float = 0.1) -> Table:
    """Return where the kernels of the smooth law vanish or exceed c, as text."""
    derived = {}
    for name in rounding.FORMATS:
        for kernel in rounding.KERNELS:
            found = rounding.curve(kernel, name, limit, per_exponent=256)
            gone, alive = found.vanishes_from, found.limited > 0
            derived[f"{name}, {kernel}"] = ", ".join(
                (
                    "never 0" if math.isinf(gone) else f"0 from x = {gone:.5g}",
                    f"exceeds c for {found.share_exceeding:.2%} of all x",
                    f"off by ≤ {found.error[alive].max():.3g} ulp",
                )
            )
    of_norm, of_kernel = rounding.gain_error()
    derived["relative error of a block's gain at most"] = (
        f"{_text(of_norm)}·(that of the norm) + {_text(of_kernel)}·(unit roundoff)"
    )
    return derived


def tables() -> Iterator[tuple[str, Table]]:
    """Yield (title, rows) of every table."""
    yield from ((key, law_rows(law)) for key, law in FACTS.items())
    yield from gravity_rows().items()
    yield "Bounds", bound_rows()
    yield "Flows under smooth_sqrt", flow_rows()
    yield from ((f"The step on a quadratic under {key}", map_rows(key)) for key in MAPS)
    yield "Rounding of smooth_sqrt at c = 0.1", rounding_rows()
