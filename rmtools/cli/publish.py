"""The verbs that turn a simulated dataset into something to publish."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from rmtools.cli._output import Json, hint, result
from rmtools.cli._stages import (
    Dataset,
    Overwrite,
    Set,
    Workers,
    carry_out,
    options,
    stored_recipe,
)
from rmtools.cli.split import split

Layout = Literal["motion", "seer", "hdf5", "packed"]
Values = Literal["uint8", "float16", "float32"]
Scale = Literal["radiomapmotion", "radiomapseer"]
FileNames = Literal["paper", "loader", "both"]


def package(
    dataset: Dataset,
    layout: Annotated[Layout, typer.Option(help="Layout to write.")] = "motion",
    names: Annotated[
        FileNames | None,
        typer.Option(help="motion: file names of the paper, of the released loader, or both."),
    ] = None,
    values: Annotated[
        Values | None,
        typer.Option(help="packed: grey levels (uint8) or path loss in dB (float16, float32)."),
    ] = None,
    settings: Set = None,
    workers: Workers = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write the radio maps as RadioMapMotion's or RadioMapSeer's files, HDF5 or packed."""
    from rmtools.layouts.hdf5 import FILE_NAME as HDF5_NAME

    given = options("layouts.motion", names=names) + options("layouts.packed", values=values)
    if getattr(stored_recipe(dataset).layouts, layout) is None:
        given = [f"layouts.{layout}={{}}", *given]
    carry_out(
        dataset,
        stored_recipe(dataset, given, settings),
        [layout],
        workers=workers,
        overwrite=overwrite,
        as_json=as_json,
        paths={layout: dataset / (HDF5_NAME if layout == "hdf5" else layout)},
    )
    hint(f"rmtools split {dataset}")


def pack(
    source: Annotated[
        Path,
        typer.Argument(
            help="A dataset, a store, an HDF5 file, or a folder in RadioMapMotion's or "
            "RadioMapSeer's layout.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to make.", show_default=False)],
    values: Annotated[
        Values, typer.Option(help="Grey levels (uint8) or path loss in dB (float16, float32).")
    ] = "uint8",
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Maps to take, such as DPM; all when not given. May be repeated."),
    ] = None,
    scale: Annotated[
        Scale | None, typer.Option(help="Scale of the grey levels that path loss becomes.")
    ] = None,
    transmitters: Annotated[
        int | None, typer.Option(min=1, help="Take only so many transmitters of each scene.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a training cache of any radio maps: plain arrays that are mapped into memory."""
    from rmtools.layouts.maps import open_maps
    from rmtools.layouts.packed import pack as write

    names = write(
        open_maps(source, scale), out, values=values, kinds=kind, transmitters=transmitters
    )
    result({"path": str(out), "files": names}, [str(out)], as_json=as_json)
    hint(f"rmtools split {source} -o split.json")


def validate(
    path: Annotated[
        Path,
        typer.Argument(help="A dataset folder, a store, or a layout folder.", show_default=False),
    ],
    workers: Workers = 1,
    as_json: Json = False,
) -> None:
    """Check that the content of a dataset makes sense; exit code 6 when it does not."""
    from rmtools.errors import ExitCode
    from rmtools.run.executor import Executor
    from rmtools.run.workspace import RECIPE_NAME
    from rmtools.validation import validate as check

    with Executor(workers or os.cpu_count() or 1) as executor:
        report = check(path, executor)
    lines = [f"{item.level:<8} {item.where}: {item.what}" for item in report.findings]
    counts = ", ".join(f"{number:,} {kind}" for kind, number in report.checked.items())
    verdict = "valid" if report.ok else "NOT valid"
    if report.not_listed:
        lines.append(f"... and {report.not_listed:,} more findings")
    result(
        {"ok": report.ok, **report.model_dump(mode="json")},
        [*lines, f"{path} is {verdict}; checked {counts or 'nothing'}"],
        as_json=as_json,
    )
    if not report.ok:
        raise typer.Exit(ExitCode.INVALID)
    if (path / RECIPE_NAME).is_file():
        hint(f"rmtools report {path}")


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    for verb in (package, pack, split, validate):
        app.command()(verb)
