"""The verbs that show a dataset to a person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rmtools.cli._output import Json, hint, result
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
) -> None:
    """Draw a map, a moving sequence, a scene or a contact sheet into an image file."""
    from rmtools.report.preview import write_preview
    from rmtools.store import Store

    store = Store.open(dataset)
    path = write_preview(out, store, what, scene, traj, tx, frame, enlarge)
    result({"path": str(path)}, [str(path)], as_json=False)


def info(dataset: Dataset, as_json: Json = False) -> None:
    """Say what a dataset holds, what a pixel means and which licence applies."""
    from rmtools.store import Store

    store = Store.open(dataset)
    sizes, attributes = store.sizes, store.attributes
    pathloss = store.array_attributes("pathloss")
    value: dict[str, Any] = {
        "path": str(store.path),
        "title": attributes.get("title"),
        "scenes": sizes.scene,
        "trajectories": sizes.traj,
        "transmitters": sizes.tx,
        "frames": sizes.frame,
        "maps": sizes.scene * sizes.traj * sizes.tx * sizes.frame if pathloss else 0,
        "pixels": f"{sizes.pixels} x {sizes.pixels} of {store.grid.resolution_m:g} m",
        "pixel": f"path loss in dB, {pathloss['sign']}; {pathloss['missing']}"
        if pathloss
        else "not simulated yet",
        "rows": attributes["row_order"],
        "solver": pathloss.get("solver"),
        "seed": attributes.get("seed"),
        "licence": ", ".join(attributes["licence"]),
        "attribution": "; ".join(attributes["attribution"]),
        "rmtools": attributes["rmtools_version"],
    }
    lines = value
    if solver := value["solver"]:
        lines = {
            **value,
            "solver": "{solver}, preset {name}, {frequency_mhz:g} MHz".format(**solver),
        }
    result(value, [f"{key:<14} {item}" for key, item in lines.items()], as_json=as_json)


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    for verb in (report, preview, info):
        app.command()(verb)
