"""RadioLSTM: a two-level U-Net of ConvLSTM cells that continues a sequence of radio maps.

H. Jia, N. Cheng, X. Wang et al., "RadioMapMotion: A Dataset and Baseline for Proactive
Spatio-Temporal Radio Environment Prediction". The repository calls it RadioMotionNet.

Input: frames of the map, one channel each; neither buildings nor transmitter. A cell does, with
convolutions * of 3 x 3 and products . of elements (equations 7 to 12)::

    i = sigmoid(Wxi * P + Whi * H + bi)      g = tanh(Wxg * P + Whg * H + bg)
    f = sigmoid(Wxf * P + Whf * H + bf)      C' = f . C + i . g
    o = sigmoid(Wxo * P + Who * H + bo)      H' = o . tanh(C')

The encoder's cells read the context, the second at half the size. The decoder's cells begin with
the encoder's last states: the lower one takes its own last hidden state as input; its new one is
doubled in size and put beside the last hidden state of the encoder's first cell as input of the
upper one, whose hidden state gives the frame by a 1 x 1 convolution and a sigmoid. Loss: mean
squared error (equation 13).

Parameters: 2,690,945 = encoder 150,016 + 885,248, decoder 1,180,160 + 442,624, transposed
convolution 32,832, last layer 65.

Where paper and released code disagree: the architecture section and the code hand on states only,
which is what we do; the ablation section says that "each subsequent frame is conditioned on the
model's own previous output", which is the option `feed_back`. Context 10 frames (paper) or 8 from
frame 2 (code), batch 16 or 8, patience 30 or 15: we follow the paper, ``context=8`` is the code's.

What is computed is the same, but in another order: inputs' convolutions do not wait for states, so
that those of all frames are one call; the constant half of the upper decoder cell's input is
convolved once; and as the lower one's input is its own hidden state, its two kernels are added
before they are applied. That saves a sixth of the multiplications and, on a CPU, some 10 % of the
time of a step of training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .forecaster import STRETCH, Forecaster
from .interface import Phase, Turn
from .recipe import Optimiser, Recipe, Schedule

if TYPE_CHECKING:
    from rmtools.layouts.conventions import Task

    from .interface import Batch, Losses

State = tuple[Tensor, Tensor]
"""Hidden state and cell state, both (B, width, n, n)."""


class ConvLSTM(nn.Module):
    """A ConvLSTM cell, equations 7 to 12, in two parts: :meth:`gates` of inputs, then steps.

    Parameters
    ----------
    inputs, width
        Channels of input and of state.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.of_input = nn.Conv2d(inputs, 4 * width, 3, padding=1)
        self.of_hidden = nn.Conv2d(width, 4 * width, 3, padding=1, bias=False)
        bound = (9 * (inputs + width)) ** -0.5  # as torch starts one convolution of both
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def gates(self, frames: Tensor) -> Tensor:
        """What inputs add to the gates: from (B, T, inputs, n, n) to (B, T, 4 width, n, n)."""
        return self.of_input(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])

    def step(self, gates: Tensor, state: State) -> State:
        """One step in time with gates of the input (B, 4 width, n, n)."""
        return advance(gates + self.of_hidden(state[0]), state[1])


