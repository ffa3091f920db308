"""RadioUNet: two U-Nets in a row, the second correcting the first.

R. Levie, Ç. Yapar, G. Kutyniok, G. Caire, "RadioUNet: Fast Radio Map Estimation With Convolutional
Neural Networks", IEEE Transactions on Wireless Communications 20(6), 2021, arXiv 1911.09002.

Inputs: buildings and transmitter (RadioUNet_C), then samples (RadioUNet_S), vehicles last. The
second U sees the first one's output before the same inputs. There is no normalisation, and a ReLU
after the last layer, so that predictions are never negative. Trained in two phases with the mean
squared error: the first U, then the second with the first one frozen.

Parameters: 13,274,031 with two inputs, 13,275,315 with three, 13,282,747 with four; of the
13,274,031 the first U has 10,921,405.

Where paper and released code disagree we follow the code: widths of the second U (misprinted in
the paper's table), 10 to 299 samples (1 to 300 in the paper), 10 instead of 6 first features with
four inputs. Its schedule is stepped before each epoch, so that a drop comes one epoch early; ours
comes after 30 epochs as written. Ours, too, is the first bias of the last layers, 0.1: with torch's
own some seeds begin, and therefore end, with a ReLU that gives nothing but 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .interface import Phase, RadioModel, Turn
from .recipe import Optimiser, Recipe, Schedule

if TYPE_CHECKING:
    from rmtools.layouts.conventions import Task

    from .interface import Batch, Losses


class U(nn.Module):
    """One U-Net: nine convolutions down to a 64th of the size, ten back up.

    Every step up also sees the output of equal size on the way down, the last two the input.

    Parameters
    ----------
    inputs
        Channels of the input.
    down
        Widths on the way down, nine.
    up
        Widths on the way up, nine, before the last one, which is 1.
    """

    kernels_down = (3, 5, 5, 5, 5, 3, 5, 5, 5)
    pools = (1, 2, 2, 1, 2, 1, 2, 2, 2)
    kernels_up = (4, 4, 4, 3, 6, 5, 6, 6, 5)  # even: transposed, doubles the size

    def __init__(self, inputs: int, down: tuple[int, ...], up: tuple[int, ...]) -> None:
        super().__init__()
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        width = inputs
        for outputs, kernel, pool in zip(down, self.kernels_down, self.pools, strict=True):
            conv = nn.Conv2d(width, outputs, kernel, padding=kernel // 2)
            self.down.append(nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(pool)))
            width = outputs
        skips = [*down[-2::-1], 0]  # concatenated after each step
        for outputs, kernel, skip in zip(up, self.kernels_up, skips, strict=True):
            if len(self.up) == len(up) - 1:
                width += inputs
            if kernel % 2:
                step: nn.Module = nn.Conv2d(width, outputs, kernel, padding=kernel // 2)
            else:
                step = nn.ConvTranspose2d(width, outputs, kernel, 2, padding=kernel // 2 - 1)
            self.up.append(nn.Sequential(step, nn.ReLU()))
            width = outputs + skip
        last = nn.Conv2d(width + inputs, 1, 5, padding=2)
        nn.init.constant_(last.bias, 0.1)  # type: ignore[arg-type]  # there is one
        self.last = nn.Sequential(last, nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """From (B, inputs, n, n) to (B, 1, n, n); n is a multiple of 64."""
        levels = []
        hidden = x
        for step in self.down:
            hidden = step(hidden)
            levels.append(hidden)
        levels.pop()
        for step in self.up[:-1]:
            hidden = torch.cat([step(hidden), levels.pop()], 1)
        hidden = self.up[-1](torch.cat([hidden, x], 1))
        return self.last(torch.cat([hidden, x], 1))


def first_u(inputs: int) -> U:
    """The first U of RadioUNet for so many channels of input."""
    down = (10 if inputs > 3 else 6, 40, 50, 60, 100, 100, 150, 300, 500)
    return U(inputs, down, (300, 150, 100, 100, 60, 50, 40, 20, 20))


def second_u(inputs: int) -> U:
    """The second U, which sees the first one's output before the input."""
    down = (20, 30, 40, 50, 60, 70, 90, 110, 150)
    return U(1 + inputs, down, (110, 90, 70, 60, 50, 40, 30, 20, 20))


class RadioUNet(RadioModel):
    """RadioUNet_C and RadioUNet_S.

    Parameters
    ----------
    task
        ``static`` and ``dynamic`` make RadioUNet_C, the sparse tasks RadioUNet_S.
    second
        Whether there is a second U ("RadioWNet"); the first one alone otherwise.
    target
        See :class:`~rmtools.models.interface.RadioModel`.
    """

    title = "RadioUNet"
    source = "Levie, Yapar, Kutyniok, Caire, IEEE TWC 2021, arXiv 1911.09002"
    conventions: ClassVar = dict.fromkeys(
        ("static", "dynamic", "sparse", "sparse-dynamic"), "radiounet"
    )
    _paper = Recipe(
        Optimiser("adam", 1e-4), Schedule("step", factor=0.1, every=30), batch=15, epochs=50
    )
    _quick = Recipe(
        Optimiser("adam", 3e-4), Schedule("cosine", factor=0.02), batch=8, steps=600, clip=1.0
    )
    recipes: ClassVar = {
        "paper": (_paper, _paper),
        "quick": (_quick, replace(_quick, steps=250)),
    }

    def __init__(
        self,
        task: Task = "static",
        *,
        second: bool = True,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, target=target)
        inputs = len(self.convention.channels)
        self.first = first_u(inputs)
        self.second = second_u(inputs) if second else None

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, n, n) to (B, 1, n, n); n is a multiple of 64."""
        first = self.first(x)
        return first if self.second is None else self.second(torch.cat([first, x], 1))

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`."""
        return self(batch["input"])

    def phases(self) -> tuple[Phase, ...]:
        """The first U, then the second one behind it as it is."""

        def alone(batch: Batch) -> Losses:
            return {"loss": F.mse_loss(self.first(batch["input"]), batch["target"])}

        def behind(batch: Batch) -> Losses:
            return {"loss": F.mse_loss(self(batch["input"]), batch["target"])}

        def check(batch: Batch) -> Tensor:
            return alone(batch)["loss"]

        first = Phase("first U", (Turn("first U", self.first.parameters(), alone),), check)
        if self.second is None:
            return (first,)
        return (first, Phase("second U", (Turn("second U", self.second.parameters(), behind),)))
