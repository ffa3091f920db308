"""Small models for tests of training: two phases, a GAN, and one that makes no sense."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from rmtools.models.interface import Phase, RadioModel, Turn
from rmtools.models.recipe import Optimiser, Recipe, Schedule
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rmtools.models.interface import Batch, Losses

    from rmtools.layouts.conventions import Task

FILE = __file__
TWO, GAN, DIVERGING = (f"{FILE}:{name}" for name in ("Two", "Gan", "Diverging"))


def small(inputs: int, width: int = 4) -> nn.Sequential:
    """Two convolutions with all that has a state of its own: statistics, dropout."""
    return nn.Sequential(
        nn.Conv2d(inputs, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Conv2d(width, 1, 3, padding=1),
    )


class Two(RadioModel):
    """Two phases, the first with noise, EMA and clipping, the second with accumulation."""

    title = "Two"
    source = "these tests"
    conventions: ClassVar = dict.fromkeys(("static", "dynamic", "sparse"), "rmtools")
    recipes: ClassVar = {
        "quick": (
            Recipe(
                Optimiser("adam", 1e-2),
                Schedule("cosine", warm_up=2),
                batch=3,
                steps=7,
                check_every=3,
                ema=0.5,
                clip=1.0,
            ),
            Recipe(
                Optimiser("adamw", 1e-2, weight_decay=0.01),
                Schedule("plateau", every=1),
                batch=4,
                steps=5,
                check_every=2,
                accumulate=2,
            ),
        )
    }

    def __init__(
        self, task: Task = "static", *, width: int = 4, target: Literal["grey", "paper"] = "grey"
    ) -> None:
        super().__init__(task, target=target)
        inputs = len(self.convention.channels)
        self.first, self.second = small(inputs, width), small(inputs + 1, width)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        return first + self.second(torch.cat([first, x], 1))

    def predict(self, batch: Batch) -> Tensor:
        return self(batch["input"])

    def phases(self) -> tuple[Phase, ...]:
        def noisy(batch: Batch) -> Losses:
            x = batch["input"]
            out = self.first(x + 0.1 * torch.randn_like(x))
            return {"loss": F.mse_loss(out, batch["target"]), "mean": out.mean()}

        def check(batch: Batch) -> Tensor:
            return F.mse_loss(self.first(batch["input"]), batch["target"])

        def both(batch: Batch) -> Losses:
            return {"loss": F.mse_loss(self(batch["input"]), batch["target"])}

        return (
            Phase("first", (Turn("first", self.first.parameters(), noisy),), check),
            Phase("second", (Turn("second", self.second.parameters(), both),)),
        )


class Gan(RadioModel):
    """A generator and a discriminator."""

    title = "Gan"
    source = "these tests"
    conventions: ClassVar = {"static": "rmtools"}
    recipes: ClassVar = {
        "quick": (Recipe(Optimiser("adam", 1e-2), batch=4, steps=6, check_every=3),)
    }

    def __init__(self, task: Task = "static") -> None:
        super().__init__(task)
        self.generator, self.critic = small(2), small(1)

    def predict(self, batch: Batch) -> Tensor:
        return self.generator(batch["input"])

    def phases(self) -> tuple[Phase, ...]:
        def critic(batch: Batch) -> Losses:
            with torch.no_grad():
                made = self.generator(batch["input"])
            real, false = self.critic(batch["target"]).mean(), self.critic(made).mean()
            return {"loss": F.softplus(false) + F.softplus(-real), "real": real}

        def generator(batch: Batch) -> Losses:
            made = self.generator(batch["input"])
            near = F.mse_loss(made, batch["target"])
            return {"loss": 0.01 * F.softplus(-self.critic(made).mean()) + near, "near": near}

        slow = Optimiser("adam", 1e-4)
        turns = (
            Turn("critic", self.critic.parameters(), critic, slow),
            Turn("generator", self.generator.parameters(), generator),
        )
        return (Phase("both", turns),)


class Diverging(Two):
    """Its loss is no number from the fourth step on."""

    def phases(self) -> tuple[Phase, ...]:
        steps = iter(range(100))

        def bad(batch: Batch) -> Losses:
            loss = self.first(batch["input"]).mean()
            return {"loss": loss * (float("nan") if next(steps) >= 3 else 1.0)}

        return (Phase("downhill", (Turn("first", self.first.parameters(), bad),)),)


class Plain(RadioModel):
    """One convolution: no statistics, nothing random."""

    title = "Plain"
    source = "these tests"
    conventions: ClassVar = {"static": "rmtools", "dynamic": "rmtools"}
    recipes: ClassVar = {"quick": (Recipe(Optimiser("adam", 1e-2), batch=4, steps=8),)}

    def __init__(self, task: Task = "static") -> None:
        super().__init__(task)
        self.net = nn.Conv2d(len(self.convention.channels), 1, 3, padding=1)

    def predict(self, batch: Batch) -> Tensor:
        return self.net(batch["input"])

    def phases(self) -> tuple[Phase, ...]:
        def loss(batch: Batch) -> Losses:
            return {"loss": F.mse_loss(self.predict(batch), batch["target"])}

        return (Phase("all", (Turn("all", self.parameters(), loss),)),)


class Mean(RadioModel):
    """The mean map."""

    title = "Mean"
    source = "these tests"
    conventions: ClassVar = {"static": "rmtools"}

    def __init__(self, task: Task = "static", *, size: int = 256) -> None:
        super().__init__(task)
        self.register_buffer("mean", torch.zeros(1, size, size))

    def fit(self, batches: Iterable[Batch]) -> None:
        maps = torch.cat([batch["target"] for batch in batches])
        self.mean.copy_(maps.mean(0))

    def predict(self, batch: Batch) -> Tensor:
        return self.mean.expand_as(batch["target"])
