"""Transformers that predict the next symbol."""

import math

import torch
from torch import Tensor, nn


class Gpt(nn.Module):
    """A causal transformer with learned positions.

    Embeddings ~ N(0, 1), weights ~ N(0, 1/fan-in), of which those that write to the residual
    stream are divided by √(2·layers), as in GPT-2 (A. Radford et al., Language Models are
    Unsupervised Multitask Learners, 2019, section 2.3). The post-LN form, whose norms come after
    the sums, has large gradients near its outputs at the start and bears only small learning rates
    there (R. Xiong et al., On Layer Normalization in the Transformer Architecture, ICML 2020).
    """

    def __init__(
        self,
        vocabulary: int,
        window: int,
        width: int,
        layers: int,
        heads: int,
        *,
        pre_norm: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.symbols = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.empty(window, width))
        self.blocks = nn.Sequential(*(Block(width, heads, pre_norm) for _ in range(layers)))
        self.norm = nn.LayerNorm(width, bias=False) if pre_norm else nn.Identity()
        self.head = nn.Linear(width, vocabulary, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 1:
                continue  # a norm's gain, 1
            std = 1.0 if name.startswith(("symbols", "positions")) else parameter.shape[1] ** -0.5
            if "write" in name:
                std /= math.sqrt(2 * layers)
            nn.init.normal_(parameter, std=std, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the next symbols, (samples, symbols, vocabulary)."""
        logits: Tensor = self.head(self.norm(self.blocks(self.symbols(x) + self.positions)))
        return logits


class Block(nn.Module):
    """Attention and a network of one hidden layer, each added to the stream."""

    def __init__(self, width: int, heads: int, pre_norm: bool) -> None:
        super().__init__()
        self.heads, self.pre_norm = heads, pre_norm
        self.attend = nn.Linear(width, 3 * width, bias=False)
        self.write_attended = nn.Linear(width, width, bias=False)
        self.think = nn.Linear(width, 4 * width, bias=False)
        self.write_thought = nn.Linear(4 * width, width, bias=False)
        self.norms = nn.ModuleList(nn.LayerNorm(width, bias=False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Return the stream after the block."""
        first, second = self.norms
        if self.pre_norm:
            x = x + self._attended(first(x))
            return x + self._thought(second(x))
        x = first(x + self._attended(x))
        return second(x + self._thought(x))  # type: ignore[no-any-return]

    def _attended(self, x: Tensor) -> Tensor:
        samples, symbols, width = x.shape
        parts = self.attend(x).view(samples, symbols, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        written: Tensor = self.write_attended(mixed.transpose(1, 2).reshape(x.shape))
        return written

    def _thought(self, x: Tensor) -> Tensor:
        thought: Tensor = self.write_thought(nn.functional.relu(self.think(x)))
        return thought
