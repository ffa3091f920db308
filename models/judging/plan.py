"""What a benchmark is asked for: models, data, split, and the papers' studies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import yaml

from rmtools.errors import RecipeError
from rmtools.files import sha256_json
from rmtools.metrics import REFERENCE

from .results import StudyName, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rmtools.layouts.conventions import Task
    from rmtools.splits.manifest import SplitManifest

    from .results import Value
    from .timing import Budget

SHARES = (0.0, 0.1, 0.3)
"""Shares of the other training set that a transfer is tuned with; RadioDUN's Table IV."""

Shown = Literal["numbers", "shares", "transfer", "nothing"]
STUDIES: dict[StudyName, Shown] = {
    "samples": "numbers",
    "context": "numbers",
    "train-size": "shares",
    "transfer": "transfer",
    "horizon": "nothing",
    "ablations": "nothing",
}
"""What each study is told behind its name."""


@dataclass(frozen=True)
class StudyPlan:
    """A study that was asked for.

    Attributes
    ----------
    name
        Which.
    at
        Numbers of samples, lengths of the context, or shares of the training scenes.
    other
        Of a transfer: another dataset, or another kind of maps of the same one.
    """

    name: StudyName
    at: tuple[float, ...] = ()
    other: str | None = None


@dataclass(frozen=True)
class Place:
    """Where maps are: a dataset and, if it has several, the kind of its maps."""

    data: Path
    kind: str | None = None


@dataclass(frozen=True)
class Candidate:
    """A model with weights of its own: everything that decides them but recipe, split and seed.

    Attributes
    ----------
    model
        A name of :func:`rmtools.models.names`.
    options
        Of its constructor, beside task and size.
    place
        What it is trained on.
    share
        Share of the training scenes.
    samples, context
        What it is trained for, other than the plan says.
    start
        Whose weights it starts from.
    variant
        Name for tables where options say too little.
    """

    model: str
    place: Place
    options: Mapping[str, Any] = field(default_factory=dict)
    share: float = 1.0
    samples: tuple[int, int] | None = None
    context: int | None = None
    start: Candidate | None = None
    variant: str = ""

    @property
    def plain(self) -> bool:
        """Whether this is just the model, trained on all there is."""
        special = (self.samples, self.context, self.start)
        return not self.options and self.share == 1.0 and special == (None, None, None)

    @property
    def label(self) -> str:
        """Name in tables."""
        said = [self.variant] if self.variant else [f"{k}={v}" for k, v in self.options.items()]
        if self.share != 1.0:
            said.append(f"{self.share:.0%} of the training scenes")
        if self.samples is not None:
            said.append(f"for {span(self.samples)} samples")
        if self.context is not None:
            said.append(f"for {self.context} frames")
        if self.start is not None:
            said.append(f"tuned on {self.place.kind or self.place.data.name}")
        return f"{self.name} ({', '.join(said)})" if said else self.name

    @property
    def name(self) -> str:
        """The model's name, or the class of a file."""
        return self.model.rpartition(":")[2]

    def describe(self) -> dict[str, Any]:
        """As JSON values, for digests."""
        return {
            "model": self.model,
            "data": str(self.place.data.resolve()),
            "kind": self.place.kind,
            "options": {name: str(value) for name, value in self.options.items()},
            "share": self.share,
            "samples": self.samples,
            "context": self.context,
            "start": None if self.start is None else self.start.describe(),
        }

    @property
    def folder(self) -> str:
        """Name of a folder for its weights: that of the model, if there is nothing special."""
        return self.name if self.plain else f"{self.name}-{sha256_json(self.describe())[:10]}"


@dataclass(frozen=True)
class Plan:
    """A benchmark.

    Attributes
    ----------
    place, split
        Dataset and split.
    models, options
        Names of models, and options of their constructors by name.
    task
        See docs/loaders.md.
    test, train, val
        Names of the sets that models are judged on, trained on and chosen by.
    recipe, changes, seed
        Of the training; changes are those of `rmtools train --set recipe.KEY=VALUE`.
    protocols
        Names or files of metrics protocols; the reference is always among them.
    samples
        Least and largest number of samples that all models are trained for and judged with; None
        for the models' own, which must agree.
    frames
        Frames of each sequence that are judged, for the dynamic tasks; None for all.
    studies, retrain
        What else is done, and whether studies of samples and context train every model for each
        number, as the papers do, or only those whose weights belong to a number.
    device, precision, compiled, workers, batch
        Where and how models run; `batch` is that of judging.
    checkpoints
        Folder of trainings by the name of the model (``radiounet/best.ckpt``): what is there is
        loaded, what is missing is trained there. None for a folder in that of the results.
    minutes
        Longest training of one model; None for no limit. It makes results depend on the machine.
    timing
        How long to take time for each model, None for not at all.
    pictures
        Test maps on the contact sheet.
    allow_leaky, force
        Judge on a split that leaks, and models trained on something else; both are marked.
    """

    place: Place
    split: SplitManifest
    models: tuple[str, ...]
    task: Task
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    test: str = "test"
    train: str = "train"
    val: str = "val"
    recipe: str = "quick"
    changes: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    protocols: tuple[str, ...] = (REFERENCE,)
    samples: tuple[int, int] | None = None
    frames: tuple[int, ...] | None = None
    studies: tuple[StudyPlan, ...] = ()
    retrain: bool = False
    device: str = "cpu"
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    compiled: bool = False
    workers: int = 0
    batch: int = 16
    checkpoints: Path | None = None
    minutes: float | None = None
    timing: Budget | None = None
    pictures: int = 4
    allow_leaky: bool = False
    force: bool = False


