"""The relativistic flow: derived energies decay, and the optimizer converges to it."""

import numpy as np
import pytest
import sympy as sp

from analysis.flows import (
    GEOMETRIES,
    C,
    Flow,
    Problem,
    gamma,
    masses,
    momenta,
    orders,
)

LAWS = ["smooth_sqrt", "tanh"]
WITH_AN_EDGE = ["hard_clip", "published"]
SOMEWHERE = {
    **dict(zip(momenta, (sp.Rational(7, 10), sp.Rational(-13, 10)), strict=True)),
    **dict(zip(masses, (sp.Rational(11, 10), sp.Rational(2, 5)), strict=True)),
    C: sp.Rational(9, 10),
    gamma: sp.Integer(2),
}
HAMILTONIAN = ["per_component", "metric"]


def loss(x: np.ndarray) -> np.ndarray:
    return np.asarray(x[..., 0] ** 4 / 4 + x[..., 0] * x[..., 1] / 2 + 2 * x[..., 1] ** 2)


PROBLEM = Problem(
    gradient=lambda x: np.array([x[0] ** 3 + x[1] / 2, x[0] / 2 + 4 * x[1]]),
    mass=np.array([1.0, 0.3]),
    friction=0.8,
    limit=0.7,
    start=np.array([1.5, -1.0]),
)


@pytest.mark.parametrize("geometry", HAMILTONIAN)
@pytest.mark.parametrize("law", LAWS + WITH_AN_EDGE)
def test_the_velocity_is_the_gradient_of_the_kinetic_energy(law: str, geometry: str) -> None:
    flow = Flow(law, geometry)
    assert sp.simplify(flow.curl.subs(SOMEWHERE)) == 0
    for p, velocity in zip(momenta, flow.velocity, strict=True):
        difference = (sp.diff(flow.kinetic_energy, p) - velocity).subs(SOMEWHERE)
        assert abs(sp.N(difference, 30)) < 1e-28


@pytest.mark.parametrize("geometry", HAMILTONIAN)
@pytest.mark.parametrize("law", LAWS + WITH_AN_EDGE)
def test_the_energy_falls_at_the_rate_of_friction(law: str, geometry: str) -> None:
    """E′ = −γ·Σpᵢvᵢ, for any loss: its derivative cancels."""
    flow = Flow(law, geometry)
    assert not flow.energy_rate.has(sp.Derivative)
    expected = -gamma * sum(p * v for p, v in zip(momenta, flow.velocity, strict=True))
    difference = (flow.energy_rate - expected).subs(SOMEWHERE)
    assert abs(sp.N(difference, 30)) < 1e-28


def test_smooth_sqrts_energy_is_that_of_relativity() -> None:
    """ΣMᵢC²(√(1 + (pᵢ/(MᵢC))²) − 1), and C²(√(1 + pᵀM⁻¹p/C²) − 1)."""
    per_component = sum(
        m * C**2 * (sp.sqrt(1 + (p / (m * C)) ** 2) - 1)
        for p, m in zip(momenta, masses, strict=True)
    )
    metric = C**2 * (
        sp.sqrt(1 + sum(p**2 / m for p, m in zip(momenta, masses, strict=True)) / C**2) - 1
    )
    assert sp.simplify(Flow("smooth_sqrt", "per_component").kinetic_energy - per_component) == 0
    assert sp.simplify(Flow("smooth_sqrt", "metric").kinetic_energy - metric) == 0


@pytest.mark.parametrize("law", LAWS)
def test_the_euclidean_norm_is_not_hamiltonian_unless_the_mass_is_isotropic(law: str) -> None:
    flow = Flow(law, "per_param")
    assert flow.curl != 0
    assert sp.simplify(flow.curl.subs(masses[1], masses[0])) == 0
    with pytest.raises(ValueError, match="has the curl"):
        _ = flow.kinetic_energy


