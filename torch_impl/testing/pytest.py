"""One test of pytest per optimizer and check."""

from collections.abc import Callable, Iterable

import pytest

from .registry import NotApplicable
from .run import as_subject, chosen, run_check
from .subject import Make, Subject


def parametrize_with_checks(
    optimizers: Iterable[Make | Subject],
    *,
    only: Iterable[str] | None = None,
    costly: bool = True,
) -> pytest.MarkDecorator:
    """Run a test with a ``check``, to be called without arguments, of every optimizer.

    Parameters
    ----------
    optimizers
        Classes, functions that make an optimizer, or `Subject`.
    only, costly
        Which checks, as for `run_checks`.

    Notes
    -----
    A check that does not apply is skipped with its reason.

    Examples
    --------
    >>> @parametrize_with_checks([torch.optim.SGD])  # doctest: +SKIP
    ... def test_the_contract(check):
    ...     check()
    """
    checks = chosen(only, costly)
    params = [
        pytest.param(_of(check.name, subject), id=f"{subject.name}-{check.name}")
        for subject in (as_subject(optimizer, {}) for optimizer in optimizers)
        for check in checks
    ]

    return pytest.mark.parametrize("check", params)


def _of(name: str, subject: Subject) -> Callable[[], None]:
    def check() -> None:
        try:
            run_check(name, subject)
        except NotApplicable as reason:
            pytest.skip(f"does not apply: {reason}")

    return check
