"""The verbs of models: ``rmtools train`` and ``rmtools predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rmtools.cli._output import Json, hint, result, say
from rmtools.errors import ExitCode

if TYPE_CHECKING:
    from rmtools.layouts.conventions import Task
    from rmtools.models.training.record import TrainingSummary

TaskName = Literal[
    "srm", "drm", "sparse", "sparse-drm", "forecast", "static", "dynamic", "sparse-dynamic"
]
"""Tasks of docs/loaders.md; srm and drm are the papers' names of the static and dynamic one."""

TASK_ALIASES: dict[str, Task] = {"srm": "static", "drm": "dynamic", "sparse-drm": "sparse-dynamic"}

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
Accelerator = Literal["auto", "cpu", "gpu"]
Format = Literal["npy", "png"]

Data = Annotated[
    Path | None,
    typer.Option(help="A dataset: its folder, a store, a layout, an HDF5 file, a packed cache."),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Split manifest, or the name of a published split; the dataset's own when not given."
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(help="Family of maps, such as DPM; the only one that fits when not given."),
]


def train(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A model of --list, or one of your own: path/to/file.py:Class.",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    split: Split = None,
    task: Annotated[
        TaskName | None,
        typer.Option(
            help="srm: static maps; drm: maps with vehicles; sparse and sparse-drm: the same from "
            "samples; forecast: the next frames. The model's first one when not given. Also: "
            "static, dynamic, sparse-dynamic."
        ),
    ] = None,
    kind: Kind = None,
    recipe: Annotated[
        str, typer.Option(help="quick: sensible in minutes; paper: as published.")
    ] = "quick",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to make; runs/MODEL-TASK when not given."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on where this training was stopped, by its last step."),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of first weights, order and samples.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change the recipe (recipe.batch=8, recipe.steps=500, recipe.2.steps=500 for the "
            "second phase, recipe.optimiser.learning_rate=1e-3) or give an option of the model "
            "(model.width=32). May be repeated.",
        ),
    ] = None,
    samples: Annotated[
        str | None,
        typer.Option(help="Samples of each map for the sparse tasks, such as 300 or 10-300."),
    ] = None,
    context: Annotated[
        int | None, typer.Option(min=1, help="Frames seen for forecasts; the same are predicted.")
    ] = None,
    train_scenes: Annotated[
        int | None, typer.Option(min=1, help="Train with so many scenes of the set only.")
    ] = None,
    train_fraction: Annotated[
        float | None, typer.Option(help="Train with this share of the scenes only.")
    ] = None,
    train_set: Annotated[str, typer.Option(help="Set of the split to train with.")] = "train",
    val_set: Annotated[str, typer.Option(help="Set of the split to choose weights by.")] = "val",
    check_maps: Annotated[
        int | None,
        typer.Option(min=1, help="Look at so many samples of the validation set, not at all."),
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option("--from", help="Start from the weights of a checkpoint (fine-tuning)."),
    ] = None,
    limit_minutes: Annotated[
        float | None,
        typer.Option(min=0.0, help="End after so many minutes, divided among the phases."),
    ] = None,
    accelerator: Annotated[Accelerator, typer.Option(help="Where to compute.")] = "auto",
    devices: Annotated[
        int, typer.Option(min=1, help="GPUs; each takes its part of every batch.")
    ] = 1,
    precision: Annotated[
        Precision | None, typer.Option(help="Instead of the recipe's.", show_default=False)
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Use torch.compile, for long trainings on a GPU.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option("--workers", "-j", min=0, help="Processes that read maps, for each device."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the packed copy of the maps; beside --out when not given. It is made "
            "once and shared by all trainings there."
        ),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Read the dataset as it is; slow.")
    ] = False,
    save_minutes: Annotated[
        float, typer.Option(min=0.0, help="Least time between two writings of last.ckpt.")
    ] = 2.0,
    list_all: Annotated[bool, typer.Option("--list", help="List the models and stop.")] = False,
    as_json: Json = False,
) -> None:
    """Train a model on a dataset; docs/models.md shows how to add one of your own.

    The folder gets best.ckpt (for rmtools predict and rmtools benchmark), last.ckpt (for
    --resume), training.json, metrics.csv and tensorboard/. Ctrl-C finishes the step and saves.
    """
    if list_all:
        _list(as_json=as_json)
        return
    if model is None or data is None:
        raise typer.BadParameter("give a model and --data, or --list")
    from rmtools.models import find
    from rmtools.models.training import Machine, Training
    from rmtools.models.training import train as fit
    from rmtools.models.training.options import read_settings
    from rmtools.models.training.prepare import find_split

    options, changes = read_settings(settings or [])
    name: Any = TASK_ALIASES.get(str(task), task)
    asked = Training(
        model=model,
        data=data,
        split=split,
        task=name,
        kind=kind,
        recipe=recipe,
        options=options,
        changes=changes,
        samples=None if samples is None else _samples(samples),
        context=context,
        train_set=train_set,
        val_set=val_set,
        train_scenes=train_scenes,
        train_fraction=train_fraction,
        check_maps=check_maps,
        seed=seed,
        initial=initial,
    )
    machine = Machine(
        accelerator=accelerator,
        devices=devices,
        precision=precision,
        workers=workers,
        compiled=compiled,
        cache=cache,
        use_cache=not no_cache,
        limit_minutes=limit_minutes,
        save_minutes=save_minutes,
    )
    short = model.rpartition(":")[2].lower()
    folder = out or Path("runs") / f"{short}-{name or next(iter(find(model).conventions))}"
    try:
        done = fit(asked, folder, machine, resume=resume, say=say)
    except KeyboardInterrupt as stop:
        typer.echo(f"error: {stop or 'stopped.'}", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from stop
    if not done.main:
        return
    summary = done.summary
    value = {"folder": str(folder), "checkpoint": str(done.checkpoint)}
    result(
        {**value, **summary.model_dump(mode="json")},
        [*_lines(summary), str(done.checkpoint)],
        as_json=as_json,
    )
    others = [name for name in find_split(split, data).sets if name not in (train_set, val_set)]
    chosen = f" --set {others[-1]}" if others else ""
    hint(f"rmtools predict {done.checkpoint} --data {data}{chosen} --out predictions")


def _lines(summary: TrainingSummary) -> list[str]:
    lines = [f"{summary.title}, {summary.parameters:,} parameters, {summary.seconds / 60:.1f} min"]
    for phase in summary.phases:
        score = "not validated" if phase.score is None else f"best check {phase.score:.6g}"
        lines.append(
            f"{phase.name}: {score} after step {phase.best_step:,} of {phase.steps:,} "
            f"({phase.epochs:.1f} epochs), ended by {phase.ended}"
        )
    if not summary.phases and summary.score is not None:
        lines.append(f"mean squared error of the validation set {summary.score:.6g}")
    return lines


def _samples(text: str) -> tuple[int, int]:
    """Least and largest number of samples from ``300`` or ``10-300``."""
    low, _, high = text.replace(",", "-").partition("-")
    try:
        return int(low), int(high or low)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no number of samples; 300 or 10-300") from error


def _list(*, as_json: bool) -> None:
    from rmtools.models.training.listing import list_models

    found = list_models()
    lines = [f"{'model':<16} {'parameters':>12}  {'recipes':<12} {'tasks':<42} source"]
    for each in found:
        count = "" if each["parameters"] is None else f"{each['parameters']:,}"
        recipes, tasks = ", ".join(each["recipes"]), ", ".join(each["tasks"])
        lines.append(f"{each['name']:<16} {count:>12}  {recipes:<12} {tasks:<42} {each['source']}")
    result({"models": found}, lines, as_json=as_json)
    hint("rmtools train radiounet --data DATASET")


def predict(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="best.ckpt, or the folder of a training.", show_default=False),
    ],
    data: Data = None,
    split: Split = None,
    set_name: Annotated[str, typer.Option("--set", help="Set of the split.")] = "test",
    kind: Kind = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to make.")] = Path("predictions"),
    form: Annotated[
        Format, typer.Option("--format", help="npy: floats in [0, 1]; png: grey levels.")
    ] = "npy",
    model: Annotated[
        str | None, typer.Option(help="File of a model of your own: path/to/file.py:Class.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Maps at a time.")] = 16,
    accelerator: Annotated[Accelerator, typer.Option(help="Where to compute.")] = "auto",
    force: Annotated[
        bool, typer.Option("--force", help="Also on another dataset, split or on a trained set.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Predict the maps of a set with a trained model, as files for ``rmtools evaluate``."""
    from rmtools.models.training import load_checkpoint
    from rmtools.models.training.predict import Chosen, predict_set

    if data is None:
        raise typer.BadParameter("give --data")
    try:
        found = load_checkpoint(checkpoint)
        done = predict_set(
            found,
            found.build(model),
            Chosen(data, split, set_name, kind),
            out,
            form=form,
            batch=batch,
            accelerator=accelerator,
            force=force,
        )
    except KeyboardInterrupt as stop:
        typer.echo("error: stopped. The predictions that were written are complete.", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from stop
    for difference in done.differences:
        say(f"warning: {difference}")
    result(
        {"path": str(out), "maps": done.maps, "differences": done.differences},
        [f"{done.maps:,} maps", str(out)],
        as_json=as_json,
    )
    if done.comparable:
        frames = f" --frames {done.frames}" if done.frames else ""
        given = f" --split {split or data / 'split.json'} --set {set_name}"
        hint(f"rmtools evaluate {out} {data}{given}{frames}")


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    for verb in (train, predict):
        app.command()(verb)
