"""Steps that leave the host free: in a CUDA device's steps nothing may wait for it."""

import contextlib
import warnings
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """Have torch raise RuntimeError where the host would wait for the device."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch does not see every operation that waits
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
