"""The network of RadioDiff's diffusion: a U-Net with two decoders, and a Swin that sees the city.

X. Wang et al., "RadioDiff", arXiv 2408.08593, section IV. From noisy latents, time, and the city
(buildings, transmitter, vehicles) it tells the drift C and the noise.

- The feature maps of a Swin, projected, enter with the latents and at every level by a relation
  net, attention between city and latents (equations 17 to 19).
- Every level has two residual blocks, which time scales and shifts, and linear attention.
- Behind the middle each decoder has a head with the adaptive frequency filter (AFT, equations 22
  and 23): a learnt complex weight for each frequency and channel.

Parameters with width 128 and Swin-B for 256 pixels: 223,842,448, which is 224,869,496 less the
unused last norm and head of Swin (1,027,048).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtools.errors import RecipeError

from .swin import Swin

if TYPE_CHECKING:
    from .swin import SwinSize

GROUPS = 8
HEADS, HEAD = 4, 32
"""Heads of attention within a level, and the width of each."""
REDUCTION = 32
"""How much smaller than the map the middle of the U-Net is: 4 in latents, 8 in levels."""


class StandardConv(nn.Conv2d):
    """A convolution whose weights have mean 0 and variance 1 for each output channel."""

    def forward(self, x: Tensor) -> Tensor:
        """From (B, inputs, h, w) to (B, outputs, h, w)."""
        variance, mean = torch.var_mean(self.weight, (1, 2, 3), correction=0, keepdim=True)
        weight = (self.weight - mean) * (variance + 1e-5).rsqrt()
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class ResBlock(nn.Module):
    """Two convolutions, time scaling and shifting between them, beside a straight way."""

    def __init__(self, inputs: int, outputs: int, time: int) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(time, 2 * outputs))
        self.conv1 = StandardConv(inputs, outputs, 3, padding=1)
        self.norm1 = nn.GroupNorm(GROUPS, outputs)
        self.conv2 = StandardConv(outputs, outputs, 3, padding=1)
        self.norm2 = nn.GroupNorm(GROUPS, outputs)
        self.straight = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """From (B, inputs, h, w) and (B, time) to (B, outputs, h, w)."""
        scale, shift = self.time(time)[:, :, None, None].chunk(2, 1)
        hidden = F.silu(self.norm1(self.conv1(x)) * (1 + scale) + shift)
        return self.straight(x) + F.silu(self.norm2(self.conv2(hidden)))


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel, without a bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """From (B, width, h, w) to the same."""
        variance, mean = torch.var_mean(x.float(), 1, correction=0, keepdim=True)
        return (x - mean) * (variance + 1e-5).rsqrt() * self.scale


class LinearAttention(nn.Module):
    """Attention in time proportional to the pixels: keys and values are summed up first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.ways = nn.Conv2d(width, 3 * HEADS * HEAD, 1, bias=False)
        self.out = nn.Sequential(nn.Conv2d(HEADS * HEAD, width, 1), ChannelNorm(width))

    def forward(self, x: Tensor) -> Tensor:
        """From (B, width, h, w) to the same."""
        ways = self.ways(self.norm(x)).float().unflatten(1, (3, HEADS, HEAD)).flatten(4)
        query, key, value = ways.unbind(1)  # (B, heads, 32, h w) each
        with torch.autocast(x.device.type, enabled=False):
            summed = key.softmax(-1) @ value.transpose(-1, -2)  # (B, heads, 32, 32)
            seen = summed.transpose(-1, -2) @ query.softmax(-2) / HEAD**0.5
        return x + self.out(seen.flatten(1, 2).unflatten(-1, x.shape[-2:]))


class Attention(nn.Module):
    """Every pixel looks at every other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.ways = nn.Conv2d(width, 3 * HEADS * HEAD, 1, bias=False)
        self.out = nn.Conv2d(HEADS * HEAD, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, width, h, w) to the same."""
        ways = self.ways(self.norm(x)).unflatten(1, (3, HEADS, HEAD)).flatten(4)
        query, key, value = ways.transpose(-1, -2).unbind(1)  # (B, heads, h w, 32) each
        seen = F.scaled_dot_product_attention(query, key, value)
        return x + self.out(seen.transpose(-1, -2).reshape(len(x), -1, *x.shape[-2:]))


