"""AE and Deep AE: the map squeezed into a small code and rebuilt from it, without skips.

The two are rows of RMDM's table 3, of which no description is published. **What is built here is
our own definition.** The idea is that of Y. Teganya, D. Romero, "Deep Completion Autoencoders for
Radio Map Estimation", IEEE Transactions on Wireless Communications 21(3), 2022: a convolutional
encoder sees the samples beside a mask of where they are, a code keeps what a map has in common with
others, and a decoder completes the map. The code has a sixteenth of the map's numbers.

Inputs: buildings and transmitter, then samples and their mask, vehicles last. A layer is group
norm, SiLU, convolution 3x3; the loss is the mean squared error.

- AE: three times a layer and one with stride 2, widths 32, 64, 128; a code of 4 channels at an
  eighth of the size; three times doubled bilinearly, a layer to change the width, a layer.
- Deep AE: four times, widths 32, 64, 128, 256, with two layers around which there is a shortcut
  in place of the one; a code of 16 channels at a sixteenth of the size.

Parameters with four inputs (``sparse``): AE 880,421, Deep AE 5,172,593; each input more takes 288.
As nothing is published the "paper" recipes are how RadioUNet is trained: Adam 1e-4, batch 15, 50
epochs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from rmtools.errors import RecipeError

from .interface import Phase, RadioModel, Turn
from .recipe import Optimiser, Recipe, Schedule

if TYPE_CHECKING:
    from rmtools.layouts.conventions import Task

    from .interface import Batch, Losses

GROUPS = 8


def layer(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """Group norm, SiLU, convolution 3x3."""
    conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
    return nn.Sequential(nn.GroupNorm(GROUPS, inputs), nn.SiLU(), conv)


class Residual(nn.Module):
    """Two layers added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(layer(width, width), layer(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """From (B, width, n, n) to the same."""
        return x + self.layers(x)


class AE(RadioModel):
    """A shallow autoencoder.

    Parameters
    ----------
    task
        ``sparse`` and ``sparse-dynamic``; ``static`` and ``dynamic`` without samples.
    width
        Channels at full size, a multiple of 8.
    code
        Channels of the code, 4 if not given (16 for Deep AE).
    target
        See :class:`~rmtools.models.interface.RadioModel`.
    """

    title = "AE"
    source = "this project; a row of RMDM's table 3, undescribed; after Teganya, Romero, TWC 2022"
    conventions: ClassVar = dict.fromkeys(
        ("static", "dynamic", "sparse", "sparse-dynamic"), "rmtools"
    )
    recipes: ClassVar = {
        "paper": (Recipe(Optimiser("adam", 1e-4), batch=15, epochs=50),),
        "quick": (
            Recipe(
                Optimiser("adam", 1e-3),
                Schedule("cosine", factor=0.02, warm_up=100),
                batch=8,
                steps=3000,
                clip=1.0,
            ),
        ),
    }
    halvings: ClassVar = 3

    def __init__(
        self,
        task: Task = "sparse",
        *,
        width: int = 32,
        code: int | None = None,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, target=target)
        if width % GROUPS:
            raise RecipeError(f"width {width}.", remedy=f"Take a multiple of {GROUPS}.")
        if code is None:
            code = 4**self.halvings // 16
        widths = [width * 2**level for level in range(self.halvings)]
        levels = list(zip(widths, [*widths[1:], widths[-1]], strict=True))
        down: list[nn.Module] = [nn.Conv2d(len(self.convention.channels), width, 3, padding=1)]
        for here, after in levels:
            down += [self.same(here), layer(here, after, stride=2)]
        self.encoder = nn.Sequential(*down, layer(widths[-1], code))
        up: list[nn.Module] = [nn.Conv2d(code, widths[-1], 3, padding=1)]
        for here, after in reversed(levels):
            double = nn.Upsample(scale_factor=2, mode="bilinear")
            up += [double, layer(after, here), self.same(here)]
        self.decoder = nn.Sequential(*up, layer(width, 1))

    def same(self, width: int) -> nn.Module:
        """What is done at each size."""
        return layer(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, n, n) to (B, 1, n, n); n is a multiple of 8 (16 for Deep AE)."""
        return self.decoder(self.encoder(x))

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`."""
        return self(batch["input"])

    def phases(self) -> tuple[Phase, ...]:
        """One."""

        def loss(batch: Batch) -> Losses:
            return {"loss": F.mse_loss(self(batch["input"]), batch["target"])}

        return (Phase("autoencoder", (Turn("autoencoder", self.parameters(), loss),)),)


class DeepAE(AE):
    """A deep autoencoder. Parameters: see :class:`AE`."""

    title = "Deep AE"
    recipes: ClassVar = {
        "paper": AE.recipes["paper"],
        "quick": (replace(AE.recipes["quick"][0], steps=1500),),
    }
    halvings = 4

    def same(self, width: int) -> nn.Module:
        """What is done at each size."""
        return Residual(width)