def advance(gates: Tensor, cell: Tensor) -> State:
    """Equations 11 and 12: the state after, from the gates' sums and the cell state before."""
    i, f, o, g = gates.chunk(4, 1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell


class RadioLSTM(Forecaster):
    """RadioLSTM.

    Parameters
    ----------
    task
        ``forecast``.
    context, horizon, first_predicted
        See :class:`~rmtools.models.forecaster.Forecaster`; the paper compares contexts of 2, 4, 6,
        8 and 10 frames.
    width
        Of the upper cells, 64 in the paper; the lower ones have twice as much. Work grows with its
        square.
    feed_back
        Whether each predicted frame is read by the encoder before the next one is predicted; its
        new hidden states take the place of what the decoder's cells get as input otherwise (the
        lower one's own hidden state, the encoder's last one). The first frame is the same.
    residual
        Whether the net works on differences from the last frame of the context, both what it sees
        and what it gives, the latter by a hyperbolic tangent instead of the sigmoid. Not in the
        paper: it begins where Last-Frame Repeat is, and in minutes of training the net as
        published does not see the small changes of large values from which motion is read.
    target
        See :class:`~rmtools.models.interface.RadioModel`.
    """

    title = "RadioLSTM"
    source = "Jia, Cheng, Wang et al., RadioMapMotion"
    recipes: ClassVar = {
        "paper": (
            Recipe(
                Optimiser("adamw", 1e-3, weight_decay=0.01),
                batch=16,
                epochs=1000,
                patience=30,
                precision="16-mixed",
            ),
        ),
        "quick": (
            Recipe(
                Optimiser("adamw", 5e-3, weight_decay=0.01),
                Schedule("cosine", factor=0.02, warm_up=20),
                batch=4,
                steps=700,
                clip=1.0,
            ),
        ),
    }

    def __init__(
        self,
        task: Task = "forecast",
        *,
        context: int = 10,
        horizon: int = 5,
        first_predicted: int = 10,
        width: int = 64,
        feed_back: bool = False,
        residual: bool = False,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(
            task, context=context, horizon=horizon, first_predicted=first_predicted, target=target
        )
        self.width, self.feed_back, self.residual = width, feed_back, residual
        self.encoder1 = ConvLSTM(1, width)
        self.encoder2 = ConvLSTM(width, 2 * width)
        self.decoder2 = ConvLSTM(2 * width, 2 * width)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.decoder1 = ConvLSTM(2 * width, width)
        self.last = nn.Conv2d(width, 1, 1)
        if residual:
            for parameter in self.last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, frames: Tensor) -> Tensor:
        """From (B, context, 1, n, n) to (B, horizon, 1, n, n), from 0 to 1; n is even."""
        last = frames[:, -1:]
        states = self.encode(self._seen(frames, last), self._no_states(frames))
        if self.feed_back:
            return self._with_feed_back(states, last)
        return self._frame(self._by_states(states), last)

    def encode(self, frames: Tensor, states: tuple[State, State]) -> tuple[State, State]:
        """States of the encoder's two cells after further frames."""
        upper, lower = states
        pooled = []
        for gates in self.encoder1.gates(frames).unbind(1):
            upper = self.encoder1.step(gates, upper)
            pooled.append(F.max_pool2d(upper[0], 2))
        for gates in self.encoder2.gates(torch.stack(pooled, 1)).unbind(1):
            lower = self.encoder2.step(gates, lower)
        return upper, lower

    def _by_states(self, states: tuple[State, State]) -> Tensor:
        """Logits of frames by states alone: level by level, as no frame needs the one before."""
        upper, lower = states
        twice = self.decoder2.of_input.weight + self.decoder2.of_hidden.weight
        raised = []
        for _ in range(self.horizon):
            gates = F.conv2d(lower[0], twice, self.decoder2.of_input.bias, padding=1)
            lower = advance(gates, lower[1])
            raised.append(self.up(lower[0]))
        of_raised, of_skip = self.decoder1.of_input.weight.chunk(2, 1)
        skip = F.conv2d(upper[0], of_skip, self.decoder1.of_input.bias, padding=1)
        batch = len(skip)
        gates = F.conv2d(torch.cat(raised), of_raised, padding=1)
        hidden = []
        for part in gates.chunk(self.horizon):
            upper = self.decoder1.step(part + skip, upper)
            hidden.append(upper[0])
        return self.last(torch.cat(hidden)).unflatten(0, (-1, batch)).transpose(0, 1)

    def _with_feed_back(self, states: tuple[State, State], last: Tensor) -> Tensor:
        """Frames one by one, each read by the encoder before the next."""
        upper, lower = states
        made: list[Tensor] = []
        for _ in range(self.horizon):
            if made:
                states = self.encode(self._seen(made[-1], last), states)
            (skip, _), (below, _) = states
            lower = self.decoder2.step(self.decoder2.of_input(below), lower)
            beside = torch.cat([self.up(lower[0]), skip], 1)
            upper = self.decoder1.step(self.decoder1.of_input(beside), upper)
            made.append(self._frame(self.last(upper[0])[:, None], last))
        return torch.cat(made, 1)

    def _seen(self, frames: Tensor, last: Tensor) -> Tensor:
        return STRETCH * (frames - last) if self.residual else frames

    def _frame(self, logits: Tensor, last: Tensor) -> Tensor:
        return last + torch.tanh(logits) / STRETCH if self.residual else logits.sigmoid()

    def _no_states(self, frames: Tensor) -> tuple[State, State]:
        batch, n = len(frames), frames.shape[-1]
        upper = frames.new_zeros(batch, self.width, n, n)
        lower = frames.new_zeros(batch, 2 * self.width, n // 2, n // 2)
        return (upper, upper), (lower, lower)

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`."""
        return self(batch["input"])

    def phases(self) -> tuple[Phase, ...]:
        """One phase, mean squared error (equation 13)."""

        def loss(batch: Batch) -> Losses:
            return {"loss": F.mse_loss(self(batch["input"]), batch["target"])}

        return (Phase("forecast", (Turn("RadioLSTM", self.parameters(), loss),)),)
