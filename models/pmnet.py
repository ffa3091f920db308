"""PMNet: a ResNet with dilated convolutions and a pyramid pooling, and a decoder with skips.

J.-H. Lee, O. G. Serbetci, D. P. Selvam, A. F. Molisch, "PMNet: Robust Pathloss Map Prediction via
Supervised Learning", GLOBECOM 2023, arXiv 2211.10527; a baseline of RadioDUN's paper.

Inputs: buildings and transmitter, vehicles last. Encoder: a stem of 64 channels at a quarter of the
size, then groups of 3, 3, 27 and 3 bottlenecks of 256, 512, 512 and 1024 channels, the last ones
dilated by 1, 2, 4 ("multigrid") times what the stride leaves over. Atrous spatial pyramid pooling:
1 x 1, three dilated 3 x 3 (6, 12, 18) and the mean of the image, 256 channels each, joined to 512.
Decoder: convolutions to 512, 512, 256 (transposed), 256, 256 and 128 channels, each beside a map of
the encoder; at full size beside the input, 64, 64, 1. The last layer is linear. Mean squared error.

Parameters, for output stride 16 as for 8, with two inputs: 33,340,353 = encoder 12,733,440 +
pyramid 8,261,120 + decoder 12,345,793.

What is not written anywhere was chosen so that the count comes out: the maps beside the decoder are
those of the third, second and first group of bottlenecks, the latter twice, once through a 1 x 1
convolution, and that of the stem; of the decoder's layers only the two of 64 channels have batch
norm. A stride is in a bottleneck's first layer. Where a map beside is larger, the decoder's is
enlarged bilinearly. The released code has a momentum of 0.001 in batch norm: statistics would be
good after thousands of steps only, so that ours is 0.01 unless told otherwise. Its loader for
RadioMapSeer is broken, and in its own data buildings are black; here buildings are 1 as for all
models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtools.errors import RecipeError

from .interface import Phase, RadioModel, Turn
from .recipe import Optimiser, Recipe, Schedule

if TYPE_CHECKING:
    from rmtools.layouts.conventions import Task

    from .interface import Batch, Losses


def conv(
    inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """A convolution that keeps the size, apart from the stride, then batch norm and ReLU."""
    padding = dilation * (kernel // 2)
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1 beside the identity, or in the `first` of a group beside a 1 x 1."""

    def __init__(
        self, inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1, first: bool = False
    ) -> None:
        super().__init__()
        middle = outputs // 4
        self.branch = nn.Sequential(
            conv(inputs, middle, stride=stride),
            conv(middle, middle, 3, dilation=dilation),
            conv(middle, outputs)[:2],
        )
        self.beside = conv(inputs, outputs, stride=stride)[:2] if first else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """From (B, inputs, n, n) to (B, outputs, n / stride, n / stride)."""
        return F.relu(self.branch(x) + self.beside(x))


def group(
    inputs: int,
    outputs: int,
    count: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    grid: tuple[int, ...] | None = None,
) -> nn.Sequential:
    """So many bottlenecks; the first has the stride, each the dilation times its place in grid."""
    rates = [dilation * factor for factor in grid or (1,) * count]
    first = Bottleneck(inputs, outputs, stride=stride, dilation=rates[0], first=True)
    return nn.Sequential(first, *(Bottleneck(outputs, outputs, dilation=r) for r in rates[1:]))


