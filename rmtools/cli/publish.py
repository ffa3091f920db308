"""The verbs that turn a simulated dataset into something to publish."""

from __future__ import annotations

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

Layout = Literal["motion", "seer"]
FileNames = Literal["paper", "loader", "both"]


def package(
    dataset: Dataset,
    layout: Annotated[Layout, typer.Option(help="Layout to write.")] = "motion",
    names: Annotated[
        FileNames | None,
        typer.Option(help="motion: file names of the paper, of the released loader, or both."),
    ] = None,
    settings: Set = None,
    workers: Workers = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write the radio maps in a published layout: RadioMapMotion's or RadioMapSeer's files."""
    given = options("layouts.motion", names=names)
    if getattr(stored_recipe(dataset).layouts, layout) is None:
        given = [f"layouts.{layout}={{}}", *given]
    carry_out(
        dataset,
        stored_recipe(dataset, given, settings),
        [layout],
        workers=workers,
        overwrite=overwrite,
        as_json=as_json,
        paths={layout: dataset / layout},
    )
    hint(f"rmtools split {dataset}")


def validate(
    path: Annotated[
        Path,
        typer.Argument(help="A dataset folder, a store, or a layout folder.", show_default=False),
    ],
    as_json: Json = False,
) -> None:
    """Check that the content of a dataset makes sense; exit code 6 when it does not."""
    from rmtools.errors import ExitCode
    from rmtools.run.workspace import RECIPE_NAME
    from rmtools.validation import validate as check

    report = check(path)
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
    for verb in (package, split, validate):
        app.command()(verb)
