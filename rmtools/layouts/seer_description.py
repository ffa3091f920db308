"""``dataset.json`` of the RadioMapSeer layout: what its other files have no place for.

RadioMapSeer has no such file and its readers do not look for one. With it a folder explains
itself, and whoever reads it back has names, places, heights and licences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rmtools.errors import InputError
from rmtools.files import first_problem, read_model
from rmtools.layouts.seer_format import DESCRIPTION_NAME, ROW_ORDER, SIMULATORS
from rmtools.layouts.seer_geometry import building_rings
from rmtools.store_format import PATHLOSS, STATIC_MAPS, of_simulator
from rmtools.units import SEER_SCALE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rmtools.scene import Scene
    from rmtools.store import Store

VehicleEffect = Literal["halved", "full"]

CONVENTIONS = {
    "antenna/M.json": "[x, y] is pixel (row 255 - y, col x): 0-based, y north",
    "polygon/": "point (X, Y) is the centre of pixel (row 256 - Y, col X - 1): 1-based, y north",
    "gain/": "(row, col); a pixel is 0 when its centre is inside a wall, and where the gain is "
    "below the scale. The true walls count, polygon/ has them rounded to whole metres",
    "png/buildings_*": "polygon/ drawn half a pixel to the south-west, as RadioMapSeer has it",
    "png/cars": "polygon/ drawn half a pixel to the north-east, as RadioMapSeer has it",
    "png/roads": "polygon/roads as lines one pixel wide, from pixel (256 - Y, X - 1) to another",
    "png/antennas": "the pixel of antenna/",
    "buildings_missing, buildings_difference": "without the buildings in buildings_removed",
}

_ROOT_KNOWN = {
    "imported_from",
    *("Conventions", "rmtools_format", "rmtools_version", "resolution_m", "row_order"),
    *("licence", "attribution", "scenes", "title", "seer_maps", "seer_missing"),
}
_ARRAY_KNOWN = {
    *(STATIC_MAPS[0].attrs | PATHLOSS[0].attrs),
    *("flag_values", "flag_meanings"),
}


class SeerMap(BaseModel):
    """One map: what its number stands for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    map: int = Field(ge=0, description="Number in the names of its files")
    name: str = Field(pattern=r"^[^./\\][^/\\]{0,199}$")
    crs: str | None = None
    easting_m: float | None = None
    northing_m: float | None = None
    sha256: str = Field(description="Digest of the scene file it was made from")
    provenance: dict[str, Any] = Field(description="Source, its hash and date, licence")
    building_height_m: float | list[float] | None = Field(
        description="Height of all buildings, or of each in the order of its rings"
    )
    buildings_lost: int = Field(
        ge=0, description="Buildings that vanish when walls are rounded to whole metres"
    )
    transmitter_height_m: float = Field(gt=0)


