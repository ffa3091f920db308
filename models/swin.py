"""Swin Transformer: attention within windows that move from block to block; four feature maps.

Z. Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV
2021, arXiv 2103.14030. Images of n pixels become tokens of 4 x 4 pixels; four stages give maps of
n / 4, n / 8, n / 16 and n / 32 with widths of 1, 2, 4, 8 times the first one.

Swin-B has 87,768,224 parameters as a classifier. The feature maps need neither its last norm
(2,048) nor its head for the 1000 classes of ImageNet (1,025,000): 86,741,176 are here.

Weights of ImageNet come from a file, torchvision's or timm's (:meth:`Swin.load`). Stochastic
depth is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .pretrained import put_weights, read_weights

if TYPE_CHECKING:
    from pathlib import Path

WINDOW = 7
HEAD = 32
"""Width of one head of attention in every Swin."""


@dataclass(frozen=True)
class SwinSize:
    """How large a Swin is.

    Attributes
    ----------
    width
        Of the first stage, a multiple of 32.
    depths
        Blocks in each stage.
    """

    width: int
    depths: tuple[int, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the feature maps."""
        return tuple(self.width * 2**stage for stage in range(len(self.depths)))


SIZES = {
    "base": SwinSize(128, (2, 2, 18, 2)),
    "tiny": SwinSize(96, (2, 2, 6, 2)),
    "mini": SwinSize(32, (2, 2, 2, 2)),
}
"""Swin-B and Swin-T of the paper, and one of our own that a CPU can train."""


class WindowAttention(nn.Module):
    """Attention within windows of 7 x 7 tokens.

    Maps that are no multiple of 7 are padded with zeros at the right and the bottom. In every
    other block the windows are moved by three tokens, around the edges, except along a side that
    is one window only; tokens of opposite edges do not see each other.

    Parameters
    ----------
    width
        Channels.
    shift
        0 or 3 tokens.
    """

    pairs: Tensor

    def __init__(self, width: int, shift: int) -> None:
        super().__init__()
        self.heads, self.shift = width // HEAD, shift
        self.ways = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.empty((2 * WINDOW - 1) ** 2, self.heads))
        nn.init.trunc_normal_(self.bias, std=0.02)
        # the row of `bias` for each pair of tokens, from the offset between them
        at = torch.stack(torch.meshgrid(*[torch.arange(WINDOW)] * 2, indexing="ij")).flatten(1)
        apart = at[:, :, None] - at[:, None] + WINDOW - 1
        pairs = (2 * WINDOW - 1) * apart[0] + apart[1]
        self.register_buffer("pairs", pairs, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, h, w, width) to the same."""
        batch, h, w, width = x.shape
        x = F.pad(x, (0, 0, 0, -w % WINDOW, 0, -h % WINDOW))
        rows, cols = x.shape[1:3]
        shift = [0 if side <= WINDOW else self.shift for side in (rows, cols)]
        x = x.roll((-shift[0], -shift[1]), (1, 2))
        ways = self.ways(_windows(x)).unflatten(-1, (3, self.heads, HEAD))
        query, key, value = ways.permute(2, 0, 3, 1, 4)  # (windows, heads, 49, 32) each
        bias = self.bias[self.pairs].permute(2, 0, 1)[None]  # (1, heads, 49, 49)
        if any(shift):
            bias = bias + self._apart(rows, cols, shift, x.device).repeat(batch, 1, 1)[:, None]
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        tokens = self.out(seen.transpose(1, 2).flatten(2))
        tokens = tokens.view(batch, rows // WINDOW, cols // WINDOW, WINDOW, WINDOW, width)
        x = tokens.transpose(2, 3).reshape(batch, rows, cols, width)
        return x.roll((shift[0], shift[1]), (1, 2))[:, :h, :w]

    @staticmethod
    def _apart(rows: int, cols: int, shift: list[int], device: torch.device) -> Tensor:
        """-100 for pairs from different sides of an edge, 0 for others: (windows, 49, 49)."""
        region = torch.zeros(rows, cols, device=device)
        for side, (length, move) in enumerate(zip((rows, cols), shift, strict=True)):
            if move:
                place = torch.arange(length, device=device)
                zone = (place >= length - WINDOW).float() + (place >= length - move).float()
                region += zone[:, None] * 3 if side == 0 else zone[None]
        region = _windows(region[None, :, :, None])[..., 0]
        return -100.0 * (region[:, None] != region[:, :, None]).float()


def _windows(x: Tensor) -> Tensor:
    """From (B, h, w, c) to (B windows, 49, c), windows in rows."""
    batch, h, w, width = x.shape
    x = x.view(batch, h // WINDOW, WINDOW, w // WINDOW, WINDOW, width)
    return x.transpose(2, 3).reshape(-1, WINDOW**2, width)


class Block(nn.Module):
    """Attention, then two layers for each token, each behind a norm and beside a straight way."""

    def __init__(self, width: int, shift: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = WindowAttention(width, shift)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """From (B, h, w, width) to the same."""
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Merge(nn.Module):
    """Four tokens become one of twice the width; an odd side is padded with zeros."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduce = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, h, w, width) to (B, h / 2, w / 2, 2 width)."""
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        four = [x[:, row::2, col::2] for col in (0, 1) for row in (0, 1)]
        return self.reduce(self.norm(torch.cat(four, -1)))


