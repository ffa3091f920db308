"""OCTUF: image compressive sensing with cross-attention, as RadioDUN's authors compare with it.

J. Song, C. Mou, S. Wang, S. Ma, J. Zhang, "Optimization-Inspired Cross-Attention Transformer for
Compressive Sensing", CVPR 2023, arXiv 2304.13986. Ten unfolded iterations there, three in
RadioDUN's comparison and here by default.

A state of 32 channels is handed from layer to layer: the map x and 31 channels of memory. A layer
does, with z the state and z' the one before it,

- gradient step: r = x - rho PhiT (Phi x - y), rho learned, 0.5 at first;
- inertia-supplied cross-attention: the memory of z asks that of z';
- projection-guided cross-attention: r, with that memory, asks z;
- two feed-forwards, 32 to 128 to 32.

What is added to each is a residual. Channels, not pixels, attend (:mod:`.channel_attention`), all
in one head. The map is channel 0 of the last state; the loss is the mean squared error.

Adapted to radio maps. In the original, y are inner products of 32 x 32 blocks with the rows of a
learned Phi. Here y are samples of pixels, so Phi picks the pixels of `mask`, PhiT puts them back
and PhiT (Phi x - y) is mask (x - samples): nothing of it is learned, and any number of samples
and size of map will do. The first map is PhiT y, the samples in an image of zeros; it has no
error at the samples, so that the first layer's rho does nothing and gets no gradient. The first
memory is a convolution of all inputs (distance, buildings, vehicles; RadioDUN's Table I has a
smaller error where the transmitter is known, so theirs were told of it, too), or of the samples
alone, which is the original's blindness.

Parameters: 83,056 with three layers and vehicles (82,777 without, 82,219 from samples alone), of
which a layer has 27,303; 274,177 with ten. Neither paper gives one for this use.

The inside of the attention blocks follows the papers' descriptions, not code, so details will
differ: what is the query, one norm for each input, no projection after the attention.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtools.errors import RecipeError

from .channel_attention import ChannelAttention, ChannelNorm, FeedForward
from .interface import Phase, RadioModel, Turn
from .radiodun import WITHOUT_VEHICLES
from .recipe import Optimiser, Recipe, Schedule

if TYPE_CHECKING:
    from rmtools.layouts.conventions import Task

    from .interface import Batch, Losses

MEMORY = 31
"""Channels beside the map."""


class Layer(nn.Module):
    """One iteration: gradient step, two cross-attentions, two feed-forwards."""

    def __init__(self) -> None:
        super().__init__()
        width = 1 + MEMORY
        self.step = nn.Parameter(torch.tensor(0.5))
        self.norms = nn.ModuleList(ChannelNorm(w) for w in (MEMORY, MEMORY, width, width))
        self.inertia = ChannelAttention(MEMORY, 1, temperature=True)
        self.guided = ChannelAttention(width, 1, temperature=True)
        self.feed_forwards = nn.ModuleList(
            nn.Sequential(ChannelNorm(width), FeedForward(width)) for _ in range(2)
        )

    def forward(self, state: Tensor, before: Tensor, samples: Tensor, mask: Tensor) -> Tensor:
        """From this state and the one before, (B, 32, n, n), to the next one.

        `samples` and `mask` are (B, 1, n, n).
        """
        x, memory = state[:, :1], state[:, 1:]
        stepped = x - self.step * mask * (x - samples)
        asking, asked, guide, guided = self.norms
        memory = memory + self.inertia(asking(memory), asked(before[:, 1:]))
        moved = torch.cat([stepped, memory], 1)
        moved = moved + self.guided(guide(moved), guided(state))
        for feed_forward in self.feed_forwards:
            moved = moved + feed_forward(moved)
        return moved


class OCTUF(RadioModel):
    """OCTUF on samples of pixels.

    Parameters
    ----------
    task
        ``sparse-dynamic`` or ``sparse``; inputs are those of RadioDUN.
    layers
        Iterations: 3 in RadioDUN's comparison, 10 as published.
    samples
        How many of each map the loaders draw; the weights do not depend on it.
    environment
        Whether distance and obstacles are seen, or the samples alone.
    known_transmitter
        Whether distance is from the transmitter; it is from pixel (0, 0) otherwise.
    target
        See :class:`~rmtools.models.interface.RadioModel`.

    Raises
    ------
    RecipeError
        There is no layer or no sample.
    """

    title = "OCTUF"
    source = "Song, Mou, Wang, Ma, Zhang, CVPR 2023, arXiv 2304.13986"
    conventions: ClassVar = {"sparse": WITHOUT_VEHICLES, "sparse-dynamic": "radiodun"}
    recipes: ClassVar = {
        # three epochs of warm-up: 42,000 maps in batches of 16
        "paper": (
            Recipe(
                Optimiser("adam", 5e-4),
                Schedule("cosine", factor=0.1, warm_up=7875),
                batch=16,
                epochs=100,
            ),
        ),
        "quick": (
            Recipe(
                Optimiser("adam", 1e-3),
                Schedule("cosine", factor=0.02, warm_up=50),
                batch=8,
                steps=1000,
                clip=1.0,
            ),
        ),
    }
    ablations: ClassVar = {"samples alone": {"environment": False}, "10 layers": {"layers": 10}}

    def __init__(
        self,
        task: Task = "sparse-dynamic",
        *,
        layers: int = 3,
        samples: int = 9,
        environment: bool = True,
        known_transmitter: bool = True,
        target: Literal["grey", "paper"] = "grey",
    ) -> None:
        super().__init__(task, target=target)
        if layers < 1 or samples < 1:
            raise RecipeError(
                f"OCTUF of {layers} layers for {samples} samples.", remedy="Both are at least 1."
            )
        self.convention = replace(
            self.convention, samples=(samples, samples), known_transmitter=known_transmitter
        )
        self.inputs = len(self.convention.channels) if environment else 1
        self.first = nn.Conv2d(self.inputs, MEMORY, 3, padding=1)
        self.layers = nn.ModuleList(Layer() for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """From the input (B, C, n, n), samples first, and the mask (B, 1, n, n) to (B, 1, n, n)."""
        samples, mask = x[:, :1], mask.to(x.dtype)
        before = state = torch.cat([samples, self.first(x[:, : self.inputs])], 1)
        for layer in self.layers:
            before, state = state, layer(state, before, samples, mask)
        return state[:, :1]

    def predict(self, batch: Batch) -> Tensor:
        """See :meth:`~rmtools.models.interface.RadioModel.predict`."""
        return self(batch["input"], batch["mask"])

    def phases(self) -> tuple[Phase, ...]:
        """One phase with the mean squared error."""

        def loss(batch: Batch) -> Losses:
            return {"loss": F.mse_loss(self(batch["input"], batch["mask"]), batch["target"])}

        return (Phase("unfolded", (Turn("unfolded", self.parameters(), loss),)),)