def parse_study(text: str) -> StudyPlan:
    """A study as it is written on the command line.

    ``samples=9,16,25``, ``context=2,4,6``, ``train-size=0.1,0.5,1``, ``transfer=IRT4`` or
    ``transfer=IRT4:0,0.1,0.3``, ``horizon``, ``ablations``.

    Raises
    ------
    RecipeError
        Something else.
    """
    name, _, rest = text.partition("=")
    if name not in get_args(StudyName):
        raise RecipeError(
            f"there is no study {name!r}.", remedy=f"Choose among {', '.join(get_args(StudyName))}."
        )
    study, kind = cast("StudyName", name), STUDIES[cast("StudyName", name)]
    if kind == "nothing":
        if rest:
            raise RecipeError(f"the study {name} takes nothing behind =.", where=text)
        return StudyPlan(study)
    if kind == "transfer":
        other, _, shares = rest.rpartition(":") if ":" in rest else (rest, "", "")
        if not other:
            raise RecipeError(
                "a transfer needs another dataset or kind of maps.",
                where=text,
                remedy="Write it like transfer=IRT4 or transfer=other/dataset:0,0.1,0.3.",
            )
        at = _numbers(text, shares, low=0.0, high=1.0) if shares else SHARES
        return StudyPlan(study, at, other)
    if kind == "shares":
        return StudyPlan(study, _numbers(text, rest, low=1e-6, high=1.0))
    at = _numbers(text, rest, low=1.0, high=1e9)
    if any(value != int(value) for value in at):
        raise RecipeError("whole numbers are wanted.", where=text)
    return StudyPlan(study, tuple(int(value) for value in at))


def _numbers(text: str, part: str, *, low: float, high: float) -> tuple[float, ...]:
    try:
        found = tuple(float(value) for value in part.split(","))
    except ValueError:
        found = ()
    if not found or not all(low <= value <= high for value in found):
        raise RecipeError(
            f"{part!r} is no list of numbers from {low:g} to {high:g}.",
            where=text,
            remedy="Write it like samples=9,16,25 or train-size=0.1,0.5,1.",
        )
    return found


def parse_settings(
    texts: Iterable[str], models: Iterable[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Sort ``--set`` into options of each model and changes to all recipes.

    ``radiodun.blocks=2`` is an option of the constructor, ``recipe.batch=8`` a change to the
    recipe of every model. Values are YAML, numbers may be written 1e-3.

    Raises
    ------
    RecipeError
        Something else, or a model that is not judged.
    """
    options: dict[str, dict[str, Any]] = {name: {} for name in models}
    changes: dict[str, Any] = {}
    short = {name.rpartition(":")[2]: name for name in options}
    for text in texts:
        key, _, value = text.partition("=")
        section, _, name = key.strip().partition(".")
        if not name or not value or section not in ("recipe", *short):
            raise RecipeError(
                "neither an option of a model that is judged nor of a recipe.",
                where=text,
                remedy=f"Write it like {next(iter(short), 'radiodun')}.NAME=VALUE or "
                "recipe.batch=8.",
            )
        (changes if section == "recipe" else options[short[section]])[name] = _value(value, text)
    return options, changes


def _value(value: str, where: str) -> Any:
    """YAML, but 1e-3 is a number."""
    try:
        found = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise RecipeError("the value cannot be read as YAML.", where=where) from error
    try:
        return float(found) if isinstance(found, str) else found
    except ValueError:
        return found


def parse_samples(text: str) -> tuple[int, int]:
    """A number of samples, or the least and the largest: ``9`` or ``10-299``.

    Raises
    ------
    RecipeError
        Something else.
    """
    low, _, high = text.partition("-")
    if not (low.isdigit() and (high or low).isdigit()) or not 1 <= int(low) <= int(high or low):
        raise RecipeError(f"{text!r} is no number of samples.", remedy="Write it like 9 or 10-299.")
    return int(low), int(high or low)


def other_place(plan: Plan, other: str) -> Place:
    """Where the maps of a transfer are: a folder, or a kind of the dataset at hand."""
    path = Path(other)
    return Place(path) if path.exists() else replace(plan.place, kind=other)


def whole(value: float) -> Value:
    """A number of a study as it is printed and stored: whole where it is whole."""
    return int(value) if value == int(value) else value