class Swin(nn.Module):
    """The four feature maps of a Swin.

    Parameters
    ----------
    size
        One of :data:`SIZES`.
    """

    def __init__(self, size: SwinSize) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, size.width, 4, stride=4)
        self.norm = nn.LayerNorm(size.width)
        self.stages, self.merges = nn.ModuleList(), nn.ModuleList()
        for stage, (width, depth) in enumerate(zip(size.widths, size.depths, strict=True)):
            if stage > 0:
                self.merges.append(Merge(width // 2))
            shifts = [WINDOW // 2 * (block % 2) for block in range(depth)]
            self.stages.append(nn.Sequential(*[Block(width, shift) for shift in shifts]))
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> list[Tensor]:
        """From images (B, 3, n, n) to maps (B, width 2^k, n / 2^(k + 2), n / 2^(k + 2))."""
        x = self.norm(self.patches(x).permute(0, 2, 3, 1))
        maps = []
        for stage, blocks in enumerate(self.stages):
            if stage > 0:
                x = self.merges[stage - 1](x)
            x = blocks(x)
            maps.append(x.permute(0, 3, 1, 2))
        return maps

    def load(self, path: str | Path) -> None:
        """Take the weights of a file.

        Parameters
        ----------
        path
            A state dict of torchvision's ``swin_b`` or ``swin_t``, or of timm's
            ``swin_base_patch4_window7_224`` and the like, old or new.

        Raises
        ------
        InputError
            There is no such file, or it is that of another network.
        """
        put_weights(self, renamed(read_weights(path)), where=path)


_TORCHVISION = (
    (r"features\.0\.0\.", "patches."),
    (r"features\.0\.2\.", "norm."),
    (r"features\.([1357])\.(\d+)\.", lambda m: f"stages.{int(m[1]) // 2}.{m[2]}."),
    (r"features\.([246])\.", lambda m: f"merges.{int(m[1]) // 2 - 1}."),
    (r"mlp\.3\.", "mlp.2."),
)
_TIMM = (
    (r"patch_embed\.proj\.", "patches."),
    (r"patch_embed\.norm\.", "norm."),
    (r"layers\.(\d)\.blocks\.(\d+)\.", r"stages.\1.\2."),
    (r"mlp\.fc1\.", "mlp.0."),
    (r"mlp\.fc2\.", "mlp.2."),
)
_BOTH = (
    (r"\.attn\.qkv\.", ".attention.ways."),
    (r"\.attn\.proj\.", ".attention.out."),
    (r"\.attn\.relative_position_bias_table$", ".attention.bias"),
    (r"\.reduction\.", ".reduce."),
)


def renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of torchvision's or timm's Swin by the names that they have here; others dropped."""
    timm = any(name.startswith("patch_embed.") for name in weights)
    # timm had the merging at the end of a stage, and has it at the beginning of the next one now
    late = "layers.0.downsample.reduction.weight" in weights
    names = {}
    for name in weights:
        new = name
        for pattern, replacement in (*(_TIMM if timm else _TORCHVISION), *_BOTH):
            new = re.sub(pattern, replacement, new)
        merge = re.match(r"layers\.(\d)\.downsample\.", new)
        if merge:
            new = f"merges.{int(merge[1]) - (not late)}.{new[merge.end() :]}"
        names[name] = new
    ours = ("patches.", "norm.", "stages.", "merges.")
    return {
        new: weights[name]
        for name, new in names.items()
        if new.startswith(ours) and not (name == new and new.startswith("norm."))
    }
