"""The API reference: a page for each public module, of what its ``__all__`` names."""

import inspect
import sys
from collections.abc import Mapping
from types import ModuleType

from sphinx.pycode import ModuleAnalyzer

import reference
import torch_impl
from torch_impl import callbacks, invariants, keras, testing
from torch_impl.testing import pytest as testing_pytest

from .docstrings import adapted

MODULES: Mapping[str, ModuleType] = {
    "subluminal": torch_impl,
    "subluminal.callbacks": callbacks,
    "subluminal.invariants": invariants,
    "subluminal.keras": keras,
    "subluminal.reference": reference,
    "subluminal.testing": testing,
    "subluminal.testing.pytest": testing_pytest,
}
"""The public modules by the names under which they are installed."""

USED = "import numpy as np; from torch import nn"
"""What examples in docstrings use beside their own module."""


def page(name: str) -> str:
    """Return the page of a public module, in Markdown.

    Parameters
    ----------
    name
        Key of `MODULES`.
    """
    module = MODULES[name]
    summary = (inspect.getdoc(module) or "").strip()
    members = "\n".join(_directive(module, member) for member in public(module))
    return (
        f"# {name}\n\n```{{eval-rst}}\n.. py:module:: {name}\n\n.. currentmodule:: {name}\n\n"
        f".. testsetup::\n\n   {USED}\n   from {name} import *\n\n"
        f"{adapted(summary)}\n\n{members}\n```\n"
    )


def public(module: ModuleType) -> list[str]:
    """Return the names that a module offers, without the modules among them."""
    names: list[str] = getattr(module, "__all__", None) or [
        name
        for name, item in vars(module).items()
        if not name.startswith("_") and getattr(item, "__module__", "") == module.__name__
    ]
    return [name for name in names if not inspect.ismodule(getattr(module, name))]


def _directive(module: ModuleType, member: str) -> str:
    item = getattr(module, member)
    if inspect.isclass(item):
        kind = "autoexception" if issubclass(item, BaseException) else "autoclass"
        return f".. {kind}:: {member}\n   :members:\n"
    if inspect.isfunction(item):
        return f".. autofunction:: {member}\n"
    meaning = "\n\n".join(f"   {line}" for line in documented(module, member))
    return f".. py:data:: {member}\n\n{adapted(meaning)}\n"


def documented(module: ModuleType, member: str) -> list[str]:
    """Return the text beneath a constant, where it is defined.

    Raises
    ------
    ValueError
        If it has none.
    """
    value = getattr(module, member)
    for inner, defining in sorted(sys.modules.items()):
        if not inner.startswith(module.__name__) or getattr(defining, member, None) is not value:
            continue
        texts = ModuleAnalyzer.for_module(inner).find_attr_docs()
        if ("", member) in texts:
            return [line for line in texts["", member] if line]
    raise ValueError(f"{member} of {module.__name__} has no text: expected one beneath it")