class RelationNet(nn.Module):
    """Attention between city and latents, both averaged over windows (equations 17 to 19).

    Queries are of the city, keys and values of the latents (in the paper's equations it is the
    other way round; here as released). What is seen is added to a mixture of both at full size.

    Parameters
    ----------
    city, width
        Channels of the city's features, and of the latents'.
    window
        Side of the windows.
    """

    heads = 8

    def __init__(self, city: int, width: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.city = nn.Sequential(nn.Conv2d(city, width, 1), nn.BatchNorm2d(width))
        self.latents = nn.Sequential(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width))
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.mix = nn.Sequential(nn.Conv2d(2 * width, width, 1), nn.GroupNorm(GROUPS, width))
        self.mlp = nn.Sequential(
            nn.Conv2d(width, 2 * width, 1), nn.GELU(), nn.Conv2d(2 * width, width, 1)
        )
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, city: Tensor, latents: Tensor) -> Tensor:
        """From (B, city, h, w) and (B, width, h, w) to (B, width, h, w)."""
        city, latents = self.city(city), self.latents(latents)
        tokens = [F.avg_pool2d(x, self.window) for x in (city, latents)]
        place = positions(*tokens[0].shape[1:], device=latents.device)
        asked, known = (x.flatten(2).transpose(1, 2) for x in tokens)  # (B, tokens, width)
        ways = (self.query(asked + place), self.key(known + place), self.value(known))
        query, key, value = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in ways)
        seen = F.scaled_dot_product_attention(query, key, value).transpose(-1, -2)
        seen = seen.reshape(tokens[0].shape)
        wide = F.interpolate(seen, scale_factor=float(self.window))
        mixed = self.mix(torch.cat([city, latents], 1)) + wide
        return self.out(mixed + self.mlp(mixed))


def positions(width: int, h: int, w: int, *, device: torch.device) -> Tensor:
    """Sines and cosines of row and column at falling frequencies, shape (h w, width)."""
    rates = 10_000.0 ** -(torch.arange(0, width, 4, device=device) / width)
    row, col = (torch.arange(n, device=device)[:, None] * rates for n in (h, w))
    row, col = row[:, None].expand(-1, w, -1), col[None].expand(h, -1, -1)
    return torch.cat([row.sin(), row.cos(), col.sin(), col.cos()], -1).flatten(0, 1)


class FrequencyFilter(nn.Module):
    """Weighs each frequency of each channel (AFT, the second term of equation 22).

    Parameters
    ----------
    width, side
        Channels, and pixels of a side of the feature maps.
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(width, side, side // 2 + 1, 2))

    def forward(self, x: Tensor) -> Tensor:
        """From (B, width, side, side) to the same, in float32."""
        with torch.autocast(x.device.type, enabled=False):
            waves = torch.fft.rfft2(x.float(), norm="ortho")
            waves = waves * torch.view_as_complex(self.weight.float())
            return torch.fft.irfft2(waves, s=x.shape[-2:], norm="ortho")


class TimeFeatures(nn.Module):
    """Sines and cosines of log(t) / 4 at random frequencies, through two layers."""

    def __init__(self, width: int, outputs: int, *, scale: float = 16.0) -> None:
        super().__init__()
        # drawn once and never trained, but counted among the parameters, as in the paper's code
        self.rates = nn.Parameter(scale * torch.randn(width // 2), requires_grad=False)
        self.layers = nn.Sequential(
            nn.Linear(width, outputs), nn.GELU(), nn.Linear(outputs, outputs)
        )

    def forward(self, time: Tensor) -> Tensor:
        """From (B,) to (B, outputs)."""
        angle = 2 * math.pi * (time.log() / 4)[:, None] * self.rates
        return self.layers(torch.cat([angle.sin(), angle.cos()], -1))


class Level(nn.Module):
    """One level of the way down or up: two blocks with a relation net between, attention.

    Parameters
    ----------
    width
        Channels.
    skip
        Channels that are concatenated before each block; 0 on the way down.
    city
        Channels of the city's features.
    level
        Which one, 0 the finest.
    time
        Width of the features of time.
    out
        What leads to the next level.
    """

    def __init__(
        self, width: int, *, skip: int, city: int, level: int, time: int, out: nn.Module
    ) -> None:
        super().__init__()
        self.block1 = ResBlock(width + skip, width, time)
        self.relation = RelationNet(city, width, window=8 >> level)  # 8, 4, 2, 1
        self.block2 = ResBlock(width + skip, width, time)
        self.attention = LinearAttention(width)
        self.out = out

    def forward(
        self, x: Tensor, city: Tensor, time: Tensor, *skips: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What goes on to the next level, and what the two halves of this one gave."""
        first = self.block1(torch.cat([x, *skips[:1]], 1), time)
        seen = self.relation(city, first)
        second = self.attention(self.block2(torch.cat([seen, *skips[1:]], 1), time))
        return self.out(second), first, second


