"""The running mean of weights (EMA), which is judged and saved in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn


class RunningMean:
    """``mean = decay * mean + (1 - decay) * weights`` after every step.

    Parameters
    ----------
    parameters
        What is trained. Buffers, such as statistics of batch normalisation, are means already.
    decay
        Between 0 and 1.
    """

    def __init__(self, parameters: list[nn.Parameter], decay: float) -> None:
        self.parameters, self.decay = parameters, decay
        self.values = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now."""
        now = [p.detach() for p in self.parameters]
        torch._foreach_lerp_(self.values, now, 1.0 - self.decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Put the mean into the model and keep the weights here; again to undo it."""
        for parameter, value in zip(self.parameters, self.values, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(value)
            value.copy_(kept)

    def load(self, values: list[Tensor]) -> None:
        """Go on from saved values."""
        for value, saved in zip(self.values, values, strict=True):
            value.copy_(saved)
