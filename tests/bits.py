"""Numbers of a format by their bits, in torch and NumPy, and their comparison."""

from typing import Any

import ml_dtypes
import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]


def every_number(dtype: torch.dtype) -> Array:
    """All 65,536 numbers of a 16-bit format, ascending by their bits, NaNs included.

    Of binary32 those of every exponent with 4,096 random mantissas and signs each.
    """
    if dtype.itemsize == 2:
        in_numpy = {torch.float16: np.float16, torch.bfloat16: ml_dtypes.bfloat16}[dtype]
        return np.arange(2**16, dtype=np.uint16).view(in_numpy)
    exponents = np.repeat(np.arange(256, dtype=np.uint32), 4096)
    rng = np.random.default_rng(0)
    rest = rng.integers(0, 2**24, exponents.size, dtype=np.uint32)  # the mantissa and the sign
    bits = (rest >> 23 << 31) | (exponents << 23) | (rest & (2**23 - 1))
    return bits.astype(np.uint32).view(np.float32)


def finite(numbers: Array) -> Array:
    with np.errstate(invalid="ignore"):  # the payloads of NaNs
        return numbers[np.isfinite(numbers.astype(np.float64))]


def as_tensor(array: Array) -> torch.Tensor:
    """The array's numbers as a tensor of its own; NumPy has bfloat16 from ml_dtypes."""
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def as_array(tensor: torch.Tensor) -> Array:
    """The tensor's numbers in its own format."""
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def assert_same_bits(actual: Array, expected: Array) -> None:
    """Compare numbers by their bits, and NaN with NaN."""
    assert actual.dtype == expected.dtype
    with np.errstate(invalid="ignore"):  # the payloads of NaNs
        nans, expected_nans = (np.isnan(x.astype(np.float64)) for x in (actual, expected))
    np.testing.assert_array_equal(nans, expected_nans)
    there = ~nans
    bits = f"u{actual.itemsize}"
    np.testing.assert_array_equal(actual[there].view(bits), expected[there].view(bits))
