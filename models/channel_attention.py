"""Attention between channels instead of pixels, and the feed-forward behind it.

Used by RadioDUN's proximal modules and by OCTUF. The attention map is as large as the number of
channels of a head squared, so that its cost is linear in the number of pixels and no weight
depends on it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ChannelNorm(nn.Module):
    """Layer normalisation of every pixel over its channels.

    Parameters
    ----------
    width
        Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, n, m) to the same shape."""
        return self.norm(x.movedim(1, -1)).movedim(-1, 1)


class ChannelAttention(nn.Module):
    """Every channel of the query gathers the channels of the source that resemble it.

    ``softmax(t Q K^T) V`` with channels as tokens and pixels as their features. Rows of Q and K
    have unit length over the pixels, so that the scores are cosines: inner products over 65,536
    pixels would saturate the softmax, and mean something else at every size of map.

    Parameters
    ----------
    width
        Channels of query, source and result.
    heads
        Groups of channels that attend among themselves.
    temperature
        Whether there is a factor t for each head that is learned, 1 at first; it is 1 otherwise.
    """

    def __init__(self, width: int, heads: int, *, temperature: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1)) if temperature else None
        self.query, self.key, self.value = (
            nn.Sequential(
                nn.Conv2d(width, width, 1, bias=False),
                nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
            )
            for _ in range(3)
        )

    def forward(self, query: Tensor, source: Tensor) -> Tensor:
        """From twice (B, C, n, m) to (B, C, n, m); both are the same for self-attention."""
        tokens = (query.shape[0], self.heads, query.shape[1] // self.heads, -1)
        q = F.normalize(self.query(query).reshape(tokens), dim=-1)
        k = F.normalize(self.key(source).reshape(tokens), dim=-1)
        scores = q @ k.transpose(-1, -2)  # (B, heads, C / heads, C / heads)
        if self.temperature is not None:
            scores = scores * self.temperature
        found = scores.softmax(-1) @ self.value(source).reshape(tokens)
        return found.reshape(query.shape)


class FeedForward(nn.Sequential):
    """Pixelwise, depthwise 3 x 3, pixelwise, with `factor` times as many channels in between.

    Parameters
    ----------
    width
        Channels of input and output.
    factor
        As said.
    """

    def __init__(self, width: int, factor: int = 4) -> None:
        inner = factor * width
        super().__init__(
            nn.Conv2d(width, inner, 1),
            nn.GELU(),
            nn.Conv2d(inner, inner, 3, padding=1, groups=inner),
            nn.GELU(),
            nn.Conv2d(inner, width, 1),
        )
