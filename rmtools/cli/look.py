"""The verbs that show a dataset to a person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rmtools.cli._output import Json, hint, printable, result, say
from rmtools.cli._stages import Dataset, Overwrite, Workers, carry_out, stored_recipe

What = Literal["map", "sequence", "scene", "sheet"]


def report(
    dataset: Dataset,
    workers: Workers = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write report.html: one self-contained page with everything worth seeing."""
    from rmtools.run.workspace import REPORT_NAME

    path = dataset / REPORT_NAME
    carry_out(
        dataset,
        stored_recipe(dataset),
        ["report"],
        workers=workers,
        overwrite=overwrite,
        as_json=as_json,
        paths={"report": path},
    )
    hint(f"open {path} in a browser")


def serve(
    dataset: Dataset,
    host: Annotated[
        str,
        typer.Option(help="Address to listen at; any but the default lets other machines in."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Host name that requests may come for. May be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Browse a dataset of any size: a read-only web server for this machine, until Ctrl-C."""
    from rmtools.serve import listen

    server = listen(dataset, host, port, name or ())
    result({"url": server.url}, [server.url], as_json=as_json)
    if not server.local:
        say("warning: everyone who reaches this machine can read the dataset")
    say("Ctrl-C ends it")
    server.run()


def preview(
    dataset: Dataset,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="File to write; .png, or .gif or .webp for an animated sequence."
        ),
    ] = Path("preview.png"),
    what: Annotated[
        What | None,
        typer.Option(help="What to draw; by default a map, or a sequence for .gif and .webp."),
    ] = None,
    scene: Annotated[int, typer.Option(min=0, help="Index of the scene.")] = 0,
    traj: Annotated[int, typer.Option(min=0, help="Index of the trajectory.")] = 0,
    tx: Annotated[int, typer.Option(min=0, help="Index of the transmitter.")] = 0,
    frame: Annotated[int, typer.Option(min=0, help="Index of the frame.")] = 0,
    enlarge: Annotated[
        int | None, typer.Option(min=1, max=8, help="Screen pixels per map pixel.")
    ] = None,
    paths: Annotated[
        bool,
        typer.Option(
            "--paths",
            help="Draw the map with the paths to pixels all over the streets; solves the frame "
            "again (embedded solver only).",
        ),
    ] = False,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROW,COL", help="Draw the path to this pixel instead. May be repeated."
        ),
    ] = None,
    classes: Annotated[
        bool,
        typer.Option(
            "--classes",
            help="Colour the map by the kind of path instead of path loss; solves likewise.",
        ),
    ] = False,
) -> None:
    """Draw a map, a moving sequence, a scene or a contact sheet into an image file."""
    from rmtools.errors import RecipeError
    from rmtools.report.preview import write_preview
    from rmtools.store import Store

    if paths or to or classes:
        if what not in (None, "map"):
            raise RecipeError(
                f"paths and classes belong to a map, not to a {what}.", remedy="Leave --what out."
            )
        wanted = [*(to or [])] if to or not paths else None
        path = _draw_paths(dataset, out, (scene, traj, tx, frame), wanted, enlarge, classes=classes)
    else:
        store = Store.open(dataset)
        path = write_preview(out, store, what, scene, traj, tx, frame, enlarge)
    result({"path": str(path)}, [str(path)], as_json=False)


def _draw_paths(
    dataset: Path,
    out: Path,
    index: tuple[int, int, int, int],
    to: list[str] | None,
    enlarge: int | None,
    *,
    classes: bool,
) -> Path:
    """Solve a frame again and draw its paths; `to` is None for pixels all over the streets."""
    from rmtools.report.paths import difference_text, parse_pixel, preview_paths
    from rmtools.report.preview import check_index, write_still
    from rmtools.run.again import solve_again
    from rmtools.run.workspace import Workspace

    chosen = None if to is None else [parse_pixel(text) for text in to]
    space = Workspace(dataset, stored_recipe(dataset))
    scene, traj, tx, frame = index
    check_index(space.store, scene=scene, traj=traj, tx=tx, frame=frame)
    solved = solve_again(space, *index)
    say(difference_text(solved, space.store, index))
    image = preview_paths(solved, space.store, index, chosen, factor=enlarge, by_class=classes)
    return write_still(out, image)


def info(dataset: Dataset, as_json: Json = False) -> None:
    """Say what a dataset or a release holds, what a pixel means and which licence applies."""
    from rmtools.release.manifest import MANIFEST_NAME
    from rmtools.store import Store
    from rmtools.store_attributes import solver_words
    from rmtools.traffic.tracks import FRAME_INTERVAL_S

    if (dataset / MANIFEST_NAME).is_file():
        _release_info(dataset, as_json=as_json)
        return
    store = Store.open(dataset)
    sizes, attributes = store.sizes, store.attributes
    names = ("pathloss", "pathloss_static")
    pathloss = next((found for name in names if (found := store.array_attributes(name))), {})
    value: dict[str, Any] = {
        "path": str(store.path),
        "title": attributes.get("title"),
        "scenes": sizes.scene,
        "trajectories": sizes.traj,
        "transmitters": sizes.tx,
        "frames": sizes.frame,
        "maps": store.maps,
        "pixels": f"{sizes.pixels} x {sizes.pixels} of {store.grid.resolution_m:g} m",
        "pixel": f"path loss in dB, {pathloss['sign']}; {pathloss['missing']}"
        if pathloss
        else "not simulated yet",
        "rows": attributes["row_order"],
        "transmitter": "arrays tx_x, tx_y, tx_z: metres from the south-west corner, and above the "
        "street; row = n - 1 - floor(y / resolution), col = floor(x / resolution)",
        "frame_s": FRAME_INTERVAL_S if sizes.frame else None,
        "split": _split(dataset),
        "solver": store.solver or None,
        "seed": attributes.get("seed"),
        "licence": ", ".join(attributes["licence"]),
        "attribution": "; ".join(attributes["attribution"]),
        "cite": "not released yet; `rmtools release` writes CITATION.cff",
        "rmtools": attributes["rmtools_version"],
    }
    lines = value
    if value["solver"]:
        lines = {**value, "solver": solver_words(value["solver"])}
    result(value, [f"{key:<14} {item}" for key, item in lines.items()], as_json=as_json)


def _split(dataset: Path) -> str | None:
    """The split of a dataset in a line; None without one."""
    from rmtools.splits.manifest import SPLIT_NAME, read_manifest

    if not (dataset / SPLIT_NAME).is_file():
        return None
    split = read_manifest(dataset / SPLIT_NAME)
    counts = ", ".join(f"{name} {found.sequences} sequences" for name, found in split.sets.items())
    return f"{split.name}: {counts}" + (f"; LEAKS: {split.leaky_reason}" if split.leaky else "")


def _release_info(release: Path, *, as_json: bool) -> None:
    """Say what a release holds, and answer what its users ask."""
    from rmtools.release.answers import release_info

    value = release_info(release)
    lines = {key: item for key, item in value.items() if key not in ("answers", "solver")}
    shown = [f"{key:<14} {item}" for key, item in lines.items()]
    for question, answer in value["answers"].items():
        shown += [question, f"  {answer}"]
    result(value, [printable(line) for line in shown], as_json=as_json)


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    for verb in (report, serve, preview, info):
        app.command()(verb)
