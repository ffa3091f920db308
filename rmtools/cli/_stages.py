"""What all verbs that carry out stages have in common."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rmtools.cli._output import result
from rmtools.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rmtools.run.recipe import Recipe

Dataset = Annotated[Path, typer.Argument(help="Folder of the dataset.", show_default=False)]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set any key of the recipe, such as traffic.vehicles=30. May be repeated.",
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        "--workers", "-j", min=0, help="Processes to use; 0 for all cores. Changes only the time."
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Remake what an earlier, different recipe made in this folder."
    ),
]


def stored_recipe(
    dataset: Path, given: list[str] | None = None, settings: list[str] | None = None
) -> Recipe:
    """Recipe of an existing dataset folder with some keys changed.

    `given` are a verb's own options, `settings` what stands in ``--set`` and wins.
    """
    from rmtools.errors import InputError
    from rmtools.run.recipe import load_recipe
    from rmtools.run.workspace import RECIPE_NAME

    path = dataset / RECIPE_NAME
    if not path.is_file():
        raise InputError(
            "not a dataset folder (it has no recipe.yaml).",
            where=dataset,
            remedy="Start one with `rmtools build-scenes SOURCE FOLDER` or `rmtools run RECIPE`.",
        )
    return load_recipe(path, [*(given or []), *(settings or [])])


def options(section: str, **values: Any) -> list[str]:
    """Turn given options of a verb into settings of a recipe section; None means not given."""
    import json

    return [
        f"{section}.{key}={json.dumps(value)}" for key, value in values.items() if value is not None
    ]


def carry_out(
    root: Path,
    recipe: Recipe,
    stages: Iterable[str] | None,
    *,
    workers: int,
    overwrite: bool,
    as_json: bool,
    paths: dict[str, Path],
) -> None:
    """Run stages with a progress display and print where the results are."""
    from rmtools.run.progress import Progress
    from rmtools.run.runner import run

    try:
        with Progress() as progress:
            summaries = run(
                root,
                recipe,
                stages=stages,
                workers=workers or os.cpu_count() or 1,
                overwrite=overwrite,
                progress=progress,
            )
    except KeyboardInterrupt as interrupt:
        typer.echo("error: stopped. The same command continues from here.", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from interrupt
    present = {name: path for name, path in paths.items() if path.exists()}
    result(
        {
            "stages": [{**asdict(summary), "done_now": summary.done_now} for summary in summaries],
            "paths": {name: str(path) for name, path in present.items()},
        },
        [f"{name:<9} {path}" for name, path in present.items()],
        as_json=as_json,
    )
