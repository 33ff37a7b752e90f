"""The sizes of the tensors of the models that are stepped."""

from collections.abc import Mapping, Sequence

Model = Sequence[int]
"""The entries of each tensor."""


def transformer(
    layers: int, width: int, vocabulary: int, context: int, *, own_head: bool = False
) -> Model:
    """Return the sizes of GPT-2's tensors: twelve a layer, two embeddings, one norm, the head."""
    d = width
    norm, attention = (d, d), (3 * d * d, 3 * d, d * d, d)
    mlp = (4 * d * d, 4 * d, 4 * d * d, d)
    head = [vocabulary * d] if own_head else []
    layer = (*norm, *attention, *norm, *mlp)
    return [vocabulary * d, context * d, *layer * layers, *norm, *head]


LARGE: Mapping[str, Mapping[str, Model]] = {
    "cpu": {
        "1 tensor of 16M": [16_000_000],
        "149 tensors, 31M": transformer(12, 448, 2048, 256, own_head=True),
    },
    "cuda": {
        "1 tensor of 1B": [1_000_000_000],
        "GPT-2 medium, 292 tensors, 355M": transformer(24, 1024, 50257, 1024),
    },
}
"""Larger than any cache, by device."""

SMALL: Mapping[str, Model] = {
    "64 tensors of 131,072": [131_072] * 64,
    "1,000 tensors of 100": [100] * 1000,
}

MEDIUM: Mapping[str, Model] = {
    "1 tensor of 4M": [4_000_000],
    "48 tensors, 7M": [590_000, 770, 2_400, 590_000, 2_400, 770] * 6 + [400, 770] * 6,
    "200 tensors of 100": [100] * 200,
}

EQUAL: Mapping[str, Model] = {
    f"{2**23 // n:,} of {n:,}": [n] * (2**23 // n) for n in (2**14, 2**16, 2**17, 2**18, 2**20)
}
"""As many entries in all, in tensors of one size each."""

FEW: Mapping[str, Model] = {
    f"16 of {n // 16:,}": [n // 16] * 16 for n in (2**16, 2**18, 2**20, 2**22)
}
"""About as many entries in all as a step needs before threads are worth starting."""

LINE: Mapping[str, Mapping[str, Model]] = {
    device: {f"{n:,}": [n] for n in sizes}
    for device, sizes in (
        ("cpu", (10**5, 3 * 10**5, 10**6, 3 * 10**6, 10**7, 3 * 10**7, 10**8, 25 * 10**7)),
        ("cuda", (10**5, 10**6, 10**7, 3 * 10**7, 10**8, 3 * 10**8, 10**9)),
    )
}
"""One tensor, larger and larger, by device."""