class Decoder(nn.Module):
    """A head with the frequency filter, the way up, and the last layers.

    Parameters
    ----------
    widths
        Of the stem and of each level.
    channels
        Of the latents.
    time
        Width of the features of time.
    side
        Pixels of a side in the middle; None for no frequency filter.
    """

    def __init__(self, widths: list[int], channels: int, time: int, side: int | None) -> None:
        super().__init__()
        middle = widths[-1]
        self.head = nn.Sequential(
            nn.GroupNorm(GROUPS, middle), nn.Conv2d(middle, middle, 3, padding=1)
        )
        if side is not None:
            self.head.append(FrequencyFilter(middle, side))
        self.levels = nn.ModuleList()
        for k in reversed(range(len(widths) - 1)):
            inner, outer = widths[k + 1], widths[k]
            bigger = [nn.Upsample(scale_factor=2.0)] if k > 0 else []
            self.levels.append(
                Level(
                    inner,
                    skip=outer,
                    city=outer,
                    level=k,
                    time=time,
                    out=nn.Sequential(*bigger, nn.Conv2d(inner, outer, 3, padding=1)),
                )
            )
        self.block = ResBlock(2 * widths[0], widths[0], time)
        self.last = nn.Conv2d(widths[0] + channels, channels, 1)

    def forward(
        self, x: Tensor, skips: list[Tensor], city: list[Tensor], time: Tensor, noisy: Tensor
    ) -> Tensor:
        """From the middle (B, widths[-1], h / 8, w / 8) to (B, channels, h, w).

        Parameters
        ----------
        x
            The middle.
        skips
            What the encoder gave on its way, the stem's first, two of each level.
        city, time, noisy
            Features of the city and of time, and the latents.
        """
        skips = list(skips)
        x = x + self.head(x)
        for level, seen in zip(self.levels, reversed(city), strict=True):
            x, _, _ = level(x, seen, time, skips.pop(), skips.pop())
        x = self.block(torch.cat([x, skips.pop()], 1), time)
        return self.last(torch.cat([x, noisy.to(x.dtype)], 1))


class DiffusionUNet(nn.Module):
    """The whole network; its outputs are F_1 and F_2 of :mod:`.decoupled_diffusion`.

    Parameters
    ----------
    channels
        Of the latents.
    width
        Of the first level; those of the others are 1, 2, 4, 4 times as much.
    swin
        Size of the Swin.
    size
        Pixels of a side of the maps.
    aft
        Whether there is a frequency filter; without it the sizes of maps are free.
    """

    def __init__(
        self, channels: int, *, width: int, swin: SwinSize, size: int, aft: bool = True
    ) -> None:
        super().__init__()
        time = 4 * width
        widths = [width, width, 2 * width, 4 * width, 4 * width]
        self.size = size if aft else None
        self.swin = Swin(swin)
        self.project = nn.ModuleList(
            nn.Conv2d(seen, own, 1) for seen, own in zip(swin.widths, widths[:-1], strict=True)
        )
        self.time = TimeFeatures(width, time)
        self.stem = nn.Sequential(
            nn.Conv2d(channels + width, width, 7, padding=3), nn.GroupNorm(GROUPS, width)
        )
        self.levels = nn.ModuleList()
        for k, (outer, inner) in enumerate(pairwise(widths)):
            half = k < len(widths) - 2
            out = nn.Conv2d(outer, inner, 4, 2, 1) if half else nn.Conv2d(outer, inner, 3, 1, 1)
            self.levels.append(Level(outer, skip=0, city=outer, level=k, time=time, out=out))
        self.block1 = ResBlock(widths[-1], widths[-1], time)
        self.attention = Attention(widths[-1])
        self.block2 = ResBlock(widths[-1], widths[-1], time)
        side = size // REDUCTION if aft else None
        self.drift = Decoder(widths, channels, time, side)
        self.noise = Decoder(widths, channels, time, side)

    def look(self, city: Tensor) -> list[Tensor]:
        """Features of the city, once for all steps of sampling.

        Parameters
        ----------
        city
            Buildings, transmitter, vehicles from -1 to 1, shape (B, 3, n, n).

        Returns
        -------
        list[Tensor]
            Four maps of shape (B, widths[k], n / 2^(k + 2), n / 2^(k + 2)).

        Raises
        ------
        RecipeError
            The size is none that the network can take.
        """
        rows, cols = city.shape[-2:]
        if self.size is not None and (rows, cols) != (self.size, self.size):
            raise RecipeError(
                f"this network is for maps of {self.size} pixels, not of {rows} x {cols}: its "
                "frequency filter has a weight for each frequency.",
                remedy=f"Build it with size={rows}, or with aft=False for any size.",
            )
        check_size(rows)
        maps = zip(self.project, self.swin(city), strict=True)
        return [project(seen) for project, seen in maps]

    def forward(self, noisy: Tensor, time: Tensor, city: list[Tensor]) -> tuple[Tensor, Tensor]:
        """F_1 and F_2, shape (B, channels, n / 4, n / 4).

        Parameters
        ----------
        noisy
            z_t, shape (B, channels, n / 4, n / 4).
        time
            t, shape (B,), above 0.
        city
            What :meth:`look` gave.
        """
        features = self.time(time)
        x = self.stem(torch.cat([noisy, city[0].to(noisy.dtype)], 1))
        skips = [x]
        for level, seen in zip(self.levels, city, strict=True):
            x, *halves = level(x, seen, features)
            skips += halves
        x = self.block2(self.attention(self.block1(x, features)), features)
        drift = self.drift(x, skips, city, features, noisy)
        return drift, self.noise(x, skips, city, features, noisy)


def check_size(size: int) -> None:
    """Raise RecipeError if maps of so many pixels a side do not fit.

    The U-Net halves three times latents of a quarter of the size.
    """
    if size % REDUCTION or size < REDUCTION:
        raise RecipeError(
            f"maps of {size} pixels a side cannot be halved five times.",
            remedy=f"Use a multiple of {REDUCTION}, such as 64, 128 or 256.",
        )
