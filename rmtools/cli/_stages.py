"""What all verbs that carry out stages have in common."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rmtools.cli._output import result, stoppable

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
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Have the units made by the workers of this Dask scheduler, such as "
        "tcp://10.0.0.1:8786; or 'local' for a Dask cluster of --workers processes here. Changes "
        "only the time. See docs/scale.md.",
    ),
]
UnitLimit = Annotated[
    float,
    typer.Option(
        "--unit-limit",
        metavar="SECONDS",
        min=0,
        help="With --scheduler, how long one unit may take before its worker counts as hung and "
        "the unit is tried again; 0 for no limit.",
    ),
]
StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="Where a new dataset's store is to lie, if not in the folder, such as "
        "s3://bucket/dataset/store.zarr. The folder remembers it. See docs/scale.md.",
        show_default=False,
    ),
]
UNIT_LIMIT_S = 3600.0
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
    scheduler: str | None = None,
    unit_limit_s: float = UNIT_LIMIT_S,
    store_url: str | None = None,
) -> None:
    """Run stages with a progress display and print where the results are."""
    from rmtools.run.cluster import Cluster
    from rmtools.run.progress import Progress
    from rmtools.run.runner import run
    from rmtools.store_place import read_url

    processes = workers or os.cpu_count() or 1
    with stoppable(), Progress() as progress:
        summaries = run(
            root,
            recipe,
            stages=stages,
            workers=processes,
            executor=None
            if scheduler is None
            else Cluster(scheduler, workers=processes, limit_s=unit_limit_s, say=progress.say),
            store_url=store_url,
            overwrite=overwrite,
            progress=progress,
        )
    remote = {} if (url := read_url(root)) is None else {"store": str(url)}
    present = {name: str(path) for name, path in paths.items() if path.exists()} | remote
    result(
        {
            "stages": [{**asdict(summary), "done_now": summary.done_now} for summary in summaries],
            "paths": present,
        },
        [f"{name:<9} {path}" for name, path in present.items()],
        as_json=as_json,
    )
