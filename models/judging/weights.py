"""Weights of the models that are judged: found and checked, or trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rmtools.errors import RecipeError
from rmtools.files import read_model, sha256_file

from .. import find
from ..interface import RadioModel
from ..training import check_matches, load_checkpoint
from ..training.record import BEST_NAME, SUMMARY_NAME, TrainingSummary
from .results import Training

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..training import Checkpoint
    from .benchmark import Bench, Trained
    from .plan import Candidate

FOLDER = "checkpoints"
"""In the folder of the results, unless another one is named."""


def trainable(model: str) -> bool:
    """Whether there is anything for a model to learn."""
    kind = find(model)
    return bool(kind.recipes) or kind.fit is not RadioModel.fit


def train_or_load(candidate: Candidate, bench: Bench) -> Trained:
    """Give a model with its weights: as it is, loaded, or trained now.

    A training that was stopped goes on where it was.

    Raises
    ------
    RecipeError
        The weights that are there are of another dataset, recipe, seed or options.
    LeakError
        They were trained with another split, or with the set that is to be judged.
    """
    from .benchmark import Trained

    if not trainable(candidate.model):
        return Trained(bench.make(candidate).eval(), None)
    path, folder = _find(candidate, bench)
    loaded = path is not None
    if path is None:
        bench.say(f"{candidate.label}: training in {folder}")
        path = _train(candidate, bench, folder)
    checkpoint = load_checkpoint(path)
    maps, plan = bench.open(candidate.place), bench.plan
    notes = check_matches(
        checkpoint, maps.source, maps.kind, plan.split, plan.test, force=plan.force
    )
    differs = list(_differences(checkpoint, candidate, bench))
    if differs and not plan.force:
        raise RecipeError(
            f"these weights are not what is asked for: {'; '.join(differs)}.",
            where=path,
            remedy="Ask for what they are, name another folder with --checkpoints, or judge them "
            "all the same with --force.",
        )
    setup, summary = checkpoint.info.setup, _summary(folder)
    return Trained(
        checkpoint.build(candidate.model),
        Training(
            recipe=setup.recipe or "none",
            seed=setup.seed,
            checkpoint=str(path),
            sha256=sha256_file(path),
            loaded=loaded,
            scenes=len(setup.sets.train_scenes),
            minutes=None if summary is None else round(summary.seconds / 60.0, 2),
            notes=[*notes, *differs, *_cut_short(summary)],
        ),
    )


def _find(candidate: Candidate, bench: Bench) -> tuple[Path | None, Path]:
    """A finished checkpoint, if there is one, and the folder it is in or will be."""
    root = bench.plan.checkpoints or bench.out / FOLDER
    folder, file = root / candidate.folder, root / f"{candidate.folder}.ckpt"
    if file.is_file():
        return file, folder
    summary = _summary(folder)
    done = summary is None or summary.status == "finished"
    return (folder / BEST_NAME if done and (folder / BEST_NAME).is_file() else None), folder


def _summary(folder: Path) -> TrainingSummary | None:
    path = folder / SUMMARY_NAME
    if not path.is_file():
        return None
    return read_model(path, TrainingSummary, "the summary of a training", "Train it again.")


def _cut_short(summary: TrainingSummary | None) -> Iterator[str]:
    """Phases that time ended before their recipe did."""
    for phase in summary.phases if summary is not None else ():
        if phase.ended == "time":
            yield f"phase {phase.name!r} ended by time after {phase.steps:,} of {phase.of:,} steps"


def _train(candidate: Candidate, bench: Bench, folder: Path) -> Path:
    from ..training import Machine, train
    from ..training import Training as Asked

    plan = bench.plan
    initial = None
    if candidate.start is not None:
        start = train_or_load(candidate.start, bench).training
        initial = None if start is None else Path(start.checkpoint)
    asked = Asked(
        model=candidate.model,
        data=candidate.place.data,
        split=plan.split,
        task=plan.task,
        kind=candidate.place.kind,
        recipe=plan.recipe,
        options=dict(candidate.options),
        changes=dict(plan.changes),
        samples=candidate.samples or plan.samples,
        context=candidate.context,
        train_set=plan.train,
        val_set=plan.val,
        train_fraction=None if candidate.share == 1.0 else candidate.share,
        seed=plan.seed,
        initial=initial,
    )
    machine = Machine(
        accelerator="gpu" if torch.device(plan.device).type == "cuda" else "cpu",
        workers=plan.workers or None,
        compiled=plan.compiled,
        cache=bench.out,
        limit_minutes=plan.minutes,
    )
    return train(asked, folder, machine, resume=True, say=bench.say).checkpoint


def _differences(checkpoint: Checkpoint, candidate: Candidate, bench: Bench) -> Iterator[str]:
    """What of a training is not as asked for, in words."""
    setup, plan = checkpoint.info.setup, bench.plan
    wanted: dict[str, Any] = {"task": plan.task, "seed": plan.seed}
    if setup.recipe:
        wanted["recipe"] = plan.recipe
    for name, value in wanted.items():
        if getattr(setup, name) != value:
            yield f"{name} {getattr(setup, name)}, not {value}"
    options = {k: v for k, v in bench.constructor(candidate).items() if k != "task"}
    if setup.options != options:
        yield f"options {_listed(setup.options)}, not {_listed(options)}"
    samples = candidate.samples or plan.samples
    if samples is not None and setup.convention.samples != samples:
        yield f"{setup.convention.samples} samples, not {samples}"
    if (setup.initial_sha256 is None) != (candidate.start is None):
        yield "tuned from other weights" if candidate.start is None else "not tuned"
    total = len(plan.split.sets[plan.train].scenes) if plan.train in plan.split.sets else 0
    count = max(1, round(total * candidate.share))
    if total and len(setup.sets.train_scenes) != count:
        yield f"{len(setup.sets.train_scenes)} training scenes, not {count}"


def _listed(options: dict[str, Any]) -> str:
    return ", ".join(f"{k}={v}" for k, v in options.items()) or "none"
