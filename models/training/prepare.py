"""From what is asked for to a model, its maps and a record of both."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rmtools.errors import InputError, RecipeError, RmtoolsError
from rmtools.files import sha256_file
from rmtools.layouts.maps import open_maps
from rmtools.splits.manifest import SPLIT_NAME, SplitManifest, read_manifest

from .. import build, find
from .cache import cached
from .checkpoint import load_checkpoint
from .data import dataset_of, with_fewer_scenes
from .identity import identify
from .options import change_recipes, constructor_options
from .record import SetsUsed, Setup, SplitIdentity
from .schedule import length

if TYPE_CHECKING:
    from collections.abc import Callable

    from rmtools.layouts.conventions import Task
    from rmtools.layouts.datasets import MapDataset
    from rmtools.layouts.maps import MapSource

    from ..interface import Phase, RadioModel

MANY_SCENES = 1000
"""Above this a split is not audited on the way: it takes minutes."""


@dataclass(frozen=True)
class Training:
    """What is to be trained: everything that the weights depend on.

    Attributes
    ----------
    model
        A name of :func:`rmtools.models.names`, or ``path/to/file.py:Class``.
    data
        A dataset in any layout.
    split
        A manifest, its file, the name of a published split, or None for the dataset's own.
    task
        None for the first one of the model.
    kind
        Family of maps; None for the only one that fits.
    recipe
        Name of the model's recipe.
    options, changes
        Of the model's constructor; and of the recipe, see
        :func:`~rmtools.models.training.options.change_recipes`.
    samples
        Least and largest number of samples, for the sparse tasks; None for the model's.
    context
        Frames seen, for forecasts; None for the model's. The frames to be predicted stay.
    train_set, val_set
        Names of the sets. A split without `val_set` is trained on without validation.
    train_scenes, train_fraction
        Train with a part of the scenes of the set only.
    check_maps
        Look at so many samples of the validation set only, evenly spread.
    seed
        Of first weights, order, masks and everything else.
    initial
        A checkpoint of the same model to start from (fine-tuning).
    """

    model: str
    data: Path | str
    split: SplitManifest | Path | str | None = None
    task: Task | None = None
    kind: str | None = None
    recipe: str = "quick"
    options: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    samples: tuple[int, int] | None = None
    context: int | None = None
    train_set: str = "train"
    val_set: str = "val"
    train_scenes: int | None = None
    train_fraction: float | None = None
    check_maps: int | None = None
    seed: int = 0
    initial: Path | None = None


@dataclass(frozen=True)
class Prepared:
    """All that is needed to start.

    Attributes
    ----------
    model, phases
        With its first weights, and how it is trained.
    train, val
        The samples.
    setup
        The record.
    notes
        What the person should know.
    """

    model: RadioModel
    phases: tuple[Phase, ...]
    train: MapDataset
    val: MapDataset | None
    setup: Setup
    notes: list[str]


def find_split(split: SplitManifest | Path | str | None, data: Path) -> SplitManifest:
    """The split that is meant.

    Raises
    ------
    RecipeError
        None is given and the dataset has none of its own.
    InputError
        It cannot be read.
    """
    if isinstance(split, SplitManifest):
        return split
    if split is not None:
        path = Path(split)
        if path.suffix == ".json" or path.is_file() or len(path.parts) > 1:
            return read_manifest(path)
        from rmtools.splits.inventory import inventory_of
        from rmtools.splits.published import published_split, restrict

        return restrict(published_split(str(split)), inventory_of(data))
    own = data / SPLIT_NAME
    if not own.is_file():
        raise RecipeError(
            "the dataset has no split of its own, and none was given.",
            where=data,
            remedy=f"Make one with `rmtools split {data} -o split.json` and give --split.",
        )
    return read_manifest(own)


def find_kind(source: MapSource, task: Task, kind: str | None) -> str:
    """The family of maps of a task; vehicles may go unmentioned where a kind is asked for."""
    vehicles = task in ("dynamic", "sparse-dynamic", "forecast")
    return source.the_kind(kind, vehicles=None if kind is not None and not vehicles else vehicles)


def prepare(
    asked: Training,
    *,
    cache: Path | None,
    say: Callable[[str], None] = lambda _: None,
    audit: bool = True,
    devices: int = 1,
) -> Prepared:
    """Make a model and its datasets.

    Parameters
    ----------
    asked
        What is to be trained.
    cache
        Folder of packed caches, see :func:`~rmtools.models.training.cache.cached`; None reads
        the dataset as it is.
    say
        Told what is done.
    audit
        Whether to look for leaks.
    devices
        That a batch will be divided among.

    Raises
    ------
    RmtoolsError
        Something that was asked for is not there or does not fit.
    """
    kind_of_model, data = find(asked.model), Path(asked.data)
    task: Task = asked.task if asked.task is not None else next(iter(kind_of_model.conventions))
    source = open_maps(data)
    split = find_split(asked.split, data)
    notes = [] if asked.split is not None else [f"split: {data / SPLIT_NAME} ({split.name})"]
    notes += _leaks(split, data, full=len(source.scene_names) <= MANY_SCENES) if audit else []
    if asked.train_set not in split.sets:
        raise RecipeError(
            f"the split has no set {asked.train_set!r}.",
            where=split.name,
            remedy=f"Choose one with --train-set: {', '.join(split.sets)}.",
        )
    kind = find_kind(source, task, asked.kind)
    options = _options(asked, kind_of_model, source.grid.n)
    torch.manual_seed(asked.seed)
    model = build(asked.model, task=task, **options)
    _follow(model, asked)
    if asked.initial is not None:
        load_checkpoint(asked.initial).load_into(model)
    phases = model.phases()
    recipes = _recipes(model, len(phases), asked)
    fewer = with_fewer_scenes(
        split, asked.train_set, asked.train_scenes, asked.train_fraction, asked.seed
    )
    if cache is None:
        identity = identify(source, kind)
        if source.layout != "packed":
            notes.append(f"reading {data} as it is ({source.layout}), which is slow")
    else:
        source, identity = cached(source, kind, cache, say)
    about: dict[str, Any] = {"task": task, "convention": model.convention, "kind": kind}
    train = dataset_of(source, fewer, asked.train_set, seed=asked.seed, **about)
    val = None
    if asked.val_set in split.sets:
        val = dataset_of(source, split, asked.val_set, **about)
    else:
        notes.append(
            f"the split has no set {asked.val_set!r}: nothing is validated, the last weights are "
            "kept"
        )
    for recipe in recipes:
        length(recipe, len(train), devices)  # before anything is made
    setup = Setup(
        model=asked.model,
        options=options,
        task=task,
        convention=model.convention,
        dataset=identity,
        split=SplitIdentity(name=split.name, sha256=split.sha256, leaky=split.leaky),
        sets=SetsUsed(
            train=asked.train_set,
            val=None if val is None else asked.val_set,
            train_scenes=fewer.sets[asked.train_set].scenes,
            train_samples=len(train),
            val_samples=0 if val is None else len(val),
        ),
        recipe=asked.recipe if phases else "",
        phases=list(recipes),
        check_maps=asked.check_maps,
        seed=asked.seed,
        initial_sha256=None if asked.initial is None else sha256_file(asked.initial),
    )
    return Prepared(model, phases, train, val, setup, notes)


def _options(asked: Training, model: type[RadioModel], n: int) -> dict[str, Any]:
    """Options of the constructor: those given, and those that follow from the data."""
    known, options = model.options(), constructor_options(asked.options)
    if unknown := [name for name in options if name not in known or name == "task"]:
        raise RecipeError(
            f"{model.title} has no option {unknown[0]!r}.",
            where=f"--set model.{unknown[0]}",
            remedy=f"Its options: {', '.join(name for name in known if name != 'task')}.",
        )
    following = {"size": n, "samples": asked.samples, "context": asked.context}
    if asked.samples is not None and asked.samples[0] == asked.samples[1]:
        following["samples"] = asked.samples[0]
    for name, value in following.items():
        if name in known and value is not None:
            options.setdefault(name, value)
    return options


def _follow(model: RadioModel, asked: Training) -> None:
    """Have the loaders follow what was asked for where the model leaves it to them."""
    convention = model.convention
    if asked.samples is not None:
        if convention.samples is None:
            raise RecipeError(f"the task {model.task!r} has no samples.", where="--samples")
        convention = replace(convention, samples=asked.samples)
    if asked.context is not None:
        if convention.window is None:
            raise RecipeError(f"the task {model.task!r} has no context.", where="--context")
        first, context, horizon = convention.window
        start = first + context - asked.context
        if asked.context < 1 or start < 0:
            raise RecipeError(
                f"{asked.context} frames of context before frame {first + context}.",
                where="--context",
                remedy=f"Give 1 to {first + context}.",
            )
        convention = replace(convention, window=(start, asked.context, horizon))
    model.convention = convention


def _recipes(model: RadioModel, phases: int, asked: Training) -> tuple[Any, ...]:
    if not phases:
        return ()
    if asked.recipe not in model.recipes:
        raise RecipeError(
            f"{model.title} has no recipe {asked.recipe!r}.",
            remedy=f"Choose one of {', '.join(model.recipes)}.",
        )
    recipes = model.recipes[asked.recipe][:phases]
    if len(recipes) < phases:
        raise RecipeError(
            f"{model.title} has {phases} phases, its recipe {asked.recipe!r} only {len(recipes)}.",
            remedy="Give the class one Recipe for each phase.",
        )
    return change_recipes(recipes, asked.changes)


def _leaks(split: SplitManifest, data: Path, *, full: bool) -> list[str]:
    """What the audit says of a split, as warnings."""
    from rmtools.audit import AuditReport
    from rmtools.audit import audit as check
    from rmtools.audit.text import verdict
    from rmtools.run.workspace import AUDIT_NAME
    from rmtools.splits.inventory import inventory_of

    try:
        report = AuditReport.read(data / AUDIT_NAME)
    except InputError:
        report = None
    if report is None or report.split_sha256 != split.sha256:
        try:
            inventory = inventory_of(data) if full else None
        except RmtoolsError:  # a layout that says nothing of places
            inventory = None
        report = check(split, inventory)
    if not report.leaks:
        return []
    return [
        f"warning: the split {split.name} {verdict(report)}; scores of its test set say little "
        "(rmtools audit shows the pairs)"
    ]
