"""How long a phase is and what multiplies its learning rate: arithmetic, no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rmtools.errors import RecipeError

if TYPE_CHECKING:
    from ..recipe import Recipe, Schedule


@dataclass(frozen=True)
class Length:
    """A phase in numbers.

    Attributes
    ----------
    batch
        Samples in a batch: the recipe's, or all there are if these are fewer.
    per_epoch
        Batches in an epoch. Samples that do not fill a batch are left out; the order is another
        one in every epoch, and so are they.
    accumulate
        Batches in a step.
    steps
        Steps of the optimiser.
    check_every
        Steps between two looks at the validation set.
    """

    batch: int
    per_epoch: int
    accumulate: int
    steps: int
    check_every: int

    def epochs(self, step: int) -> float:
        """Looks at the training set after some steps."""
        return step * self.accumulate / self.per_epoch


def length(recipe: Recipe, samples: int, devices: int = 1) -> Length:
    """Work out a phase.

    Parameters
    ----------
    recipe
        Of the phase.
    samples
        Of the training set.
    devices
        The batch is divided among them.

    Raises
    ------
    RecipeError
        The batch cannot be divided, there are too few samples, or the recipe has no end.
    """
    batch = min(recipe.batch, samples - samples % devices)
    if recipe.batch % devices or not batch:
        raise RecipeError(
            f"a batch of {recipe.batch} of {samples} samples cannot be divided among {devices} "
            "devices.",
            remedy="Give another recipe.batch, a multiple of --devices.",
        )
    per_epoch = samples // batch
    limits = [
        recipe.steps,
        recipe.epochs and math.ceil(recipe.epochs * per_epoch / recipe.accumulate),
    ]
    given = [limit for limit in limits if limit is not None]
    if not given:
        raise RecipeError(
            "a phase has neither epochs nor steps, so it would never end.",
            remedy="Give one of them, such as --set recipe.steps=1000.",
        )
    steps = min(given)
    check_every = recipe.check_every or max(1, round(per_epoch / recipe.accumulate))
    return Length(batch, per_epoch, recipe.accumulate, steps, min(check_every, steps))


def rate_factor(schedule: Schedule, step: int, total: int, epoch: int, reductions: int) -> float:
    """What multiplies the learning rate of a step.

    Parameters
    ----------
    schedule
        See :class:`~rmtools.models.recipe.Schedule`.
    step, total
        Steps taken before, and of the whole phase.
    epoch
        Epochs finished before.
    reductions
        How often a plateau was met.
    """
    warm = schedule.warm_up
    rising = min(1.0, (step + 1) / warm) if warm else 1.0
    done = min(1.0, max(0, step - warm) / max(1, total - warm))
    match schedule.kind:
        case "step":
            later = schedule.factor ** (epoch // schedule.every)
        case "cosine":
            swing = 0.5 * (1.0 + math.cos(math.pi * done))
            later = schedule.factor + (1.0 - schedule.factor) * swing
        case "polynomial":
            later = max(schedule.factor, (1.0 - done) ** schedule.power)
        case "plateau":
            later = schedule.factor**reductions
        case _:
            later = 1.0
    return rising * later


@dataclass
class Progress:
    """How far a phase is: all that decides how it goes on, beside weights and optimisers.

    Attributes
    ----------
    step
        Steps taken.
    best_score, best_step
        Of the validation set; None before the first look, or without one.
    waiting
        Looks since then.
    plateau
        Looks since then or since the last reduction of the rate.
    reductions
        How often the rate was reduced.
    seconds
        Time spent.
    ended
        What ended the phase; None while it goes on.
    """

    step: int = 0
    best_score: float | None = None
    best_step: int = 0
    waiting: int = 0
    plateau: int = 0
    reductions: int = 0
    seconds: float = 0.0
    ended: Literal["length", "patience", "time"] | None = None

    def judge(self, score: float, schedule: Schedule) -> bool:
        """Take note of a look at the validation set; whether it was the best so far."""
        if math.isfinite(score) and (self.best_score is None or score < self.best_score):
            self.best_score, self.best_step = score, self.step
            self.waiting = self.plateau = 0
            return True
        self.waiting += 1
        self.plateau += 1
        if schedule.kind == "plateau" and self.plateau >= schedule.every:
            self.reductions, self.plateau = self.reductions + 1, 0
        return False
