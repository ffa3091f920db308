"""The verb that looks for leaks: ``rmtools audit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rmtools.cli._output import Json, hint, result

if TYPE_CHECKING:
    from rmtools.splits.manifest import SplitManifest


def audit(
    what: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="Folder of a dataset, store or layout, whole or in part; or a split alone.",
            show_default=False,
        ),
    ],
    split: Annotated[
        str | None,
        typer.Argument(
            help="A manifest, or the name of a published split; by default the dataset's own."
        ),
    ] = None,
    buffer_m: Annotated[
        float, typer.Option(help="Squares of different sets nearer than this leak.")
    ] = 0.0,
    windows: Annotated[
        Path | None, typer.Option(help="JSON: how sequences are cut into windows.")
    ] = None,
    normalisation: Annotated[
        Path | None, typer.Option(help="JSON: constants and the scenes they were fitted on.")
    ] = None,
    masks: Annotated[Path | None, typer.Option(help="npz: where sparse samples are taken.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the sets on the ground into this PNG.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Look for what the sets of a split have in common; exit code 9 when it leaks."""
    from rmtools.audit import audit as check
    from rmtools.audit.evidence import Evidence
    from rmtools.audit.normalisation import read_normalisation
    from rmtools.audit.samples import read_samples
    from rmtools.audit.text import as_lines
    from rmtools.audit.windows import read_windows
    from rmtools.errors import ExitCode
    from rmtools.splits.inventory import inventory_of

    dataset = Path(what) if split is not None or Path(what).is_dir() else None
    manifest = _split(what if split is None else split, dataset if split is None else None)
    inventory = None if dataset is None else inventory_of(dataset)
    report = check(
        manifest,
        inventory,
        buffer_m=buffer_m,
        windows=None if windows is None else read_windows(windows),
        normalisation=None if normalisation is None else read_normalisation(normalisation),
        samples=None if masks is None else read_samples(masks),
    )
    if picture is not None:
        from rmtools.audit.picture import draw_audit
        from rmtools.files import write_bytes
        from rmtools.report.pictures import encode

        image = draw_audit(report, manifest, Evidence(manifest, inventory).places)
        write_bytes(picture, encode(image, ".png"))
    result(
        {"ok": not report.leaks, **report.model_dump(mode="json")},
        [*as_lines(report), *([] if picture is None else [str(picture)])],
        as_json=as_json,
    )
    if report.leaks:
        raise typer.Exit(ExitCode.LEAK)
    if dataset is None:
        hint(f"rmtools audit DATASET {what}")


def _split(split: str, dataset: Path | None) -> SplitManifest:
    """A manifest from a file, that of a dataset folder, or a published one by its name."""
    from rmtools.errors import InputError
    from rmtools.splits.manifest import SPLIT_NAME, read_manifest
    from rmtools.splits.published import published_split

    if dataset is not None:
        if not (dataset / SPLIT_NAME).is_file():
            raise InputError(
                "it has no split of its own.",
                where=dataset,
                remedy="Name one: `rmtools audit DATASET SPLIT`, a manifest or a published split.",
            )
        return read_manifest(dataset / SPLIT_NAME)
    if "/" in split or split.endswith(".json") or Path(split).is_file():
        return read_manifest(Path(split))
    return published_split(split)


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(audit)