@pytest.mark.parametrize("geometry", HAMILTONIAN)
@pytest.mark.parametrize("law", LAWS + WITH_AN_EDGE)
def test_the_energy_never_rises_along_a_trajectory(law: str, geometry: str) -> None:
    flow = Flow(law, geometry)
    states = PROBLEM.trajectory(flow, np.linspace(0, 20, 400))
    energies = PROBLEM.energy(flow, loss)(states)
    assert (np.diff(energies) <= 1e-10).all()  # the integrator's tolerance is 1e-12 a step
    assert energies[-1] < 1e-3 * energies[0]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_no_speed_reaches_the_limit(geometry: str) -> None:
    flow = Flow("smooth_sqrt", geometry)
    velocity = PROBLEM.velocity(flow)
    speeds = np.array([velocity(z[2:]) for z in PROBLEM.trajectory(flow, np.linspace(0, 5, 200))])
    size = {
        "per_component": np.abs(speeds).max(axis=1),
        "metric": np.sqrt((PROBLEM.mass * speeds**2).sum(axis=1)),
        "per_param": np.linalg.norm(speeds, axis=1),
    }[geometry]
    assert (size < PROBLEM.limit).all()
    assert size.max() > 0.9 * PROBLEM.limit


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("law", LAWS + WITH_AN_EDGE)
def test_crossings_are_where_the_speed_ratio_passes_one(law: str, geometry: str) -> None:
    """Found by the integrator's events; looked for here between the points of a fine grid."""
    flow, times = Flow(law, geometry), np.linspace(0, 6, 3001)
    states, crossings = PROBLEM.solve(flow, times)
    ratios = PROBLEM.ratios(flow)
    over = np.array([ratios(z[2:]) >= 1 for z in states])
    seen = []
    for entry in range(2 if geometry == "per_component" else 1):
        seen += [
            (times[i], times[i + 1], entry, bool(over[i + 1, entry]))
            for i in np.nonzero(np.diff(over[:, entry]))[0]
        ]
    assert len(seen) >= 2
    for crossing, (early, late, entry, rising) in zip(crossings, sorted(seen), strict=True):
        assert (crossing.entry, crossing.rising) == (entry, rising)
        assert early <= crossing.time <= late


def test_the_edge_of_a_law_is_kept_out_of_the_integration() -> None:
    """Restarted at its edges, `published` is as exact as its order: half the grid, same path."""
    flow = Flow("published", "per_component")
    coarse = PROBLEM.trajectory(flow, np.linspace(0, 6, 7))
    fine = PROBLEM.trajectory(flow, np.linspace(0, 6, 61))
    np.testing.assert_allclose(fine[::10], coarse, atol=1e-9)


@pytest.mark.parametrize("law", ["piecewise", "gamma"])
def test_a_law_whose_work_is_infinite_has_no_energy(law: str) -> None:
    with pytest.raises(ValueError, match=f"law='{law}': expected one whose ∫ρ is finite"):
        _ = Flow(law, "per_component").kinetic_energy


@pytest.mark.parametrize("geometry", ["per_component", "per_param"])
def test_the_published_laws_jump_makes_its_order_uneven_but_one(geometry: str) -> None:
    """Each crossing is met up to a step early or late: halving h halves the error on average."""
    flow = Flow("published", geometry)
    end = PROBLEM.trajectory(flow, [0.0, 2.0])[-1, :2]
    counts = np.round(np.geomspace(50, 3200, 13)).astype(int)
    errors = [float(np.linalg.norm(PROBLEM.optimizer(flow, 2.0, int(n)) - end)) for n in counts]
    order = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert 0.9 < order < 1.1
    assert np.ptp(orders(errors[::2])) > 0.1


@pytest.mark.parametrize("geometry", ["per_component", "per_param"])
@pytest.mark.parametrize("law", LAWS)
def test_the_optimizer_converges_to_the_flow_at_order_one(law: str, geometry: str) -> None:
    flow = Flow(law, geometry)
    end = PROBLEM.trajectory(flow, [0.0, 2.0])[-1, :2]
    errors = [
        float(np.linalg.norm(PROBLEM.optimizer(flow, 2.0, n) - end))
        for n in (50, 100, 200, 400, 800, 1600)
    ]
    assert ((orders(errors) > 0.9) & (orders(errors) < 1.1)).all(), orders(errors)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("law", LAWS)
def test_the_leapfrog_converges_at_order_two(law: str, geometry: str) -> None:
    flow = Flow(law, geometry)
    end = PROBLEM.trajectory(flow, [0.0, 2.0])[-1, :2]
    errors = [
        float(np.linalg.norm(PROBLEM.leapfrog(flow, 2.0, n) - end)) for n in (100, 200, 400, 800)
    ]
    assert ((orders(errors) > 1.95) & (orders(errors) < 2.05)).all(), orders(errors)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_leapfrog_contracts_volume_as_the_flow_does(geometry: str) -> None:
    """The determinant of a step's Jacobian, by central differences, is e^(−nγh) with n = 2."""
    velocity, h, delta = PROBLEM.velocity(Flow("smooth_sqrt", geometry)), 0.2, 1e-6
    z = np.array([0.4, -0.7, 0.9, 0.5])
    columns = [
        (PROBLEM.leapfrog_step(velocity, z + e, h) - PROBLEM.leapfrog_step(velocity, z - e, h))
        / (2 * delta)
        for e in delta * np.eye(4)
    ]
    expected = np.exp(-2 * PROBLEM.friction * h)
    assert np.linalg.det(np.array(columns).T) == pytest.approx(expected, rel=1e-8)
