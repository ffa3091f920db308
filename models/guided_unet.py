"""The U-Net of guided diffusion, which predicts noise from a noisy map and a time.

P. Dhariwal, A. Nichol, "Diffusion Models Beat GANs on Image Synthesis", NeurIPS 2021, with the
time of A. Nichol, P. Dhariwal, "Improved Denoising Diffusion Probabilistic Models", ICML 2021,
as scale and shift after the second norm of every residual block. Written after the papers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 32


class GuidedUNet(nn.Module):
    """Residual blocks at several sizes, each half of the one before, and back up.

    Parameters
    ----------
    inputs
        Channels of the input.
    width
        Channels at full size, a multiple of 32.
    multipliers
        Of the width at each size.
    blocks
        Residual blocks for each size on the way down; one more on the way up.
    attention
        At which sizes there is attention, 0 being full size; always in the middle.
    heads
        Of the attention.
    """

    def __init__(
        self,
        inputs: int,
        *,
        width: int,
        multipliers: tuple[int, ...],
        blocks: int = 2,
        attention: tuple[int, ...] = (),
        heads: int = 4,
    ) -> None:
        super().__init__()
        self.width = width
        times = 4 * width
        self.time = nn.Sequential(nn.Linear(width, times), nn.SiLU(), nn.Linear(times, times))
        self.first = nn.Conv2d(inputs, width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        channels, skips = width, [width]
        for level, multiplier in enumerate(multipliers):
            if level:
                self.down.append(nn.Conv2d(channels, channels, 3, 2, padding=1))
                skips.append(channels)
            for _ in range(blocks):
                here = heads if level in attention else 0
                self.down.append(Block(channels, width * multiplier, times, heads=here))
                channels = width * multiplier
                skips.append(channels)
        self.middle = nn.ModuleList(
            [Block(channels, channels, times, heads=heads), Block(channels, channels, times)]
        )
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for _ in range(blocks + 1):
                here = heads if level in attention else 0
                wide = channels + skips.pop()
                self.up.append(Block(wide, width * multiplier, times, heads=here))
                channels = width * multiplier
            if level:
                conv = nn.Conv2d(channels, channels, 3, padding=1)
                self.up.append(nn.Sequential(nn.Upsample(scale_factor=2), conv))
        self.last = nn.Sequential(
            nn.GroupNorm(GROUPS, channels), nn.SiLU(), zeroed(nn.Conv2d(channels, 1, 3, padding=1))
        )

    def forward(self, x: Tensor, t: Tensor, gate: Tensor | None = None) -> Tensor:
        """From (B, inputs, n, n), times (B,) and factors (B, 1, n, n) to noise (B, 1, n, n).

        The factors are multiplied onto the first layer.
        """
        time = self.time(sinusoids(t, self.width))
        hidden = self.first(x)
        if gate is not None:
            hidden = hidden * gate
        skips = [hidden]
        for step in self.down:
            hidden = step(hidden, time) if isinstance(step, Block) else step(hidden)
            skips.append(hidden)
        for step in self.middle:
            hidden = step(hidden, time)
        for step in self.up:
            if isinstance(step, Block):
                hidden = step(torch.cat([hidden, skips.pop()], 1), time)
            else:
                hidden = step(hidden)
        return self.last(hidden)


class Block(nn.Module):
    """A residual block that knows the time, then attention if it has heads."""

    def __init__(self, inputs: int, outputs: int, times: int, *, heads: int = 0) -> None:
        super().__init__()
        self.before = nn.Sequential(
            nn.GroupNorm(GROUPS, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1)
        )
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(times, 2 * outputs))
        self.norm = nn.GroupNorm(GROUPS, outputs)
        self.after = nn.Sequential(nn.SiLU(), zeroed(nn.Conv2d(outputs, outputs, 3, padding=1)))
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.attention = Attention(outputs, heads) if heads else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """From (B, inputs, n, n) and (B, times) to (B, outputs, n, n)."""
        scale, shift = self.time(time)[:, :, None, None].chunk(2, 1)
        hidden = self.norm(self.before(x)) * (1 + scale) + shift
        return self.attention(self.skip(x) + self.after(hidden))


class Attention(nn.Module):
    """Self-attention among all pixels, added to its input."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.project = nn.Conv2d(channels, 3 * channels, 1)
        self.last = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, n, n) to the same."""
        query, key, value = (
            part.unflatten(1, (self.heads, -1)).flatten(3).transpose(2, 3)
            for part in self.project(self.norm(x)).chunk(3, 1)
        )
        found = F.scaled_dot_product_attention(query, key, value)  # (B, heads, n * n, C / heads)
        return x + self.last(found.transpose(2, 3).reshape(x.shape))


def sinusoids(t: Tensor, width: int) -> Tensor:
    """Cosines and sines of times at `width` / 2 frequencies from 1 to nearly 1e-4, (B, width)."""
    half = width // 2
    rate = torch.exp(torch.arange(half, device=t.device) * (-math.log(10_000.0) / half))
    angle = t.float()[:, None] * rate
    return torch.cat([angle.cos(), angle.sin()], 1)


def zeroed(conv: nn.Conv2d) -> nn.Conv2d:
    """Make a convolution start as 0, so that a residual block starts as nothing."""
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
