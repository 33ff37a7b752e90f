"""The limits of an optimizer's groups: whose they are, how far they have come, and how they act."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from .arithmetic import Arithmetic
from .batches import Batch, as_real, batches, working_dtype
from .foreign import REFERENCE, copy_of_gradient, rate_of
from .laws import LAWS
from .limit import Proposal
from .limiter import Limiter, Scope
from .schedules import (
    MEASURED_STEPS,
    SIZES,
    is_auto,
    is_measured,
    remember_sizes,
    speed_limit_now,
)
from .sharding import is_distributed, local
from .state import step_tensor
from .telemetry import Seen

Proposed = Iterator[tuple[Batch, Proposal]]


@dataclass
class Attachment:
    """What `limit_speed` has attached to an optimizer.

    Attributes
    ----------
    optimizer
        Whose gradients or updates are limited.
    key
        Where a group holds its limit.
    options
        The arguments of `limit_speed`.
    state
        Per parameter a step, counted from when it was first limited, and the sizes that an
        automatic limit is measured from.
    """

    optimizer: Optimizer
    key: str
    options: dict[str, Any]
    state: dict[Tensor, dict[str, Tensor]] = field(default_factory=dict)

    def groups(self) -> Iterator[tuple[dict[str, Any], list[Tensor]]]:
        """Yield the options of each group, as a batch wants them, and its parameters."""
        for group in self.optimizer.param_groups:
            options = {
                **self.options,
                "lr": rate_of(group),
                "speed_limit": group[self.key],
                REFERENCE: group.get(REFERENCE),
                "foreach": group.get("foreach"),
                "capturable": bool(group.get("capturable")),
                "differentiable": False,
                "maximize": False,
            }
            yield options, group["params"]

    def _batches(
        self, options: dict[str, Any], params: list[Tensor], tensors: list[Tensor]
    ) -> Iterator[Batch]:
        """Count a step for parameters and yield their batches, ``tensors`` as their gradients."""
        steps, buffers = self.buffers(options, params)
        return batches(options, params, tensors, steps, buffers)

    def buffers(
        self, options: dict[str, Any], params: list[Tensor]
    ) -> tuple[list[Tensor], dict[str, list[Tensor]]]:
        """Return the counters of parameters, from when they were first limited, and their sizes."""
        keys = [SIZES] if is_auto(options["speed_limit"]) else []
        for param in params:
            state = self.state.setdefault(param, {})
            if "step" not in state:
                state["step"] = step_tensor(param, options)
            for key in keys:
                if key not in state:
                    sizes = torch.zeros(MEASURED_STEPS, dtype=torch.float64, device=param.device)
                    state[key] = sizes
        buffers = {key: [self.state[param][key] for param in params] for key in keys}
        return [self.state[param]["step"] for param in params], buffers

    def _limiter(self) -> Limiter:
        scopes = [
            Scope(params, options["mode"], options["unit"], _limits(options))
            for options, params in self.groups()
        ]
        return Limiter(scopes, observed=self.options["telemetry"] or self._is_measuring)

    @property
    def _is_measuring(self) -> bool:
        """Whether sizes are to be measured; where processes have to agree, always."""
        return any(
            is_distributed(param) or not is_measured(self.state.get(param, {}).get(SIZES))
            for options, params in self.groups()
            if is_auto(options["speed_limit"])
            for param in params
            if is_distributed(param) or param.grad is not None
        )

    @torch.no_grad()
    def limit_gradients(self) -> tuple[dict[Tensor, Tensor], list[Seen]]:
        """Return limited copies of the gradients, and what has been measured of them."""
        copies: dict[Tensor, Tensor] = {}

        def proposed() -> Proposed:
            for options, params in self.groups():
                present = [param for param in params if param.grad is not None]
                for param in present:
                    copies[param] = copy_of_gradient(param)
                for batch in self._batches(options, present, [copies[p] for p in present]):
                    proposal = _proposal(batch, batch.grads, batch.params)
                    batch.grads = []
                    yield batch, proposal

        def write(batch: Batch, proposal: Proposal) -> None:
            for owner, limited in zip(batch.owners, proposal.updates, strict=True):
                _write(copies[owner], limited)

        rows = self._limit(self._limiter(), proposed(), write)
        return copies, rows

    @torch.no_grad()
    def limit_updates(self, copies: dict[Tensor, Tensor], *, closure: bool) -> list[Seen]:
        """Turn θ₁ into θ₀ − φ·(θ₀ − θ₁), in the parameters' own memory where they are wide.

        Parameters
        ----------
        copies
            θ₀ of the parameters that a step may have changed.
        closure
            Whether it was not known which these are: then it is those that have a gradient now.

        Returns
        -------
        What has been measured of the updates.
        """
        limiter = self._limiter()
        given = any(param.grad is not None for param in copies)

        def proposed() -> Proposed:
            for options, params in self.groups():
                stepped = [p for p in params if p in copies]
                if closure and given:  # others were copied for want of knowing
                    stepped = [p for p in stepped if p.grad is not None]
                unlimited = not _limits(options)
                if unlimited and not limiter.observed and options["mode"] != "global":
                    Arithmetic().add_number(self.buffers(options, stepped)[0], 1)
                    continue
                for batch in self._batches(options, stepped, [copies[p] for p in stepped]):
                    before, batch.grads = batch.grads, []
                    dtype = working_dtype(batch.owners[0])
                    updates = [param.to(dtype, copy=unlimited) for param in batch.params]
                    updates = batch.arithmetic.add(batch.arithmetic.negate(updates), before)
                    yield batch, _proposal(batch, updates, before)

        return self._limit(limiter, proposed(), _apply)

    def _limit(
        self, limiter: Limiter, proposed: Proposed, write: Callable[[Batch, Proposal], None]
    ) -> list[Seen]:
        """Limit proposals and write each as soon as that is done; remember sizes.

        Returns
        -------
        What has been measured.
        """
        measuring, waiting = list[Batch](), list[tuple[Batch, Proposal]]()
        for batch, proposal in proposed:
            if is_auto(batch.group["speed_limit"]):
                measuring.append(batch)
            if limiter.limit(proposal):
                write(batch, proposal)
            else:
                waiting.append((batch, proposal))
        rows = limiter.finish()
        sizes = {id(row.owner): row.size for row in rows}
        for batch in measuring if rows else ():
            remember_sizes(batch, [sizes[id(owner)] for owner in batch.owners])
        for batch, proposal in waiting:
            write(batch, proposal)
        return rows


def _limits(options: Mapping[str, Any]) -> bool:
    c = options["speed_limit"]
    known = not isinstance(c, Tensor) and not is_auto(c)
    return LAWS[options["law"]].limits and not (known and math.isinf(c))


def _proposal(batch: Batch, updates: list[Tensor], params: list[Tensor]) -> Proposal:
    group = batch.group
    law = LAWS[group["law"]]
    limit = speed_limit_now(batch) if law.limits else math.inf
    return Proposal(
        updates, params, batch.owners, limit, law, group["unit"], group["mode"], batch.arithmetic
    )


def _apply(batch: Batch, proposal: Proposal) -> None:
    """Write θ₀ − s; where nothing limits, θ₁ is there already."""
    if proposal.unlimited:
        return
    limited, proposal.updates = proposal.updates, []
    after = batch.arithmetic.add(batch.arithmetic.negate(limited), proposal.params)
    batch.write("param", after)


def _write(tensor: Tensor, values: Tensor) -> None:
    """Write into this process's part of a tensor, unless the values are there already."""
    own = as_real(local(tensor))
    if own is not values and own.data_ptr() != values.data_ptr():
        own.copy_(values)
