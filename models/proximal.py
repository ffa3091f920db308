"""RadioDUN's proximal mapping: a small U-Net of convolutions and channel attention.

Figures 3 and 4, eq. 17 and 18 of the paper (:mod:`.radiodun`). A stage is two convolutions beside
channel self-attention, a feed-forward with four times the width, a convolution.

The paper gives no sizes. Its table VI does: 40.44 - 26.84 = 13.6 GFLOP for one more block leave
5.2 G multiplications for the 4,788,353 weights of its proximal mapping, so that widths 32, 64,
128 and 256 must be at a half, a 4th, an 8th and a 16th of the map's size. Which kernels and biases
there are was chosen to meet the weights exactly and the multiplications to 2 %. Shortcuts around
the whole and within the stages are ours, and so is the scale of the attention (none is given).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .channel_attention import ChannelAttention, ChannelNorm, FeedForward

SLOPE = 0.1
"""Of every LeakyReLU below 0."""


def convolutions(inputs: int, inner: int, outputs: int) -> nn.Sequential:
    """Two 3 x 3 convolutions with a LeakyReLU between them, which keep the variance at first.

    Sixteen of them follow each other without shortcut in three blocks of RadioDUN. With torch's
    own initial weights the map's slope by its inputs would be 1e-5, and training stand still.
    """
    first, last = (
        nn.Conv2d(width, wider, 3, padding=1)
        for width, wider in ((inputs, inner), (inner, outputs))
    )
    for conv, slope in ((first, SLOPE), (last, 1.0)):
        nn.init.kaiming_normal_(conv.weight, slope)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
    return nn.Sequential(first, nn.LeakyReLU(SLOPE), last)


class Stage(nn.Module):
    """Convolutions beside channel attention, then a feed-forward and a convolution (figure 4).

    Parameters
    ----------
    width
        Channels; a quarter as many heads.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.local = convolutions(width, width, width)
        self.norm = ChannelNorm(width)
        self.attention = ChannelAttention(width, width // 4)
        self.feed_forward = nn.Sequential(ChannelNorm(width), FeedForward(width))
        self.last = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, width, n, n) to the same shape."""
        normed = self.norm(x)
        x = x + self.local(x) + self.attention(normed, normed)
        x = x + self.feed_forward(x)
        return x + self.last(x)


def raised(width: int, outputs: int) -> nn.Sequential:
    """From (B, width, n, n) to (B, outputs, 2 n, 2 n): pixelwise, then channels become pixels."""
    return nn.Sequential(nn.Conv2d(width, 4 * outputs, 1), nn.PixelShuffle(2))


class ProximalMapping(nn.Module):
    """Adds to a rough map what a U-Net at a half to a 16th of its size says."""

    widths = (32, 64, 128, 256)

    def __init__(self) -> None:
        super().__init__()
        *fine, coarsest = self.widths
        self.first = nn.Conv2d(1, fine[0], 3, stride=2, padding=1)
        self.encode = nn.ModuleList(Stage(width) for width in fine)
        self.down = nn.ModuleList(
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False) for width in fine
        )
        self.middle = Stage(coarsest)
        self.up = nn.ModuleList(raised(2 * width, width) for width in reversed(fine))
        self.fuse = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for width in reversed(fine))
        self.decode = nn.ModuleList(Stage(width) for width in reversed(fine))
        self.last = nn.Sequential(raised(fine[0], fine[0]), nn.Conv2d(fine[0], 1, 3, padding=1))

    def forward(self, rough: Tensor) -> Tensor:
        """From (B, 1, n, n) to the same shape; n is a multiple of 16."""
        x = self.first(rough)
        levels = []
        for encode, down in zip(self.encode, self.down, strict=True):
            levels.append(encode(x))
            x = down(levels[-1])
        x = self.middle(x)
        for up, fuse, decode in zip(self.up, self.fuse, self.decode, strict=True):
            x = decode(fuse(torch.cat([up(x), levels.pop()], 1)))
        return rough + self.last(x)
