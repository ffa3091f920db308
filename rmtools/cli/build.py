"""The verbs that make a dataset step by step, in the order they are used."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rmtools.cli._output import Json, hint
from rmtools.cli._stages import (
    UNIT_LIMIT_S,
    Dataset,
    Overwrite,
    Scheduler,
    Set,
    StoreUrl,
    UnitLimit,
    Workers,
    carry_out,
    options,
    stored_recipe,
)

if TYPE_CHECKING:
    from rmtools.run.recipe import Recipe


def build_scenes(
    source: Annotated[
        str,
        typer.Argument(
            help="A local extract (.osm.pbf, .osm, .osm.gz, .osm.bz2), place:NAME, "
            "bbox:WEST,SOUTH,EAST,NORTH, seer:FOLDER (RadioMapSeer layout), or demo.",
            show_default=False,
        ),
    ],
    dataset: Dataset,
    count: Annotated[int | None, typer.Option(help="Scenes to take from the source.")] = None,
    stride_m: Annotated[float | None, typer.Option(help="Distance between tiles.")] = None,
    pixels: Annotated[int | None, typer.Option(help="Pixels per side of a scene.")] = None,
    resolution_m: Annotated[float | None, typer.Option(help="Side of a pixel.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    settings: Set = None,
    store: StoreUrl = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Cut scenes out of a city: buildings with heights, roads with widths, and their rasters."""
    from rmtools.run.recipe import check_recipe, with_settings
    from rmtools.run.workspace import TILES_NAME
    from rmtools.store import SCENES_NAME, STORE_NAME

    given = [
        f"city.source={json.dumps(source)}",
        f"name={json.dumps(_name_of(dataset))}",
        *options("city.tiles", count=count, stride_m=stride_m),
        *options("grid", n=pixels, resolution_m=resolution_m),
        *([] if seed is None else [f"seed={seed}"]),
        *(settings or []),
    ]
    recipe = check_recipe(with_settings({}, given), "build-scenes")
    carry_out(
        dataset,
        recipe,
        ["scenes"],
        workers=1,
        overwrite=overwrite,
        as_json=as_json,
        paths={
            "scenes": dataset / SCENES_NAME,
            "tiles": dataset / SCENES_NAME / TILES_NAME,
            "store": dataset / STORE_NAME,
        },
        store_url=store,
    )
    hint(f"rmtools generate-trajectories {dataset}")


