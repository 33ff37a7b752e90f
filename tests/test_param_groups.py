"""`param_groups` divides a model by what decays and by kind, and keeps the names."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from torch_impl import RelativisticAdamW, param_groups


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(5, 4)
        self.pos_embed = nn.Parameter(torch.zeros(3, 4))
        self.block = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.BatchNorm1d(4))
        self.scale = nn.Parameter(torch.ones(()))
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.tokens.weight  # tied


DECAYING = ["pos_embed", "tokens.weight", "block.0.weight"]
OTHERS = ["scale", "block.0.bias", "block.1.weight", "block.1.bias", "block.2.weight"]


def names(groups: list[dict[str, Any]]) -> list[list[str]]:
    return [[name for name, _ in group["params"]] for group in groups]


def test_biases_norms_and_vectors_do_not_decay() -> None:
    groups = param_groups(Net(), weight_decay=0.1)
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    decaying, others = names(groups)
    assert sorted(decaying) == sorted(DECAYING)
    assert sorted(others) == sorted([*OTHERS, "block.2.bias"])
    assert all("speed_limit" not in group for group in groups)


@pytest.mark.parametrize(
    ("words", "spared"),
    [
        ([], set()),
        (["bias"], {"block.0.bias", "block.1.bias", "block.2.bias"}),
        (["norm"], {"block.1.weight", "block.1.bias", "block.2.weight", "block.2.bias"}),
        (["1d"], {*OTHERS, "block.2.bias"}),
        (["embedding"], {"tokens.weight"}),
        (["pos_embed"], {"pos_embed"}),
        (["block.0", "scale"], {"block.0.weight", "block.0.bias", "scale"}),
    ],
)
def test_what_does_not_decay_can_be_said(words: list[str], spared: set[str]) -> None:
    groups = param_groups(Net(), weight_decay=0.1, no_decay=words)
    found = {
        name
        for group, members in zip(groups, names(groups), strict=True)
        for name in members
        if group["weight_decay"] == 0
    }
    assert found == spared
    assert sum(map(len, names(groups))) == len([p for p in Net().parameters() if p.requires_grad])


def test_kinds_have_limits_of_their_own_and_names_are_kept() -> None:
    limits = {"embedding": 0.01, "matrix": 0.02, "vector": math.inf}
    groups = param_groups(Net(), weight_decay=0.1, speed_limits=limits)
    found = {
        name: g["speed_limit"] for g, m in zip(groups, names(groups), strict=True) for name in m
    }
    assert found["tokens.weight"] == 0.01
    assert found["pos_embed"] == found["block.0.weight"] == 0.02
    assert found["scale"] == found["block.1.bias"] == math.inf
    optimizer = RelativisticAdamW(groups, speed_limit=0.5, telemetry=True)
    assert [g["param_names"] for g in optimizer.param_groups] == names(groups)
    for group in optimizer.param_groups:
        for param in group["params"]:
            param.grad = torch.ones_like(param)
    optimizer.step()
    report = optimizer.speed_report()
    assert set(report.tensors) == set(found)
    assert report.tensors["scale"].ratio == 0


def test_a_kind_without_a_limit_keeps_the_optimizers() -> None:
    groups = param_groups(Net(), weight_decay=0.1, speed_limits={"matrix": 0.02})
    optimizer = RelativisticAdamW(groups, speed_limit=0.5)
    limits = {
        name: group["speed_limit"]
        for group in optimizer.param_groups
        for name in group["param_names"]
    }
    assert limits["block.0.weight"] == 0.02
    assert limits["tokens.weight"] == limits["scale"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight_decay": -1}, "weight_decay=-1: expected a finite number >= 0"),
        ({"no_decay": "bias"}, "no_decay='bias': expected a collection of words"),
        ({"no_decay": [1]}, r"no_decay=\[1\]: expected a collection of words"),
        ({"speed_limits": {"bias": 0.1}}, "a key of speed_limits='bias': expected one of"),
        ({"speed_limits": {"matrix": 0}}, r"speed_limits\['matrix'\]=0: expected a number > 0"),
        ({"model": [torch.zeros(1)]}, r"model=list: expected a torch\.nn\.Module"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    given = {"model": Net(), "weight_decay": 0.1, **arguments}
    with pytest.raises(ValueError, match=message):
        param_groups(given.pop("model"), **given)