class ImageMean(nn.Module):
    """The mean over the image as a map of 256 channels, by a 1 x 1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, inputs, n, n) to (B, outputs, n, n)."""
        mean = self.conv(x.mean((2, 3), keepdim=True))
        # one value has no variance: a batch of one map is normed as in evaluation
        norm = self.norm if len(x) > 1 else self._as_evaluated
        return F.relu(norm(mean)).expand(-1, -1, *x.shape[2:])

    def _as_evaluated(self, mean: Tensor) -> Tensor:
        norm = self.norm
        return F.batch_norm(
            mean, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                conv(inputs, 256),
                *(conv(inputs, 256, 3, dilation=rate) for rate in (6, 12, 18)),
                ImageMean(inputs, 256),
            ]
        )
        self.join = conv(5 * 256, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, inputs, n, n) to (B, outputs, n, n)."""
        return self.join(torch.cat([branch(x) for branch in self.branches], 1))


class PMNet(RadioModel):
    """PMNet.

    Parameters
    ----------
    task
        ``static`` or ``dynamic``.
    stride
        How much smaller the deepest maps are, 16 or 8; the latter takes dilation instead, the same
        weights, and more work.
    momentum
        Of batch norm, see above.
    target
        See :class:`~rmtools.models.interface.RadioModel`.
    """

    title = "PMNet"
    source = "Lee, Serbetci, Selvam, Molisch, GLOBECOM 2023, arXiv 2211.10527"
    conventions: ClassVar = dict.fromkeys(("static", "dynamic"), "pmnet")
    recipes: ClassVar = {
        "paper": (
            Recipe(
                Optimiser("adam", 1e-4), Schedule("step", factor=0.5, every=10), batch=16, epochs=30
            ),
        ),
        "quick": (
            Recipe(
                Optimiser("adam", 3e-4),
                Schedule("cosine", factor=0.02, warm_up=20),
                batch=8,
                steps=1000,
                clip=1.0,
            ),
        ),
    }

    def __init__(
        self,
        task: Task = "static",
        *,
        stride: Literal[16, 8] = 16,
        momentum: float = 0.01,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, target=target)
        if stride not in (16, 8):
            raise RecipeError(f"an output stride of {stride}.", remedy="It is 16 or 8.")
        inputs = len(self.convention.channels)
        dense = 1 if stride == 16 else 2
        self.stem = nn.Sequential(
            conv(inputs, 64, 7, stride=2), nn.MaxPool2d(3, stride=2, padding=1)
        )
        self.group1 = group(64, 256, 3)
        self.group2 = group(256, 512, 3, stride=2)
        self.group3 = group(512, 512, 27, stride=2 // dense, dilation=dense)
        self.group4 = group(512, 1024, 3, dilation=2 * dense, grid=(1, 2, 4))
        self.pyramid = Pyramid(1024, 512)
        self.reduce = conv(256, 256)
        self.up = nn.ModuleList(
            [
                nn.Conv2d(512, 512, 3, padding=1),
                nn.Conv2d(512 + 512, 512, 3, padding=1),
                nn.ConvTranspose2d(512 + 512, 256, 3, 2, padding=1, output_padding=1),
                nn.Conv2d(256 + 256, 256, 3, padding=1),
                nn.Conv2d(256 + 256, 256, 3, padding=1),
                nn.Conv2d(256 + 64, 128, 3, padding=1),
            ]
        )
        self.last = nn.Sequential(
            nn.Conv2d(128 + inputs, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Conv2d(64, 1, 3, padding=1),
        )
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = momentum

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, n, n) to (B, 1, n, n); n is a multiple of 16."""
        stem = self.stem(x)  # n / 4
        first = self.group1(stem)
        second = self.group2(first)  # n / 8
        third = self.group3(second)  # n / stride
        hidden = self.pyramid(self.group4(third))
        beside = (third, second, self.reduce(first), first, stem, x)
        for step, skip in zip(self.up, beside, strict=True):
            hidden = F.relu(step(hidden))
            if hidden.shape[2:] != skip.shape[2:]:
                hidden = F.interpolate(hidden, size=skip.shape[2:], mode="bilinear")
            hidden = torch.cat([hidden, skip], 1)
        return self.last(hidden)

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`."""
        return self(batch["input"])

    def phases(self) -> tuple[Phase, ...]:
        """One phase, mean squared error."""

        def loss(batch: Batch) -> Losses:
            return {"loss": F.mse_loss(self(batch["input"]), batch["target"])}

        return (Phase("PMNet", (Turn("PMNet", self.parameters(), loss),)),)
