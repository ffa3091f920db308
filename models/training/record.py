"""What a training writes down about itself: in its checkpoints and in ``training.json``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rmtools.layouts.conventions import Convention, Task

from ..recipe import Recipe

SUMMARY_NAME = "training.json"
BEST_NAME = "best.ckpt"
LAST_NAME = "last.ckpt"
METRICS_NAME = "metrics.csv"
TENSORBOARD_NAME = "tensorboard"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetIdentity(_Record):
    """Which maps were used; the same for every layout that holds the same ones."""

    title: str
    layout: str = Field(description="What it was read from")
    kind: str = Field(description="Family of maps")
    scenes: int
    n: int = Field(description="Pixels per side")
    scale: str = Field(description="Name of the grey scale")
    store_sha256: str | None = Field(
        description="Digest as in split manifests; null where it was not read from a store"
    )
    content_sha256: str = Field(
        description="Digest of names, sizes, all building masks and 16 of the maps as grey levels"
    )


class SplitIdentity(_Record):
    """Which split was used."""

    name: str
    sha256: str = Field(description="Digest of the sets, as in the manifest")
    leaky: bool


class SetsUsed(_Record):
    """Who was trained and validated with."""

    train: str
    val: str | None = Field(description="null when nothing was validated")
    train_scenes: list[str] = Field(description="Names; fewer than the set's when it was cut")
    train_samples: int = Field(description="Maps, or windows of sequences")
    val_samples: int


class Setup(_Record):
    """Everything that the weights depend on."""

    model: str
    options: dict[str, Any] = Field(description="Of the model's constructor, beside the task")
    task: Task
    convention: Convention
    dataset: DatasetIdentity
    split: SplitIdentity
    sets: SetsUsed
    recipe: str = Field(description="Name of the recipe that the phases started from")
    phases: list[Recipe] = Field(description="Recipes as used, with what was changed")
    check_maps: int | None = Field(
        default=None, description="Samples of the validation set that were looked at, null for all"
    )
    seed: int
    initial_sha256: str | None = Field(
        default=None, description="Digest of the checkpoint whose weights were started from"
    )


class CheckpointInfo(_Record):
    """What a checkpoint is."""

    kind: Literal["checkpoint"] = "checkpoint"
    format: Literal[1] = 1
    rmtools_version: str
    torch_version: str
    setup: Setup
    phase: int = Field(description="Counted from 1; 0 for models that are not trained by phases")
    phase_name: str
    step: int = Field(description="Steps of the optimiser taken in that phase")
    score: float | None = Field(description="Of the validation set, lower is better")

    @property
    def complete(self) -> bool:
        """Whether these are weights of the last phase."""
        return self.phase == len(self.setup.phases)


class PhaseResult(_Record):
    """How a phase went."""

    name: str
    steps: int
    of: int = Field(description="Steps that the recipe allows")
    epochs: float = Field(description="Looks at the training set")
    score: float | None = Field(description="Best of the validation set")
    best_step: int
    ended: Literal["length", "patience", "time"] = Field(description="What ended it")
    seconds: float


class TrainingSummary(_Record):
    """``training.json``: what was trained, how, and how it went."""

    kind: Literal["training"] = "training"
    format: Literal[1] = 1
    rmtools_version: str
    torch_version: str
    setup: Setup
    title: str = Field(description="Name of the model in tables")
    parameters: int
    status: Literal["running", "stopped", "finished"]
    phases: list[PhaseResult] = Field(description="Those that are finished")
    score: float | None
    device: str
    devices: int
    precision: list[str] = Field(description="As used, for each phase")
    seconds: float
    notes: list[str] = Field(description="What was done otherwise than asked for, and warnings")
