"""Hypothesis profiles, one thread per process, and Triton's interpreter where it has no device."""

import os
from collections.abc import Iterable

import pytest
import torch
from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile("dev", max_examples=40, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.register_profile("thorough", settings.get_profile("dev"), max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))

torch.set_num_threads(1)

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # which Triton reads when it is imported

SLOW = (
    "tests/cuda/",
    "tests/distributed/",
    "tests/test_equivalence.py::test_torch_takes_the_references_steps[float32-",
    "tests/test_examples.py",
    "tests/test_experiment_graph.py",
    "tests/test_paper_text.py::test_the_command_builds_everything",
    "tests/test_questions.py::test_every_figure_of_a_question_is_drawn",
    "tests/test_theory_figures.py",
    "tests/test_wheel.py",
)
"""Tests that are left to ``make test-slow``: half a minute or more, each or together."""


@pytest.hookimpl(tryfirst=True)  # before they are chosen by their markers
def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark the slow tests."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
