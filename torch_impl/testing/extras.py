"""What only the extra ``testing`` brings."""

from importlib.util import find_spec


def need(module: str) -> None:
    """Raise ImportError, saying what to install, unless a module is there."""
    if find_spec(module) is None:
        raise ImportError(
            f"{__package__} needs {module}, which is not installed: "
            "pip install 'subluminal[testing]'",
            name=module,
        )