def generate_trajectories(
    dataset: Dataset,
    vehicles: Annotated[int | None, typer.Option(help="Vehicles per trajectory.")] = None,
    trajectories: Annotated[int | None, typer.Option(help="Trajectories per scene.")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames of 0.1 s.")] = None,
    speed_mps: Annotated[float | None, typer.Option(help="Nominal speed; 10 is 1 m/frame.")] = None,
    vehicle_length_m: Annotated[float | None, typer.Option(help="Length of a vehicle.")] = None,
    vehicle_width_m: Annotated[float | None, typer.Option(help="Width of a vehicle.")] = None,
    settings: Set = None,
    workers: Workers = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Let vehicles drive through every scene: track tables and vehicle masks."""
    given = options(
        "traffic",
        vehicles=vehicles,
        trajectories=trajectories,
        frames=frames,
        speed_mps=speed_mps,
        vehicle_length_m=vehicle_length_m,
        vehicle_width_m=vehicle_width_m,
    )
    recipe = stored_recipe(dataset, ["traffic.tracks=null", *given], settings)
    _make_tracks(dataset, recipe, workers=workers, overwrite=overwrite, as_json=as_json)


def import_tracks(
    dataset: Dataset,
    files: Annotated[
        str,
        typer.Argument(
            help="One file, or a pattern with {scene}, {index} or {trajectory}: SUMO's FCD output "
            "(.xml) or a track table (.csv), also .gz. See docs/traffic.md.",
            show_default=False,
        ),
    ],
    net: Annotated[
        str | None,
        typer.Option(help="The SUMO net whose coordinates an FCD file has; none for lon/lat."),
    ] = None,
    begin_s: Annotated[float | None, typer.Option(help="Time of the first frame.")] = None,
    every_s: Annotated[
        float | None, typer.Option(help="Time between trajectories that come from one file.")
    ] = None,
    vehicles: Annotated[int | None, typer.Option(help="Vehicle slots per trajectory.")] = None,
    trajectories: Annotated[int | None, typer.Option(help="Trajectories per scene.")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames of 0.1 s.")] = None,
    vehicle_length_m: Annotated[
        float | None, typer.Option(help="Length of a vehicle; SUMO's cars have 5 m.")
    ] = None,
    vehicle_width_m: Annotated[
        float | None, typer.Option(help="Width of a vehicle; SUMO's cars have 1.8 m.")
    ] = None,
    settings: Set = None,
    workers: Workers = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Take vehicles from elsewhere, such as SUMO: track tables and vehicle masks."""
    given = [
        "traffic.tracks=null",  # nothing of an earlier import stays
        *options("traffic.tracks", files=files, net=net, begin_s=begin_s, every_s=every_s),
        *options(
            "traffic",
            vehicles=vehicles,
            trajectories=trajectories,
            frames=frames,
            vehicle_length_m=vehicle_length_m,
            vehicle_width_m=vehicle_width_m,
        ),
    ]
    recipe = stored_recipe(dataset, given, settings)
    _make_tracks(dataset, recipe, workers=workers, overwrite=overwrite, as_json=as_json)


def _make_tracks(
    dataset: Path, recipe: Recipe, *, workers: int, overwrite: bool, as_json: bool
) -> None:
    """Carry out the tracks stage."""
    from rmtools.store import STORE_NAME

    carry_out(
        dataset,
        recipe,
        ["tracks"],
        workers=workers,
        overwrite=overwrite,
        as_json=as_json,
        paths={"store": dataset / STORE_NAME},
    )
    hint(f"rmtools place-transmitters {dataset}")


def place_transmitters(
    dataset: Dataset,
    count: Annotated[
        int | None, typer.Option(help="Per scene; RadioMapMotion has 20, RadioMapSeer 80.")
    ] = None,
    height_m: Annotated[float | None, typer.Option(help="Height above the street.")] = None,
    settings: Set = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Place transmitters in every scene, never inside a building."""
    from rmtools.store import STORE_NAME

    given = options("transmitters", count=count, height_m=height_m)
    carry_out(
        dataset,
        stored_recipe(dataset, given, settings),
        ["transmitters"],
        workers=1,
        overwrite=overwrite,
        as_json=as_json,
        paths={"store": dataset / STORE_NAME},
    )
    hint(f"rmtools simulate {dataset}")


def simulate(
    dataset: Dataset,
    preset: Annotated[
        str | None,
        typer.Option(help="Constants: radiomapmotion, radiomapseer or winprop2021."),
    ] = None,
    frequency_mhz: Annotated[float | None, typer.Option(help="Carrier frequency.")] = None,
    settings: Set = None,
    workers: Workers = 0,
    scheduler: Scheduler = None,
    unit_limit: UnitLimit = UNIT_LIMIT_S,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Compute the path loss of every frame with the embedded Dominant Path Model."""
    from rmtools.store import STORE_NAME

    given = [
        *options("solver", preset=preset),
        *options("solver.overrides", frequency_mhz=frequency_mhz),
    ]
    carry_out(
        dataset,
        stored_recipe(dataset, given, settings),
        ["pathloss"],
        workers=workers,
        overwrite=overwrite,
        as_json=as_json,
        paths={"store": dataset / STORE_NAME},
        scheduler=scheduler,
        unit_limit_s=unit_limit,
    )
    hint(f"rmtools package {dataset} --layout motion")


def _name_of(dataset: Path) -> str:
    """A dataset name made of the folder's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", dataset.resolve().name).strip("-.") or "dataset"


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    verbs = (build_scenes, generate_trajectories, import_tracks, place_transmitters, simulate)
    for verb in verbs:
        app.command()(verb)
