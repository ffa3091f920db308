"""UVM-Net: a U-Net with Mambas over pixels and over channels.

Z. Zheng, C. Wu, "U-shaped Vision Mamba for Single Image Dehazing", arXiv 2402.04139. RadioDiff
compares with it, trained as RadioUNet is, on buildings and transmitter (and vehicles).

A U-Net with 64, 128, 256, 512 and 1,024 channels: two 3 x 3 convolutions with batch norm and ReLU
at each scale, max-pooling down, transposed convolutions up. At the scale of 256 channels, a quarter
of the size, a UVM block precedes the way further down. It is a residual of convolutions, then three
Mambas (16 states): two through the pixels, row by row, one of them reversed; and one through the
channels, each of which is a vector of all its pixels. Their sum is added.

The last one ties the model to the size of the maps: d_model 4,096 at 256 pixels. Parameters with
two inputs: 138,410,113 at 256 pixels, of which the block has 107,373,056; 39,762,049 at 128 and
33,532,033 at 64. Vehicles add 576.

The published figures we follow are the widths, the three Mambas, d_model 4,096, L1 and AdamW 2e-4.
Where the block is, which ways its Mambas go and what normalises them is ours, and so is the count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtools.errors import RecipeError

from .interface import Phase, RadioModel, Turn
from .recipe import Optimiser, Recipe, Schedule
from .ssm import Mamba

if TYPE_CHECKING:
    from rmtools.layouts.conventions import Task

    from .interface import Batch, Losses


def twice(inputs: int, width: int) -> nn.Sequential:
    """Two 3 x 3 convolutions with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for channels in (inputs, width):
        conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)


class UVMBlock(nn.Module):
    """A residual of convolutions, then one of three Mambas; (B, width, side, side) to the same.

    Parameters
    ----------
    width
        Channels.
    side
        Pixels of a side.
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.convolutions = twice(width, width)
        self.pixel_norm, self.channel_norm = nn.LayerNorm(width), nn.LayerNorm(side**2)
        self.forth, self.back = Mamba(width), Mamba(width)
        self.across = Mamba(side**2)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = x + self.convolutions(x)
        channels = x.flatten(2)
        pixels = self.pixel_norm(channels.transpose(1, 2))
        along = self.forth(pixels) + self.back(pixels.flip(1)).flip(1)
        across = self.across(self.channel_norm(channels))
        return x + (along.transpose(1, 2) + across).reshape(x.shape)


class UVMNet(RadioModel):
    """UVM-Net.

    Parameters
    ----------
    task
        ``static`` or ``dynamic``.
    size
        Pixels of a side of a map, a multiple of 16.
    width
        Channels of the first scale, doubled at each of the other four.
    target
        See :class:`~rmtools.models.interface.RadioModel`.
    """

    title = "UVM-Net"
    source = "Zheng, Wu, arXiv 2402.04139; RadioDiff paper"
    conventions: ClassVar = dict.fromkeys(("static", "dynamic"), "radiounet")
    recipes: ClassVar = {
        "paper": (
            Recipe(
                Optimiser("adamw", 2e-4),
                Schedule("step", factor=0.1, every=30),
                batch=15,
                epochs=50,
            ),
        ),
        "quick": (
            Recipe(
                Optimiser("adamw", 5e-4),
                Schedule("cosine", factor=0.02),
                batch=8,
                steps=400,
                clip=1.0,
            ),
        ),
    }

    def __init__(
        self,
        task: Task = "static",
        *,
        size: int = 256,
        width: int = 64,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, target=target)
        if size < 16 or size % 16:
            raise RecipeError(
                f"maps of {size} pixels.",
                remedy="UVM-Net halves them four times: a multiple of 16.",
            )
        self.size = size
        widths = [width * 2**scale for scale in range(5)]
        inputs = len(self.convention.channels)
        self.encoder = nn.ModuleList(map(twice, (inputs, *widths[:4]), widths))
        self.block = UVMBlock(widths[2], size // 4)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in widths[3::-1])
        self.decoder = nn.ModuleList(twice(2 * w, w) for w in widths[3::-1])
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, size, size) to (B, 1, size, size)."""
        if x.shape[-2:] != (self.size, self.size):
            raise RecipeError(
                f"maps of {x.shape[-2]} x {x.shape[-1]} pixels for a model of {self.size}.",
                remedy=f"Build it with size={x.shape[-1]}.",
            )
        levels = []
        for scale, convolutions in enumerate(self.encoder):
            x = convolutions(x if scale == 0 else F.max_pool2d(x, 2))
            if scale == 2:
                x = self.block(x)
            levels.append(x)
        levels.pop()
        for up, convolutions in zip(self.up, self.decoder, strict=True):
            x = convolutions(torch.cat([up(x), levels.pop()], 1))
        return self.last(x)

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`."""
        return self(batch["input"])

    def phases(self) -> tuple[Phase, ...]:
        """One, with the mean absolute error."""

        def loss(batch: Batch) -> Losses:
            return {"loss": F.l1_loss(self(batch["input"]), batch["target"])}

        return (Phase("UVM-Net", (Turn("UVM-Net", self.parameters(), loss),)),)
