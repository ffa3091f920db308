"""The verb that judges models: ``rmtools benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from rmtools.cli._output import Json, hint, result, say
from rmtools.cli.train import TASK_ALIASES, TaskName

if TYPE_CHECKING:
    from rmtools.layouts.conventions import Task
    from rmtools.models.judging.results import Benchmark

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]


def benchmark(
    models: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="Models to judge: names of docs/models.md, or path/to/file.py:Class.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path, typer.Option(help="Dataset in any layout; packed is fast.", show_default=False)
    ],
    split: Annotated[
        str | None,
        typer.Option(
            help="Split manifest, or the name of a published split; by default the dataset's own."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the results; run again to go on.")
    ] = Path("benchmark"),
    task: Annotated[
        TaskName, typer.Option(help="What the models are to do, as for rmtools train.")
    ] = "static",
    kind: Annotated[
        str | None, typer.Option(help="Family of maps, such as DPM; the only one by default.")
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="Recipe of what is trained: quick or paper.")
    ] = "quick",
    checkpoints: Annotated[
        Path | None,
        typer.Option(help="Folder of trainings by model; what is missing is trained there."),
    ] = None,
    limit_minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="Longest training of one model; what it ended is marked."),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(help="Evaluate as a paper did, beside the reference. May be repeated."),
    ] = None,
    study: Annotated[
        list[str] | None,
        typer.Option(
            help="samples=9,16,25, train-size=0.1,0.5,1, transfer=KIND_OR_DATASET[:0,0.1,0.3], "
            "context=2,6,10, horizon or ablations. May be repeated."
        ),
    ] = None,
    retrain: Annotated[
        bool,
        typer.Option(
            "--retrain", help="In studies of samples and context, train for every number."
        ),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="An option of a model, such as radiodun.blocks=2, or of all recipes, such as "
            "recipe.batch=8. May be repeated.",
        ),
    ] = None,
    samples: Annotated[
        str | None, typer.Option(help="Samples of a map for all models, such as 9 or 10-299.")
    ] = None,
    frames: Annotated[
        str | None, typer.Option(help="Frames to judge, such as 0,7,14; for the dynamic tasks.")
    ] = None,
    test_set: Annotated[str, typer.Option(help="Set to judge on.")] = "test",
    train_set: Annotated[str, typer.Option(help="Set to train on.")] = "train",
    val_set: Annotated[str, typer.Option(help="Set to choose weights by.")] = "val",
    seed: Annotated[int, typer.Option(help="Of training and sample masks.")] = 0,
    device: Annotated[
        str | None, typer.Option(help="Such as cpu or cuda:0; a GPU where there is one.")
    ] = None,
    precision: Annotated[Precision, typer.Option(help="Of predicting.")] = "32-true",
    compiled: Annotated[
        bool, typer.Option("--compile", help="Train and take the time with torch.compile.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Maps predicted at a time.")] = 16,
    workers: Annotated[
        int, typer.Option("--workers", "-j", min=0, help="Processes that read.")
    ] = 0,
    timing_s: Annotated[
        float,
        typer.Option(min=0.0, help="Seconds to take time for each batch size; 0 for no timing."),
    ] = 2.0,
    pictures: Annotated[
        int, typer.Option(min=0, max=32, help="Test maps on the contact sheet.")
    ] = 4,
    allow_leaky: Annotated[
        bool, typer.Option("--allow-leaky", help="Judge on a split that leaks; all is marked.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Judge weights that were trained on something else.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train or load models, judge them on a test set, and set the papers' tables beside ours."""
    from rmtools.errors import ExitCode, MissingError
    from rmtools.models import find

    names = tuple(dict.fromkeys(name.strip() for name in models.split(",") if name.strip()))
    if not names:
        raise typer.BadParameter("give at least one model", param_hint="--models")
    for name in names:
        find(name)
    import torch

    from rmtools.metrics.evaluation import parse_frames
    from rmtools.models.judging.benchmark import Bench
    from rmtools.models.judging.plan import Place, Plan, parse_samples, parse_settings, parse_study
    from rmtools.models.judging.tables import lines
    from rmtools.models.judging.timing import Budget
    from rmtools.models.training.prepare import find_split

    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise MissingError("there is no CUDA device.", where=device, remedy="Use --device cpu.")
    options, changes = parse_settings(settings or [], names)
    plan = Plan(
        place=Place(data, kind),
        split=find_split(split, data),
        models=names,
        options=options,
        changes=changes,
        task=TASK_ALIASES.get(task, cast("Task", task)),
        test=test_set,
        train=train_set,
        val=val_set,
        recipe=recipe,
        seed=seed,
        protocols=tuple(protocol or ()),
        samples=parse_samples(samples) if samples else None,
        frames=tuple(sorted(parse_frames(frames))) if frames else None,
        studies=tuple(parse_study(text) for text in study or ()),
        retrain=retrain,
        device=device,
        precision=precision,
        compiled=compiled,
        workers=workers,
        batch=batch,
        checkpoints=checkpoints,
        minutes=limit_minutes,
        timing=Budget(seconds=timing_s) if timing_s else None,
        pictures=pictures,
        allow_leaky=allow_leaky,
        force=force,
    )
    bench = Bench(plan, out, say=say)
    try:
        found = bench.run()
    except KeyboardInterrupt as interrupt:
        say("stopped; the same command goes on from here")
        raise typer.Exit(ExitCode.INTERRUPTED) from interrupt
    paths = bench.write(found)
    _warn(found)
    result(
        found.model_dump(mode="json"), [*lines(found), *(str(p) for p in paths)], as_json=as_json
    )
    if found.failed:
        raise typer.Exit(ExitCode.INVALID)
    hint(f"open {out / 'benchmark.md'}, {out / 'benchmark.svg'} and {out / 'predictions.png'}")


def _warn(found: Benchmark) -> None:
    """Say what a reader of the table alone would not know."""
    if found.leaky:
        say("note: the split leaks; every table is marked")
    for label, why in found.failed.items():
        say(f"note: {label} was not judged: {why}")


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(benchmark)
