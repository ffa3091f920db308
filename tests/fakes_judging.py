"""Models whose errors are known in closed form, and a dataset with a split to judge them on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from fakes_store import make_store
from rmtools.models.interface import Phase, RadioModel, Turn, noise
from rmtools.models.recipe import Optimiser, Recipe
from torch import Tensor, nn

from rmtools.splits import SplitSet, make_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.models.interface import Batch, Losses

    from rmtools.splits import SplitManifest

N = 32
TASKS = ("static", "dynamic", "sparse", "sparse-dynamic")


class Shifted(RadioModel):
    """The truth plus a constant on the model's own scale: it looks at the target."""

    title = "Shifted truth"
    source = "a test"
    conventions: ClassVar = {
        **dict.fromkeys(TASKS, "rmtools"),
        "forecast": "radiomapmotion-paper",
    }
    ablations: ClassVar = {"without shift": {"shift": 0.0}}

    def __init__(self, task: Any = "dynamic", *, shift: float = 0.05, target: Any = "grey") -> None:
        super().__init__(task, target=target)
        self.shift = shift

    def predict(self, batch: Batch) -> Tensor:
        return batch["target"] + self.shift


class Thresholded(Shifted):
    """The same on RadioUNet's scale; samples are times 256."""

    conventions: ClassVar = dict.fromkeys(TASKS, "radiounet")


class Signed(Shifted):
    """The same from -1 to 1."""

    conventions: ClassVar = dict.fromkeys(("static", "dynamic"), "radiodiff")


class Of256(Shifted):
    """The same of levels divided by 256."""

    conventions: ClassVar = dict.fromkeys(("static", "dynamic"), "radiodiff-irt4")


class Noisy(RadioModel):
    """The truth plus noise, which must not depend on the batch."""

    title = "Noisy truth"
    source = "a test"
    conventions: ClassVar = {**dict.fromkeys(TASKS, "rmtools"), "forecast": "radiomapmotion"}

    def __init__(self, task: Any = "dynamic", *, target: Any = "grey") -> None:
        super().__init__(task, target=target)
        self.layer = nn.Conv2d(1, 1, 1)

    def predict(self, batch: Batch) -> Tensor:
        target = batch["target"]
        return target + 0.1 * noise(batch["meta"], tuple(target.shape[1:])).to(target)


class Learner(RadioModel):
    """One number for all pixels, which is learnt; `samples` ties it to a number of samples."""

    title = "Learner"
    source = "a test"
    conventions: ClassVar = {**dict.fromkeys(TASKS, "rmtools"), "forecast": "radiomapmotion-paper"}
    recipes: ClassVar = {"quick": (Recipe(Optimiser("adam", 0.1), batch=8, steps=3),)}
    ablations: ClassVar = {"from half": {"begin": 0.5}}

    def __init__(self, task: Any = "dynamic", *, begin: float = 0.0, target: Any = "grey") -> None:
        super().__init__(task, target=target)
        self.level = nn.Parameter(torch.tensor(begin))

    def predict(self, batch: Batch) -> Tensor:
        shape = list(batch["input"].shape)
        if self.convention.window is None:
            shape[1] = 1
        else:
            shape[1] = self.convention.window[2]
        return self.level.expand(shape)

    def phases(self) -> tuple[Phase, ...]:
        def loss(batch: Batch) -> Losses:
            return {"loss": nn.functional.mse_loss(self.predict(batch), batch["target"])}

        return (Phase("level", (Turn("level", (self.level,), loss),)),)


class Tied(Learner):
    """The same with weights that belong to a number of samples."""

    conventions: ClassVar = dict.fromkeys(("sparse", "sparse-dynamic"), "rmtools")

    def __init__(self, task: Any = "sparse", *, samples: int = 9, target: Any = "grey") -> None:
        super().__init__(task, target=target)
        self.convention = replace(self.convention, samples=(samples, samples))


class Counting(Shifted):
    """The truth plus a tenth of the share of sampled pixels."""

    conventions: ClassVar = dict.fromkeys(("sparse", "sparse-dynamic"), "rmtools")

    def predict(self, batch: Batch) -> Tensor:
        share = batch["mask"].float().mean((1, 2, 3), keepdim=True)
        return batch["target"] + 0.1 * share


class Broken(Shifted):
    """Predicts one frame where there are several, or a row too few."""

    def predict(self, batch: Batch) -> Tensor:
        return batch["target"][..., :-1, :]


def make_data(root: Path, **options: Any) -> Path:
    """A small dataset with vehicles and without: six scenes, apart from each other."""
    store = make_store(root, **{"n": N, "scenes": 6, "traj": 1, "gap_m": 40.0, **options})
    store.create_static_maps({"solver": {"solver": "made up"}})
    for scene in range(store.sizes.scene):
        maps = [store.pathloss(scene, 0, tx)[0] - 1 for tx in range(store.sizes.tx)]
        store.write_static_maps(scene, np.stack(maps))
    return root


def make_split(**scenes: list[int]) -> SplitManifest:
    """A split of that dataset; every sequence of a scene is in its set."""
    scenes = scenes or {"train": [0, 1, 2], "val": [3], "test": [4, 5]}
    sets = {
        name: SplitSet(scenes=[f"fake_{k:03d}" for k in numbers], sequences=2 * len(numbers))
        for name, numbers in scenes.items()
    }
    return make_manifest(
        sets,
        name="by hand",
        method="geographic",
        description="for a test",
        dataset="A made-up dataset",
        leaky=False,
    )
