"""Parameter groups of a model: what decays and what does not, and limits by kind of tensor."""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from .arguments import check_at_least_zero, check_number, check_one_of

KINDS = ("embedding", "matrix", "vector")
"""Kinds of parameters: of embeddings, others with two dimensions or more, and the rest."""

_NORMS = ("LayerNorm", "RMSNorm", "GroupNorm", "LocalResponseNorm")


def param_groups(
    model: nn.Module,
    *,
    weight_decay: float,
    no_decay: Collection[str] = ("bias", "norm", "1d"),
    speed_limits: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Divide a model's parameters into groups, for the first argument of an optimizer.

    Parameters
    ----------
    model
        Its parameters that require a gradient are taken, each once, in their order.
    weight_decay
        λ ≥ 0 of the parameters that decay; the others get 0.
    no_decay
        What does not: "bias" (parameters called so), "norm" (those of normalisation layers), "1d"
        (those with less than two dimensions), "embedding" (those of embeddings), or parts of names,
        as "pos_embed".
    speed_limits
        A ``speed_limit`` by kind: "embedding", "matrix" or "vector"; a kind that is not among them
        keeps the optimizer's.

    Returns
    -------
    Groups with "params" as pairs of name and parameter, whose names torch.optim keeps,
    "weight_decay" and, where one is given, "speed_limit". None is empty.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    >>> for group in param_groups(model, weight_decay=0.1, speed_limits={"matrix": 0.01}):
    ...     print({**group, "params": [name for name, _ in group["params"]]})
    {'params': ['0.weight'], 'weight_decay': 0.1, 'speed_limit': 0.01}
    {'params': ['0.bias', '1.weight', '1.bias'], 'weight_decay': 0.0}
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model={type(model).__name__}: expected a torch.nn.Module")
    check_at_least_zero("weight_decay", weight_decay)
    if isinstance(no_decay, str) or not all(isinstance(word, str) for word in no_decay):
        raise ValueError(f"no_decay={no_decay!r}: expected a collection of words")
    limits = dict(speed_limits or {})
    for kind, limit in limits.items():
        check_one_of("a key of speed_limits", kind, KINDS)
        check_number(f"speed_limits[{kind!r}]", limit, lambda c: c > 0, "a number > 0")
    groups: dict[tuple[bool, float], dict[str, Any]] = {}
    for name, param, module in _parameters(model):
        decays = not _is_among(no_decay, name, param, module)
        limit = limits.get(kind_of(param, module), math.nan)
        key = (decays, limit if limit == limit else 0.0)  # noqa: PLR0124  # 0 is no limit
        if key not in groups:
            groups[key] = {"params": [], "weight_decay": weight_decay if decays else 0.0}
            if key[1]:
                groups[key]["speed_limit"] = limit
        groups[key]["params"].append((name, param))
    return list(groups.values())


def kind_of(param: Tensor, module: nn.Module) -> str:
    """Return the kind of a module's parameter, an element of `KINDS`."""
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        return "embedding"
    return "matrix" if param.dim() > 1 else "vector"


def _parameters(model: nn.Module) -> Iterator[tuple[str, Tensor, nn.Module]]:
    """Yield name, parameter and module of what requires a gradient; what is shared, once."""
    modules = dict(model.named_modules(remove_duplicate=False))
    for name, param in model.named_parameters():
        if param.requires_grad:
            yield name, param, modules[name.rpartition(".")[0]]


def _is_among(words: Collection[str], name: str, param: Tensor, module: nn.Module) -> bool:
    layer = type(module).__name__
    meanings = {
        "bias": name.rpartition(".")[2] == "bias",
        "norm": layer.endswith(_NORMS) or "BatchNorm" in layer or "InstanceNorm" in layer,
        "1d": param.dim() < 2,  # noqa: PLR2004
        "embedding": kind_of(param, module) == "embedding",
    }
    return any(meanings.get(word, word in name) for word in words)
