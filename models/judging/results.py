"""``benchmark.json``: what was judged how, and the numbers. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rmtools.files import read_model
from rmtools.layouts.conventions import Task
from rmtools.metrics import ALL, REFERENCE
from rmtools.metrics.evaluation import ProtocolResult, ScaleUse, SplitUse

if TYPE_CHECKING:
    from pathlib import Path

RESULT_NAME = "benchmark.json"

StudyName = Literal["samples", "train-size", "transfer", "context", "horizon", "ablations"]
Value = float | int | str | bool | None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Scores(_Part):
    """What the evaluator says of one model."""

    maps: int = Field(description="Maps compared; every frame of a forecast is one")
    rows: int
    cols: int
    scale: ScaleUse
    target: str = Field(description="What the model's own scale was and how it was undone")
    clamped_pixels: int = Field(description="Predicted pixels outside [0, 1]")
    results: list[ProtocolResult] = Field(min_length=1)

    def values(self, protocol: str = REFERENCE, group: str = ALL) -> dict[str, float | None]:
        """Numbers of a group by name; empty where there is no such protocol or group."""
        for result in self.results:
            if result.protocol.name == protocol and group in result.groups:
                return result.groups[group].values
        return {}

    @property
    def groups(self) -> list[str]:
        """Names of all groups."""
        return list(self.results[0].groups)


class Timing(_Part):
    """How long a prediction takes, see docs/benchmarking.md."""

    device: str = Field(description="Name of the processor or GPU")
    threads: int | None = Field(description="Threads of the processor; null on a GPU")
    clock: Literal["CUDA events", "perf_counter"]
    precision: str
    compiled: bool = Field(description="Whether torch.compile was used")
    size: int = Field(description="Pixels per side")
    frames: int = Field(description="Maps in a prediction: frames of a forecast, else 1")
    ms: float = Field(description="Median for one prediction alone, batch 1")
    ms_least: float
    repeats: int = Field(description="Predictions timed after the warm-up")
    best_batch: int = Field(description="Batch of most predictions per second")
    ms_in_best_batch: float = Field(description="For one prediction of that batch, median")
    memory_mb: float | None = Field(description="Peak at batch 1 in 10^6 bytes; null: unknown")
    memory_is: str = Field(description="What was measured")

    @property
    def ms_per_map(self) -> float:
        """For one map, or one frame of a forecast, at batch 1."""
        return self.ms / self.frames

    @property
    def maps_per_s(self) -> float:
        """Maps or frames per second in the best batch."""
        return 1000.0 * self.frames / self.ms_in_best_batch


class Training(_Part):
    """How a judged model came to its weights."""

    recipe: str
    seed: int
    checkpoint: str = Field(description="File of the weights")
    sha256: str = Field(description="Of that file")
    loaded: bool = Field(description="Whether it was there before")
    scenes: int = Field(description="Training scenes")
    minutes: float | None = Field(description="It took; null where nothing says it")
    notes: list[str] = Field(default_factory=list)


def span(samples: tuple[int, int]) -> str:
    """A number of samples, or the least and the largest, in words."""
    low, high = samples
    return str(low) if low == high else f"{low} to {high}"


class Judged(_Part):
    """One model and its numbers."""

    label: str = Field(description="Name in the tables: the model, and what is not its default")
    model: str
    title: str
    source: str
    options: dict[str, Any]
    parameters: int
    trainable: int = Field(description="Parameters with a gradient")
    channels: list[str] = Field(description="Input channels; empty for forecasts")
    samples: tuple[int, int] | None = Field(description="Least and largest number of samples")
    window: tuple[int, int, int] | None = Field(description="First frame, context, horizon")
    training: Training | None = Field(description="null for what is not trained")
    scores: Scores
    timing: Timing | None = None
    key: str = Field(description="Digest of everything that decides the numbers")


class StudyPoint(_Part):
    """One model at one point of a study."""

    label: str
    model: str
    at: Value = Field(description="The number or variant studied")
    anew: bool = Field(description="Whether the model was trained for this point")
    scores: Scores


class Study(_Part):
    """A study of a paper, repeated."""

    name: StudyName
    title: str
    axis: str = Field(description="What `at` is")
    points: list[StudyPoint]


class DatasetUse(_Part):
    """The dataset."""

    title: str
    kind: str = Field(description="Family of maps")
    layout: str
    pixels: int = Field(description="Per side")
    resolution_m: float
    scenes: int
    identity: str = Field(description="Digest that checkpoints are compared by")


class AuditUse(_Part):
    """What the audit of the split found before anything was judged."""

    leaks: list[str] = Field(description="Level and finding; empty for a split without leaks")
    not_checked: list[str]

    @property
    def leaky(self) -> bool:
        """Whether the split leaks."""
        return bool(self.leaks)


class Machine(_Part):
    """Where it ran."""

    device: str
    torch: str
    precision: str


class Beside(_Part):
    """A published row beside ours."""

    label: str
    paper: str
    table: str
    printed: str = Field(description="The row as the paper calls it")
    setting: dict[str, Value]
    published: dict[str, float]
    protocol: str = Field(description="Protocol of our numbers in this row")
    ours: dict[str, float | None]
    differs: list[str]
    note: str | None = Field(description="What is odd about the published row")


class Benchmark(_Part):
    """Result of ``rmtools benchmark``."""

    kind: Literal["benchmark"] = "benchmark"
    format: Literal[1] = 1
    rmtools_version: str
    task: Task
    recipe: str
    seed: int
    dataset: DatasetUse
    split: SplitUse
    training_set: str | None = Field(description="Name of the set that models are trained on")
    audit: AuditUse
    leaky: bool = Field(description="Then the numbers are no measure of anything new")
    frames: list[int] | None = Field(description="Frames judged, null for all")
    samples: tuple[int, int] | None
    window: tuple[int, int, int] | None
    protocols: Annotated[list[str], Field(min_length=1)]
    machine: Machine
    models: list[Judged]
    studies: list[Study] = Field(default_factory=list)
    beside: list[Beside] = Field(default_factory=list)
    failed: dict[str, str] = Field(
        default_factory=dict, description="Models that could not be judged, and why"
    )

    @classmethod
    def read(cls, path: Path) -> Benchmark:
        """Read a result.

        Raises
        ------
        InputError
            Missing, not JSON, or a member is missing or wrong.
        """
        return read_model(path, cls, "the result of a benchmark", "Run `rmtools benchmark` again.")
