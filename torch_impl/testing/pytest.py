"""One test of pytest per optimizer and check."""

from collections.abc import Callable, Iterable

import pytest

from .registry import CHECKS, NotApplicable
from .run import as_subject, run_check
from .subject import Make, Subject


def parametrize_with_checks(
    optimizers: Iterable[Make | Subject], *, costly: bool = True
) -> pytest.MarkDecorator:
    """Run a test with a ``check``, to be called without arguments, of every optimizer.

    Parameters
    ----------
    optimizers
        Classes, functions that make an optimizer, or `Subject`.
    costly
        Whether to run the checks, too, that take long.

    Notes
    -----
    A check that does not apply is skipped with its reason.

    Examples
    --------
    >>> @parametrize_with_checks([torch.optim.SGD])  # doctest: +SKIP
    ... def test_the_contract(check):
    ...     check()
    """
    params = [
        pytest.param(_of(name, subject), id=f"{subject}-{name}")
        for subject in (as_subject(optimizer, {}) for optimizer in optimizers)
        for name, check in CHECKS.items()
        if costly or not check.costly
    ]

    return pytest.mark.parametrize("check", params)


def _of(name: str, subject: Subject) -> Callable[[], None]:
    def check() -> None:
        try:
            run_check(name, subject)
        except NotApplicable as reason:
            pytest.skip(f"does not apply: {reason}")

    return check
