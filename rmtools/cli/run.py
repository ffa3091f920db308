"""The verb that does everything: ``rmtools run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rmtools.cli._output import Json, hint, result, say
from rmtools.cli._stages import (
    UNIT_LIMIT_S,
    Overwrite,
    Scheduler,
    Set,
    StoreUrl,
    UnitLimit,
    Workers,
    carry_out,
)


def run(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A recipe file, or the name of one that comes with rmtools: demo, radiomapmotion, "
            "radiomapseer.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Dataset folder; by default the recipe's name."),
    ] = None,
    settings: Set = None,
    workers: Workers = 0,
    scheduler: Scheduler = None,
    unit_limit: UnitLimit = UNIT_LIMIT_S,
    store: StoreUrl = None,
    overwrite: Overwrite = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made, and how much, and stop.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a dataset from a recipe; run it again to resume after any interruption."""
    from rmtools.audit.model import AuditReport
    from rmtools.audit.text import verdict
    from rmtools.errors import InvalidDatasetError, LeakError
    from rmtools.findings import Report
    from rmtools.layouts.motion_format import LAYOUT_NAME
    from rmtools.layouts.seer_format import LAYOUT_NAME as SEER_NAME
    from rmtools.run.recipe import load_recipe
    from rmtools.run.workspace import AUDIT_NAME, REPORT_NAME, VALIDATION_NAME
    from rmtools.splits.manifest import SPLIT_NAME
    from rmtools.store import STORE_NAME

    checked = load_recipe(_find(recipe), settings)
    root = out or Path(checked.name)
    if dry_run:
        from rmtools.run.plan import plan

        planned = plan(checked)
        size = planned["pathloss_bytes_uncompressed"] / 1e9
        lines = [f"{key:<10} {planned[key]:,}" for key in ("scenes", "sequences", "maps")]
        lines.append(f"{'path loss':<10} {size:.2f} GB before compression")
        result({"out": str(root), **planned}, lines, as_json=as_json)
        return
    paths = {
        "store": root / STORE_NAME,
        "motion": root / LAYOUT_NAME,
        "seer": root / SEER_NAME,
        "split": root / SPLIT_NAME,
        "audit": root / AUDIT_NAME,
        "report": root / REPORT_NAME,
    }
    carry_out(
        root,
        checked,
        None,
        workers=workers,
        overwrite=overwrite,
        as_json=as_json,
        paths=paths,
        scheduler=scheduler,
        unit_limit_s=unit_limit,
        store_url=store,
    )
    validation = Report.read(root / VALIDATION_NAME)
    if not validation.ok:
        raise InvalidDatasetError(
            f"the dataset is complete but has {validation.errors} errors, the first being "
            f"{validation.findings[0].where}: {validation.findings[0].what}.",
            where=root,
            remedy=f"`rmtools validate {root}` lists them all.",
        )
    audited = AuditReport.read(root / AUDIT_NAME)
    if audited.undeclared:
        raise LeakError(
            f"the dataset is complete but its split {verdict(audited)}; "
            f"{audited.undeclared[0].finding}.",
            where=root,
            remedy=f"`rmtools audit {root}` shows the pairs; choose another kind of split, or a "
            "buffer, and run again with --overwrite.",
        )
    if audited.leaks:
        say(f"warning: the split {audited.split} {verdict(audited)}")
    hint(f"open {root / REPORT_NAME} in a browser, or rmtools info {root}")


def _find(recipe: str) -> Path:
    """Path of a recipe, or of the packaged recipe of that name."""
    from importlib.resources import files

    from rmtools.errors import InputError

    if "/" not in recipe and not recipe.endswith((".yaml", ".yml")):
        packaged = Path(str(files("rmtools.pipelines"))) / f"{recipe}.yaml"
        if packaged.is_file():
            return packaged
        if not Path(recipe).exists():
            names = sorted(path.stem for path in packaged.parent.glob("*.yaml"))
            raise InputError(
                "there is no such recipe.",
                where=recipe,
                remedy=f"Give a file, or one of {', '.join(names)}.",
            )
    return Path(recipe)


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command()(run)
