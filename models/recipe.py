"""How a phase of training goes: optimiser, schedule, batch, length. Data only, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Optimiser:
    """Adam or AdamW.

    Attributes
    ----------
    kind
        ``"adam"`` or ``"adamw"``.
    learning_rate, betas, weight_decay
        As torch has them.
    """

    kind: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """What multiplies the learning rate.

    Attributes
    ----------
    kind
        ``"constant"``; ``"step"``: times `factor` every `every` epochs; ``"cosine"``: down to
        `factor` over the whole phase; ``"polynomial"``: (1 - done)^power, not below `factor`;
        ``"plateau"``: times `factor` after `every` checks without improvement.
    factor, every, power
        As said.
    warm_up
        Steps over which the rate rises from 0, before the rest.
    """

    kind: Literal["constant", "step", "cosine", "polynomial", "plateau"] = "constant"
    factor: float = 0.1
    every: int = 1
    power: float = 1.0
    warm_up: int = 0


@dataclass(frozen=True)
class Recipe:
    """One phase of training.

    Attributes
    ----------
    optimiser, schedule
        Of every turn of the phase that has none of its own.
    batch, accumulate
        Maps (or sequences) in a batch, and batches summed up for one step of the optimiser.
    epochs, steps
        The length, whichever ends first; steps are those of the optimiser.
    check_every
        Steps between two looks at the validation set; None for once an epoch.
    patience
        Looks without improvement after which the phase ends; None for never.
    clip
        Largest norm of the gradient; None for no limit.
    ema
        Decay of the running mean of the weights, which is then judged and saved; None for none.
    precision
        Of Lightning: ``"32-true"``, ``"16-mixed"``, ``"bf16-mixed"``.
    """

    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    batch: int = 16
    accumulate: int = 1
    epochs: int | None = None
    steps: int | None = None
    check_every: int | None = None
    patience: int | None = None
    clip: float | None = None
    ema: float | None = None
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
