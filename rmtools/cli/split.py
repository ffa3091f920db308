"""The verb that says who is in which set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rmtools.cli._output import Json, hint, result, say
from rmtools.cli._stages import Overwrite, Set, carry_out, options, stored_recipe

if TYPE_CHECKING:
    from rmtools.splits.manifest import SplitManifest

Kind = Literal[
    "motion", "geographic", "city", "block", "component", "trajectory", "random", "published"
]
"""As :data:`rmtools.splits.config.Kind`, which takes time to import."""


def split(
    dataset: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of a dataset. With -o also a store, a motion layout or a RadioMapSeer "
            "folder; none for a published split as it was published.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        Kind | None,
        typer.Option(
            help="motion: the RadioMapMotion paper's sets; geographic: strips of the ground; city, "
            "block, component (scenes that overlap or are near), random: whole ones of these; "
            "trajectory: all scenes in every set."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="A published split, see --list.")] = None,
    ratios: Annotated[
        str | None,
        typer.Option(metavar="SET=SHARE,...", help="Such as train=0.7,val=0.1,test=0.2."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed; the recipe's when not given.")] = None,
    buffer_m: Annotated[
        float | None, typer.Option(help="Least distance between scenes of different sets.")
    ] = None,
    block_m: Annotated[float | None, typer.Option(help="Side of a block.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Write the manifest here and leave the dataset's own alone."
        ),
    ] = None,
    list_all: Annotated[
        bool, typer.Option("--list", help="List the published splits and stop.")
    ] = False,
    settings: Set = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Say which sequences are for training, validation and testing, as a manifest of ids."""
    if list_all:
        _list(as_json=as_json)
        return
    if name is not None and kind not in (None, "published"):
        raise typer.BadParameter("--name goes without --kind")
    keys = {
        "name": name,
        "ratios": None if ratios is None else _shares(ratios),
        "seed": seed,
        "buffer_m": buffer_m,
        "block_m": block_m,
    }
    given = options("split", kind=kind if name is None else "published", **keys)
    used = [key for key, value in keys.items() if value is not None]
    if dataset is None:
        if name is None:
            raise typer.BadParameter("give the folder of a dataset, --name or --list")
        _as_published(name, used, out, as_json=as_json)
    elif out is None:
        _in_recipe(dataset, given, used, settings, overwrite=overwrite, as_json=as_json)
    else:
        _to_file(dataset, given, used, settings, out, as_json=as_json)


def _list(*, as_json: bool) -> None:
    from rmtools.splits.published import list_published

    found = list(list_published())
    lines = [f"{'name':<25} {'dataset':<15} {'scenes':<45} leaks"]
    for each in found:
        sizes = ", ".join(f"{name} {size}" for name, size in each.sizes.items())
        leak = "no" if each.leak is None else f"yes: {each.leak}"
        known = "" if each.reproducible else " (ids not known)"
        lines.append(f"{each.name:<25} {each.dataset:<15} {sizes:<45} {leak}{known}")
    result({"splits": [each._asdict() for each in found]}, lines, as_json=as_json)
    hint("rmtools split --name radiounet -o radiounet.json")


def _as_published(name: str, used: list[str], out: Path | None, *, as_json: bool) -> None:
    from rmtools.splits.config import SplitConfig
    from rmtools.splits.published import published_split

    SplitConfig(kind="published", name=name).check_used(used)
    _give(published_split(name), out, as_json=as_json)
    if out is None:
        hint(f"rmtools split --name {name} -o {name}.json")


def _in_recipe(
    dataset: Path,
    given: list[str],
    used: list[str],
    settings: list[str] | None,
    *,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make the split of the dataset's recipe, changed by what was given."""
    from rmtools.errors import InputError
    from rmtools.run.workspace import RECIPE_NAME
    from rmtools.splits.manifest import SPLIT_NAME, read_manifest

    if dataset.is_dir() and not (dataset / RECIPE_NAME).is_file():
        raise InputError(
            f"the folder has no {RECIPE_NAME}, so no split is kept in it.",
            where=dataset,
            remedy="Write the split to a file of its own with -o FILE.",
        )
    recipe = stored_recipe(dataset, given, settings)
    recipe.split.check_used(used)
    path = dataset / SPLIT_NAME
    carry_out(
        dataset,
        recipe,
        ["split"],
        workers=1,
        overwrite=overwrite,
        as_json=as_json,
        paths={"split": path},
    )
    _tell(read_manifest(path))
    hint(f"rmtools validate {dataset}")


def _to_file(
    dataset: Path,
    given: list[str],
    used: list[str],
    settings: list[str] | None,
    out: Path,
    *,
    as_json: bool,
) -> None:
    """Split any dataset and leave it alone."""
    from rmtools.run.recipe import check_recipe, with_settings
    from rmtools.run.workspace import RECIPE_NAME
    from rmtools.splits.inventory import inventory_of

    if (dataset / RECIPE_NAME).is_file():
        recipe = stored_recipe(dataset, given, settings)
    else:
        recipe = check_recipe(with_settings({}, [*given, *(settings or [])]), "--set")
    recipe.split.check_used(used)
    _give(recipe.split.make(inventory_of(dataset), recipe.seed), out, as_json=as_json)


def _give(manifest: SplitManifest, out: Path | None, *, as_json: bool) -> None:
    """Write a manifest and say what is in it."""
    from rmtools.splits.manifest import write_manifest

    lines = [
        f"{name:<12} {len(members.scenes)} scenes, {members.sequences} sequences"
        for name, members in manifest.sets.items()
    ]
    if out is not None:
        write_manifest(out, manifest)
        lines.append(str(out))
    result(manifest.model_dump(mode="json"), lines, as_json=as_json)
    _tell(manifest)


def _tell(manifest: SplitManifest) -> None:
    """Leaks and notes are for people, whatever the result is printed as."""
    if manifest.leaky_reason is not None:
        say(f"leaks: {manifest.leaky_reason}")
    for note in manifest.notes:
        say(f"note: {note}")


def _shares(text: str) -> dict[str, float]:
    """Shares from ``train=0.7,val=0.1``."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError as error:
            raise typer.BadParameter(f"{part!r} is not of the form SET=SHARE") from error
    return shares
