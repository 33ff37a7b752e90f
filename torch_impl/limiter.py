"""Who is limited with whom: blocks of a step, over groups, batches and processes."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from .limit import Proposal, limit_entries, limit_tensors, limit_together
from .sharding import Divided, parameters_by_sharding
from .telemetry import Observation, Seen, seen


class Scope(NamedTuple):
    """The parameters of a group and how they are limited; the same in every process.

    Attributes
    ----------
    params
        As the optimizer holds them, with or without a gradient.
    mode, unit
        Elements of `MODES` and `UNITS`.
    limits
        Whether the group's law and limit limit anything.
    """

    params: Sequence[Tensor]
    mode: str
    unit: str
    limits: bool


class Limiter:
    """Limits the proposals of one step, each as soon as its blocks are complete.

    Whether processes have to meet is told by the scopes, which all of them share, and not by the
    proposals, which a process without a gradient lacks.

    Parameters
    ----------
    scopes
        One per group.
    observed
        Whether to measure what is limited.
    """

    def __init__(self, scopes: Sequence[Scope], *, observed: bool = False) -> None:
        together = [scope for scope in scopes if scope.mode == "global"]
        self._scopes = scopes
        self._together = together if any(scope.limits for scope in together) else []
        self._apart = [scope for scope in scopes if scope.mode == "per_param" and scope.limits]
        self._divided_together = _divided(self._together)
        self._divided_apart = _divided(self._apart)
        self._waiting: list[Proposal] = []
        self.observed = observed
        self._observations: list[Observation] = []

    def limit(self, proposal: Proposal) -> bool:
        """Limit a proposal, and return True, if its blocks are all in it; else keep it."""
        if self.observed:
            self._observations.append(Observation(proposal))
        waits = bool(self._together) if proposal.mode == "global" else False
        if proposal.mode == "per_param" and not proposal.unlimited:
            waits = bool(self._divided_apart)
        if waits:
            self._waiting.append(proposal)
            return False
        if proposal.mode == "per_component":
            limit_entries(proposal)
        elif not proposal.unlimited:
            limit_tensors([proposal], {}, {proposal.unit})
        if self.observed:
            self._observations[-1].close()
        return True

    def finish(self) -> list[Seen]:
        """Limit what waits, meeting the other processes where tensors are divided among them.

        Returns
        -------
        What was measured of every proposal, if that was asked for.
        """
        for mode, scopes, divided, limit in (
            ("per_param", self._apart, self._divided_apart, limit_tensors),
            ("global", self._together, self._divided_together, limit_together),
        ):
            if divided or (mode == "global" and scopes):
                proposals = [p for p in self._waiting if p.mode == mode]
                limit(proposals, divided, {scope.unit for scope in scopes})
        if not self.observed:
            return []
        for observation in self._observations:
            observation.close()
        together = [scope for scope in self._scopes if scope.mode == "global"]
        return seen(self._observations, _divided(self._scopes), _divided(together))


def _divided(scopes: Sequence[Scope]) -> Divided:
    return parameters_by_sharding(param for scope in scopes for param in scope.params)
