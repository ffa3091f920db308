"""Reading the geometry of a folder in RadioMapSeer layout.

RadioMapSeer (Yapar, Levie, Kutyniok, Caire, doi:10.21227/0gtx-6v30) keeps its maps as JSON in two
frames, both 256 by 256 with y pointing north:

- *polygons* (buildings, roads, cars) are 1-based: point (X, Y) lies at the centre of pixel
  (row 256 - Y, col X - 1), so in local metres x = X - 0.5, y = Y - 0.5;
- *transmitters* are 0-based: [x, y] is pixel (row 255 - y, col x), so its centre is
  (x + 0.5, y + 0.5).

Read this way the pixels that lie in a building are exactly those that the true DPM maps leave
zero. The building images (``png/buildings_complete``) are sampled half a pixel away and differ.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import shapely
from pydantic import Field, TypeAdapter, ValidationError
from shapely.geometry import LineString, Polygon

from rmtools.city.areas import polygons_of
from rmtools.errors import InputError
from rmtools.files import read_json, sha256_files
from rmtools.images import read_grey_png
from rmtools.scene import Building, Frame, Provenance, Road, Scene

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.scene import HeightSource
    from rmtools.types import BoolArray, ByteArray, FloatArray

N = 256
BUILDING_HEIGHT_M = 25.0
"""Height of every building in RadioMapSeer."""

TRANSMITTER_HEIGHT_M = 1.5
"""Height of every transmitter (and receiver) in RadioMapSeer."""

ROAD_WIDTH_M = 10.0
"""Width given to every road. RadioMapSeer has centre lines only, but the centres of the cars of its
map 0 lie 2 to 4 m from one, and a car is 2 m wide: its streets reach 5 m to either side."""

BUILDINGS = "polygon/buildings_complete"
ROADS = "polygon/roads"
ANTENNAS = "antenna"
CARS = "png/cars"

MAX_JSON_BYTES = 8 * 2**20

ATTRIBUTION = (
    "RadioMapSeer: Ç. Yapar, R. Levie, G. Kutyniok, G. Caire, IEEE DataPort, "
    "doi:10.21227/0gtx-6v30. City geometry © OpenStreetMap contributors."
)

_OneBased = Annotated[float, Field(ge=1, le=N, strict=True)]
_ZeroBased = Annotated[int, Field(ge=0, lt=N, strict=True)]
_RINGS: TypeAdapter[Any] = TypeAdapter(
    list[Annotated[list[tuple[_OneBased, _OneBased]], Field(min_length=3)]]
)
_SEGMENTS: TypeAdapter[Any] = TypeAdapter(
    list[tuple[tuple[_OneBased, _OneBased], tuple[_OneBased, _OneBased]]]
)
_TRANSMITTERS: TypeAdapter[Any] = TypeAdapter(
    Annotated[list[tuple[_ZeroBased, _ZeroBased]], Field(min_length=1)]
)


def list_maps(root: Path) -> list[int]:
    """Ids of the maps whose building polygons are there, ascending.

    Parameters
    ----------
    root
        The folder that holds ``polygon/``, ``antenna/``, ``png/`` and ``gain/``.

    Raises
    ------
    InputError
        No building polygons below `root`.
    """
    names = (path.name for path in (root / BUILDINGS).glob("*.json"))
    ids = sorted(int(name[:-5]) for name in names if re.fullmatch(r"(0|[1-9]\d{0,8})\.json", name))
    if not ids:
        raise InputError(
            f"no map in RadioMapSeer layout here: {BUILDINGS}/<map>.json is missing.",
            where=root,
            remedy=_POLYGONS_NEEDED,
        )
    return ids


def map_files(root: Path, map_id: int) -> list[Path]:
    """Files that :func:`read_map` reads: the building polygons and, where there are any, the roads.

    Raises
    ------
    InputError
        The map has no building polygons.
    """
    buildings, roads = (root / folder / f"{map_id}.json" for folder in (BUILDINGS, ROADS))
    if not buildings.is_file():
        raise InputError(
            f"map {map_id} has no {BUILDINGS}/{map_id}.json.", where=root, remedy=_POLYGONS_NEEDED
        )
    return [buildings, roads] if roads.is_file() else [buildings]


def read_map(
    root: Path,
    map_id: int,
    *,
    height_m: float = BUILDING_HEIGHT_M,
    road_width_m: float = ROAD_WIDTH_M,
) -> Scene:
    """Read one map as a scene of 256 by 256 pixels of 1 m.

    Parameters
    ----------
    root
        The folder that holds ``polygon/``.
    map_id
        Number of the map, 0 to 700 in RadioMapSeer.
    height_m
        Height of every building.
    road_width_m
        Width of every road; RadioMapSeer does not give one, see :data:`ROAD_WIDTH_M`.

    Returns
    -------
    Scene
        Called ``map_<id>``. Its notes count what was repaired or left out: ``repaired_rings``
        (self-touching or self-crossing), ``closed_rings``, ``duplicate_rings``, ``flat_rings``
        (no area), ``duplicate_roads``, ``point_roads`` (no length). A map without a road
        file is read without roads (it can be simulated, but has no traffic); ``roads`` says so.

    Raises
    ------
    InputError
        The building file is missing, or a file is not JSON or holds something else than rings
        (segments) of 1-based points on the 256 by 256 grid.
    """
    files = map_files(root, map_id)
    counts: Counter[str] = Counter()
    notes: dict[str, int | float | str] = {}
    rings = _read(files[0], _RINGS, "list of rings of 1-based points within [1, 256]")
    segments = []
    if len(files) == 1:
        notes["roads"] = f"none: {ROADS}/{map_id}.json is missing"
    else:
        segments = _read(files[1], _SEGMENTS, "list of 1-based segments within [1, 256]")
    # Any other height is not what the dataset says.
    height_source: HeightSource = "dataset" if height_m == BUILDING_HEIGHT_M else "default"
    buildings = tuple(Building(p, height_m, height_source) for p in _footprints(rings, counts))
    roads = tuple(Road(line, road_width_m, "class", "road") for line in _lines(segments, counts))
    return Scene(
        name=f"map_{map_id}",
        frame=Frame(n=N, resolution_m=1.0),
        buildings=buildings,
        roads=roads,
        provenance=Provenance(
            source=f"RadioMapSeer map {map_id}",
            reader="radiomapseer",
            sha256=sha256_files(root, [path.relative_to(root).as_posix() for path in files]),
            date=None,
            licence="CC-BY-4.0",
            attribution=ATTRIBUTION,
        ),
        notes=notes | dict(sorted(counts.items())),
    )


def read_transmitters(root: Path, map_id: int) -> FloatArray:
    """Read the transmitters of one map.

    Returns
    -------
    FloatArray
        Local metres (x, y, z), shape (K, 3); x and y are pixel centres, z is 1.5 m. K is 80 in
        RadioMapSeer.

    Raises
    ------
    InputError
        The file is missing, is not JSON, or holds something else than [x, y] pairs of integers
        from 0 to 255.
    """
    pairs = _read(
        root / ANTENNAS / f"{map_id}.json", _TRANSMITTERS, "list of [x, y] integers from 0 to 255"
    )
    positions = np.full((len(pairs), 3), TRANSMITTER_HEIGHT_M)
    positions[:, :2] = np.asarray(pairs, float) + 0.5
    return positions


def read_cars(root: Path, map_id: int) -> BoolArray:
    """Read the car image of one map.

    Returns
    -------
    BoolArray
        True on cars, shape (256, 256), as in the file: its pixels are sampled half a metre to the
        south-west of ours.
    """
    return read_png(root / CARS / f"{map_id}.png") > 0


def read_png(path: Path) -> ByteArray:
    """Read an image of the dataset.

    Returns
    -------
    ByteArray
        Grey values, shape (256, 256), row 0 north.

    Raises
    ------
    InputError
        The file is missing, too large, not a PNG, damaged, or not 8-bit grey of exactly 256 by
        256 pixels.
    """
    return read_grey_png(path, (N, N))


_POLYGONS_NEEDED = (
    "rmtools reads the polygons, not the images: a map that is there as PNG only cannot be read. "
    "Take the polygon/ folder from the RadioMapSeer archive, and name the folder that holds it."
)


def _read(path: Path, adapter: TypeAdapter[Any], wanted: str) -> Any:
    """Read and check one JSON file."""
    data = read_json(path, MAX_JSON_BYTES)
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f"[{index}]" for index in first["loc"])
        raise InputError(
            f"not a {wanted}: {first['msg']} at {place or 'the top level'} "
            f"({error.error_count()} in all).",
            where=path,
            remedy="The file is damaged or not part of RadioMapSeer; download it again.",
        ) from error


def _footprints(rings: list[list[tuple[float, float]]], counts: Counter[str]) -> list[Polygon]:
    """Valid footprints in local metres; counts in `counts` what had to be repaired or dropped."""
    footprints: list[Polygon] = []
    seen: set[bytes] = set()
    for ring in rings:
        polygon = Polygon(np.asarray(ring) - 0.5)
        key = polygon.normalize().wkb
        if key in seen:
            counts["duplicate_rings"] += 1
            continue
        seen.add(key)
        if ring[0] != ring[-1]:
            counts["closed_rings"] += 1
        areas = polygons_of(shapely.make_valid(polygon))
        if not polygon.is_valid:
            counts["repaired_rings" if areas else "flat_rings"] += 1
        footprints += areas
    return footprints


def _lines(
    segments: list[tuple[tuple[float, float], tuple[float, float]]], counts: Counter[str]
) -> list[LineString]:
    """Centre lines in local metres; counts in `counts` what was dropped."""
    lines: list[LineString] = []
    seen: set[frozenset[tuple[float, float]]] = set()
    for start, end in segments:
        ends = frozenset((start, end))
        if len(ends) == 1:
            counts["point_roads"] += 1
        elif ends in seen:
            counts["duplicate_roads"] += 1
        else:
            seen.add(ends)
            lines.append(LineString(np.asarray((start, end)) - 0.5))
    return lines