class SeerDescription(BaseModel):
    """``dataset.json``: everything one needs to know about a dataset in RadioMapSeer layout."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["seer"] = "seer"
    format: Literal[1] = 1
    title: str
    rmtools_version: str
    n: int = Field(ge=8, le=8192, description="Pixels per side")
    resolution_m: float = Field(gt=0, allow_inf_nan=False, description="Side of a pixel in metres")
    row_order: str = ROW_ORDER
    conventions: dict[str, str] = Field(description="Which point of each file is which pixel")
    scale: dict[str, str | float] = Field(description="Scale of the grey images below gain/")
    gain: dict[str, dict[str, Any]] = Field(
        description="Folders below gain/ with the attributes of their path loss: solver and preset"
    )
    vehicle_effect: VehicleEffect | None = Field(
        description="Whether what cars cost was halved in gain/cars*, as RadioMapSeer's authors "
        "did; null without cars"
    )
    vehicle: dict[str, Any] = Field(description="Attributes of the vehicles: length_m and so on")
    transmitters: dict[str, Any] = Field(description="How the transmitters were placed")
    maps: list[SeerMap]
    licence: list[str] = Field(min_length=1, description="Licences of the source data")
    attribution: list[str] = Field(min_length=1)
    provenance: dict[str, Any] = Field(description="Other root attributes of the store")


def describe(store: Store, scene: Callable[[int], Scene], *, halve: bool) -> SeerDescription:
    """Describe the layout that :mod:`rmtools.layouts.seer_writer` makes of a store.

    Parameters
    ----------
    store
        Finished.
    scene
        Vector form of a scene by its index.
    halve
        Whether what cars cost is halved.

    Raises
    ------
    InputError
        A stage has not run yet, or licence and attribution are missing.
    """
    from rmtools import __version__

    attrs, vehicles = store.attributes, store.array_attributes("vehicles")
    try:
        return SeerDescription(
            title=str(attrs.get("title", "Radio maps")),
            rmtools_version=__version__,
            n=store.grid.n,
            resolution_m=store.grid.resolution_m,
            conventions=CONVENTIONS,
            scale=_describe_scale(),
            gain={
                folder: {
                    key: value
                    for key, value in store.array_attributes(array).items()
                    if key not in _ARRAY_KNOWN
                }
                for folder, (array, _) in gain_folders(store).items()
            },
            vehicle_effect=("halved" if halve else "full") if store.has("pathloss") else None,
            vehicle={
                key.removeprefix("vehicle_"): value
                for key, value in vehicles.items()
                if key not in _ARRAY_KNOWN
            },
            transmitters={
                key: value
                for key, value in store.array_attributes("tx_x").items()
                if key not in ("long_name", "units")
            },
            maps=[
                _describe_map(store, index, scene(index), entry)
                for index, entry in enumerate(attrs["scenes"])
            ],
            licence=attrs["licence"],
            attribution=attrs["attribution"],
            provenance={key: value for key, value in attrs.items() if key not in _ROOT_KNOWN},
        )
    except (ValidationError, KeyError) as error:
        problem = f"no {error}" if isinstance(error, KeyError) else first_problem(error)
        raise InputError(
            f"the store cannot be laid out yet ({problem}).",
            where=store.path,
            remedy="Run the earlier stages first: build-scenes, place-transmitters, simulate.",
        ) from error


def read_description(root: Path) -> SeerDescription | None:
    """Read ``dataset.json`` of a layout's folder; None where there is none, as in RadioMapSeer.

    Raises
    ------
    InputError
        Not JSON, or a member is missing or wrong.
    """
    path = root / DESCRIPTION_NAME
    if not path.is_file():
        return None
    return read_model(
        path,
        SeerDescription,
        "a description of the RadioMapSeer layout",
        "Write it again with `rmtools package --layout seer`.",
    )


def map_ids(store: Store) -> list[int]:
    """Numbers of the maps in the order of the scenes: from 0, or those they were read under."""
    return store.attributes.get("seer_maps", list(range(store.sizes.scene)))


def gain_folders(store: Store) -> dict[str, tuple[str, str | None]]:
    """Array and further simulator (None: the dataset's own) of every folder below ``gain/``.

    Raises
    ------
    InputError
        The maps are of a solver that RadioMapSeer has no name for.
    """
    found = {}
    for simulator in (None, *store.simulators):
        name = simulator.upper() if simulator else _own_name(store)
        for prefix, spec in (("", STATIC_MAPS[0]), ("cars", PATHLOSS[0])):
            if store.has(array := of_simulator(spec, simulator).name):
                found[prefix + name] = (array, simulator)
    return found


def _own_name(store: Store) -> str:
    """What RadioMapSeer would call the solver of a store: DPM, IRT2 or IRT4."""
    solver = store.solver
    name = "DPM" if solver.get("solver") == "dpm" else str(solver.get("name", "")).upper()[:4]
    if (name := name.strip()) in SIMULATORS:
        return name
    raise InputError(
        f"RadioMapSeer has no folder for maps of the solver {solver.get('solver')!r}, preset "
        f"{solver.get('name')!r}.",
        where=store.path,
        remedy="Use the solver dpm, or a preset of sionna called irt2-like or irt4-like.",
    )


def _describe_map(store: Store, index: int, scene: Scene, entry: dict[str, Any]) -> SeerMap:
    rings = building_rings(scene)
    heights = [scene.buildings[building].height_m for _, building in rings]
    same = len(set(heights)) == 1
    kept = ("name", "crs", "easting_m", "northing_m", "sha256", "provenance")
    return SeerMap(
        map=map_ids(store)[index],
        **{key: entry[key] for key in kept},
        building_height_m=heights[0] if same else heights or None,
        buildings_lost=len(scene.buildings) - len({building for _, building in rings}),
        transmitter_height_m=float(store.transmitters(index)[0, 2]),
    )


def _describe_scale() -> dict[str, str | float]:
    scale = SEER_SCALE
    return {
        **scale.describe(),
        "step_db": scale.step_db,
        "decode": f"gain = {scale.gain_min_db:g} + {scale.step_db:.6f} * level",
    }
