"""Static-UNet: RadioUNet from one frame to the next, over and over on its own output.

The baseline "Static-UNet (Frame-by-Frame)" of RadioMapMotion's paper (section VI-B): a static model
"like RadioUNet" trained "to predict only the next frame (P_{t+1}) from the current one (P_t). The
full sequence is then generated autoregressively."

No code was published and the paper says no more. Inferred: both Us of RadioUNet (RadioMapMotion
reports 525 MB for Static-UNet, as much as RadioMamba's paper for RadioUNet), one input, the current
frame, as RadioLSTM sees neither buildings nor transmitter; mean squared error over all pairs of
neighbouring frames of a window, context and horizon alike; RadioUNet's training in two phases and
its recipe. Training never sees an output as input.

Parameters: 13,272,747 = first U 10,920,826 + second U 2,351,921 (computed, not published).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .forecaster import STRETCH, Forecaster
from .interface import Phase, Turn
from .radiounet import RadioUNet, first_u, second_u
from .recipe import Optimiser, Recipe, Schedule

if TYPE_CHECKING:
    from rmtools.layouts.conventions import Task

    from .interface import Batch, Losses


def _sharpened(frame: Tensor) -> Tensor:
    """What is unlike the mean of the 9 x 9 pixels around, stretched."""
    return STRETCH * (frame - F.avg_pool2d(frame, 9, 1, 4, count_include_pad=False))


class StaticUNet(Forecaster):
    """Static-UNet.

    Parameters
    ----------
    task
        ``forecast``.
    context, horizon, first_predicted
        See :class:`~rmtools.models.forecaster.Forecaster`. Only the last frame of the context is
        used for prediction; all of it is trained on.
    second
        Whether there is RadioUNet's second U.
    pairs
        Pairs of frames taken from each sequence for a step of training, drawn anew each time; None
        for all.
    residual
        Whether the Us give what is to be added to the frame, and see only what in the frame is
        unlike its neighbourhood. Not in the paper: training begins where Last-Frame Repeat is, and
        in minutes of it shadows of vehicles are hardly seen among values ten times as large. The
        Us' last ReLU is left out then.
    target
        See :class:`~rmtools.models.interface.RadioModel`.
    """

    title = "Static-UNet"
    source = "RadioMapMotion, a baseline without published code"
    _quick = Recipe(
        Optimiser("adam", 1e-3), Schedule("cosine", factor=0.02), batch=4, steps=450, clip=1.0
    )
    recipes: ClassVar = {
        "paper": RadioUNet.recipes["paper"],
        "quick": (_quick, replace(_quick, steps=200)),
    }

    def __init__(
        self,
        task: Task = "forecast",
        *,
        context: int = 10,
        horizon: int = 5,
        first_predicted: int = 10,
        second: bool = True,
        pairs: int | None = None,
        residual: bool = False,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(
            task, context=context, horizon=horizon, first_predicted=first_predicted, target=target
        )
        self.pairs, self.residual = pairs, residual
        self.first = first_u(1)
        self.second = second_u(1) if second else None
        if residual:
            for part in (self.first, self.second):
                if part is not None:
                    part.last[1] = nn.Identity()
                    for parameter in part.last.parameters():
                        nn.init.zeros_(parameter)

    def forward(self, frame: Tensor) -> Tensor:
        """The next frame: from (B, 1, n, n) to (B, 1, n, n); n is a multiple of 64."""
        first = self.after_first(frame)
        if self.second is None:
            return first
        if not self.residual:
            return self.second(torch.cat([first, frame], 1))
        seen = torch.cat([_sharpened(first), _sharpened(frame)], 1)
        return first + self.second(seen) / STRETCH

    def after_first(self, frame: Tensor) -> Tensor:
        """The next frame as the first U has it."""
        if not self.residual:
            return self.first(frame)
        return frame + self.first(_sharpened(frame)) / STRETCH

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`."""
        frames = [batch["input"][:, -1]]
        for _ in range(self.horizon):
            frames.append(self(frames[-1]))
        return torch.stack(frames[1:], 1)

    def neighbours(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Frames and the frames after them, each (B * pairs, 1, n, n)."""
        frames = torch.cat([batch["input"], batch["target"]], 1)
        count = frames.shape[1] - 1
        if self.pairs is None or self.pairs >= count:
            return frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1)
        chosen = torch.rand(len(frames), count, device=frames.device).topk(self.pairs).indices
        rows = torch.arange(len(frames), device=frames.device)[:, None]
        return frames[rows, chosen].flatten(0, 1), frames[rows, chosen + 1].flatten(0, 1)

    def phases(self) -> tuple[Phase, ...]:
        """The first U, then the second one behind it as it is, as RadioUNet is trained.

        The best weights are those with the least error one frame ahead, as they are trained, for
        the first U, and over the horizon for the whole.
        """

        def alone(batch: Batch) -> Losses:
            now, after = self.neighbours(batch)
            return {"loss": F.mse_loss(self.after_first(now), after)}

        def behind(batch: Batch) -> Losses:
            now, after = self.neighbours(batch)
            return {"loss": F.mse_loss(self(now), after)}

        def check(batch: Batch) -> Tensor:
            return F.mse_loss(self.after_first(batch["input"][:, -1]), batch["target"][:, 0])

        turn = Turn("first U", self.first.parameters(), alone)
        if self.second is None:
            return (Phase("first U", (turn,)),)
        return (
            Phase("first U", (turn,), check),
            Phase("second U", (Turn("second U", self.second.parameters(), behind),)),
        )
