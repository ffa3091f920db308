"""The verb that measures predictions."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rmtools.cli._output import Json, result, say
from rmtools.errors import ExitCode

if TYPE_CHECKING:
    from rmtools.metrics.evaluation import Evaluation

Mask = Literal["buildings"]
Scale = Literal["radiomapseer", "radiomapmotion"]


class Group(StrEnum):
    """What numbers can be printed by; typer takes no list of literals."""

    FRAME = "frame"
    DISTANCE = "distance"
    LOS = "los"


def evaluate(
    pred: Annotated[
        Path,
        typer.Argument(
            help="Predictions: a folder of PNG, npy or npz files, one npy or npz file, a store or "
            "a layout.",
            show_default=False,
        ),
    ],
    truth: Annotated[
        Path, typer.Argument(help="The truth, likewise, with the same names.", show_default=False)
    ],
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            help="Evaluate as a paper did, beside the reference: a name of docs/metrics.md or a "
            "file. May be repeated."
        ),
    ] = None,
    split: Annotated[
        Path | None, typer.Option(help="Split manifest that says which maps to evaluate.")
    ] = None,
    set_name: Annotated[
        str | None, typer.Option("--set", help="Set of the split, such as test.")
    ] = None,
    frames: Annotated[
        str | None, typer.Option(help="Frames to evaluate, such as 10-14 or 10,12.")
    ] = None,
    mask: Annotated[
        Mask | None, typer.Option(help="buildings: also evaluate the pixels outside buildings.")
    ] = None,
    by: Annotated[
        list[Group] | None,
        typer.Option(
            help="Also print the numbers of each frame, of classes of distance from the "
            "transmitter, or of line of sight and shadow. May be repeated."
        ),
    ] = None,
    scale: Annotated[
        Scale | None, typer.Option(help="Grey scale of maps that do not say theirs.")
    ] = None,
    common: Annotated[
        bool, typer.Option("--common", help="Leave out maps that have no prediction.")
    ] = False,
    workers: Annotated[
        int, typer.Option("--workers", "-j", min=0, help="Threads to use; 0 for all cores.")
    ] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write the result there as JSON.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure predicted radio maps against true ones, by our specification and a paper's."""
    from rmtools.files import write_json
    from rmtools.metrics import REFERENCE, load_protocol
    from rmtools.metrics.evaluation import evaluate as measure
    from rmtools.metrics.evaluation import parse_frames, select
    from rmtools.metrics.maps import open_maps
    from rmtools.metrics.table import table
    from rmtools.run.progress import Progress
    from rmtools.splits.manifest import read_manifest
    from rmtools.units import SCALES

    protocols = [load_protocol(name) for name in dict.fromkeys([*(protocol or []), REFERENCE])]
    grey_scale = SCALES[scale] if scale else None
    truth_maps = open_maps(truth, grey_scale, truth=True)
    pred_maps = open_maps(pred, grey_scale, truth=False)
    selection = select(
        truth_maps,
        manifest=read_manifest(split) if split else None,
        set_name=set_name,
        frames=parse_frames(frames) if frames else None,
        partly=common,
    )
    try:
        with Progress() as progress:
            progress.start("evaluate", len(selection.ids), 0)
            evaluation = measure(
                pred_maps,
                truth_maps,
                protocols,
                selection,
                by=[*([mask] if mask else []), *(group.value for group in by or [])],
                only_common=common,
                workers=workers or os.cpu_count() or 1,
                advance=progress.advance,
            )
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from interrupt
    value = evaluation.model_dump(mode="json")
    if out is not None:
        write_json(out, value)
    _warn(evaluation)
    result(value, table(evaluation), as_json=as_json)


def _warn(evaluation: Evaluation) -> None:
    """Say what a reader of the table alone would not know."""
    if evaluation.unknown:
        say(
            f"note: {evaluation.unknown:,} predictions have no truth, such as "
            f"{', '.join(evaluation.unknown_ids)}"
        )
    if evaluation.scale is None:
        say("note: nothing says which grey scale this is; give --scale for errors in dB")
    if evaluation.split is not None and evaluation.split.leaky:
        say("note: the split calls itself leaky; see its leaky_reason")


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command()(evaluate)
