"""ConvMambaUNet: the next frame from those before, by convolutions in space and Mambas in time.

A baseline of "RadioMapMotion: A Dataset and Baseline for Proactive Spatio-Temporal Radio
Environment Prediction", 2025 (section VI-B), of which neither code nor sizes are published. The
paper says: a U-Net with skip connections whose blocks first apply spatial convolutions, then
sequence patches into a temporal stream for Mamba; autoregressive. It measures 4.9 ms a frame and
2,468 MB.

Everything else is ours. Three scales with 32, 64 and 128 channels, which by its number of
operations fits the time measured. A block is a residual of two 3 x 3 convolutions with group norm
and SiLU on each frame; then patches are averaged and strung together, frame after frame and row by
row within a frame, go through a Mamba (16 states) and are added to their pixels. Patches have 8, 4
and 2 pixels, so that every scale sees the same grid of an eighth of the size. Nothing looks ahead:
the output at frame t is what changes until frame t + 1.

Input: frames alone. Trained with the mean squared error (equation 13) of every next frame, all in
one pass since nothing looks ahead; predictions are rolled out on their own output.

Parameters: 690,305.
"""

from __future__ import annotations

from dataclasses import replace
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


class ConvMambaBlock(nn.Module):
    """Convolutions on each frame, then a Mamba through the patches of all frames.

    Parameters
    ----------
    inputs, width
        Channels before and after.
    patch
        Pixels of a side of a patch.
    """

    def __init__(self, inputs: int, width: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.convolutions = nn.Sequential(
            nn.Conv2d(inputs, width, 3, padding=1),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width),
            nn.SiLU(),
        )
        self.past = nn.Identity() if inputs == width else nn.Conv2d(inputs, width, 1)
        self.norm = nn.LayerNorm(width)
        self.mamba = Mamba(width)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """From (B * frames, inputs, n, n) to (B * frames, width, n, n)."""
        x = self.past(x) + self.convolutions(x)
        patches = F.avg_pool2d(x, self.patch)
        shape = patches.shape
        stream = patches.flatten(2).transpose(1, 2).reshape(shape[0] // frames, -1, shape[1])
        stream = self.mamba(self.norm(stream))
        patches = stream.reshape(shape[0], -1, shape[1]).transpose(1, 2).reshape(shape)
        return x + F.interpolate(patches, scale_factor=float(self.patch))


class ConvMambaUNet(RadioModel):
    """ConvMambaUNet.

    Parameters
    ----------
    task
        ``forecast``.
    width
        Channels of the first scale, a multiple of 8; doubled at the other two.
    context
        Frames that are seen; the predicted ones stay the same. The weights fit any number.
    target
        See :class:`~rmtools.models.interface.RadioModel`; the same for this model.
    """

    title = "ConvMambaUNet"
    source = "RadioMapMotion paper, section VI-B; sizes are ours"
    conventions: ClassVar = {"forecast": "radiomapmotion-paper"}
    recipes: ClassVar = {
        "paper": (  # RadioLSTM's, which the paper trains beside it
            Recipe(
                Optimiser("adamw", 1e-3),
                batch=16,
                epochs=1000,
                patience=30,
                precision="16-mixed",
            ),
        ),
        "quick": (
            Recipe(
                Optimiser("adamw", 2e-3),
                Schedule("cosine", factor=0.02, warm_up=20),
                batch=4,
                steps=300,
                clip=1.0,
            ),
        ),
    }

    def __init__(
        self,
        task: Task = "forecast",
        *,
        width: int = 32,
        context: int = 10,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, target=target)
        first, seen, self.horizon = self.convention.window or (0, 10, 5)
        if not 1 <= context <= first + seen:
            raise RecipeError(
                f"a context of {context} frames.",
                remedy=f"Choose from 1 to {first + seen}, the frames before the predicted ones.",
            )
        window = (first + seen - context, context, self.horizon)
        self.convention = replace(self.convention, window=window)
        widths = (width, 2 * width, 4 * width)
        self.encoder = nn.ModuleList(
            ConvMambaBlock(inputs, outputs, patch)
            for inputs, outputs, patch in zip((1, *widths[:2]), widths, (8, 4, 2), strict=True)
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in widths[1::-1])
        self.decoder = nn.ModuleList(
            ConvMambaBlock(2 * w, w, patch) for w, patch in zip(widths[1::-1], (4, 8), strict=True)
        )
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """The next frame after each, (B, frames, 1, n, n) to the same; n is a multiple of 8."""
        rows, count, _, height, width = frames.shape
        if height % 8 or width % 8:
            raise RecipeError(
                f"maps of {height} x {width} pixels.",
                remedy="ConvMambaUNet's patches need a multiple of 8.",
            )
        x = frames.flatten(0, 1)
        skips = []
        for scale, block in enumerate(self.encoder):
            x = block(x if scale == 0 else F.max_pool2d(x, 2), count)
            skips.append(x)
        skips.pop()
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat([up(x), skips.pop()], 1), count)
        return frames + self.last(x).view(rows, count, 1, height, width)

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`."""
        frames = batch["input"]
        for _ in range(self.horizon):
            frames = torch.cat([frames, self(frames)[:, -1:].to(frames.dtype)], 1)
        return frames[:, -self.horizon :]

    def phases(self) -> tuple[Phase, ...]:
        """One: every frame from those before it."""

        def loss(batch: Batch) -> Losses:
            frames = torch.cat([batch["input"], batch["target"]], 1)
            return {"loss": F.mse_loss(self(frames[:, :-1]), frames[:, 1:])}

        return (Phase("ConvMambaUNet", (Turn("ConvMambaUNet", self.parameters(), loss),)),)
