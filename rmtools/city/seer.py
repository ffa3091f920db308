"""Reading the geometry of a folder in RadioMapSeer layout.

RadioMapSeer (Yapar, Levie, Kutyniok, Caire, doi:10.21227/0gtx-6v30) keeps its maps as JSON in two
frames, both 256 by 256 with y pointing north:

- *polygons* (buildings, roads, cars) are 1-based: point (X, Y) lies at the centre of pixel
  (row 256 - Y, col X - 1), so in local metres x = X - 0.5, y = Y - 0.5;
- *transmitters* are 0-based: [x, y] is pixel (row 255 - y, col x), so its centre is
  (x + 0.5, y + 0.5).

Read this way the pixels that lie in a building are exactly those that the true DPM maps leave
zero. The building images (``png/buildings_complete``) are sampled half a pixel away and differ.

Walls come from the polygons. Where a map has none they are found again from its building image, or
from its gain maps (:mod:`rmtools.city.vectorise`); the scene's notes and provenance say so.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
import shapely
from pydantic import Field, TypeAdapter, ValidationError
from shapely.geometry import LineString, Polygon

from rmtools.city.areas import polygons_of
from rmtools.city.gain_mask import building_mask_of_gain
from rmtools.errors import InputError
from rmtools.files import read_json, sha256_files
from rmtools.grid import Grid
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
IMAGES = "png/buildings_complete"
GAINS = "gain/DPM"
ROADS = "polygon/roads"
ANTENNAS = "antenna"
CARS = "png/cars"

MAX_JSON_BYTES = 8 * 2**20

ATTRIBUTION = (
    "RadioMapSeer: Ç. Yapar, R. Levie, G. Kutyniok, G. Caire, IEEE DataPort, "
    "doi:10.21227/0gtx-6v30. City geometry © OpenStreetMap contributors."
)

Point: TypeAlias = tuple[float, float]
Ring: TypeAlias = list[Point]
Segment: TypeAlias = tuple[Point, Point]

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
    """Ids of the maps whose buildings are there in any form, ascending.

    Parameters
    ----------
    root
        The folder that holds ``polygon/``, ``antenna/``, ``png/`` and ``gain/``.

    Raises
    ------
    InputError
        No building polygons, building images or gain maps below `root`.
    """
    found: set[int] = set()
    for folder, rest in ((BUILDINGS, r"\.json"), (IMAGES, r"\.png"), (GAINS, r"_\d{1,3}\.png")):
        names = (path.name for path in (root / folder).glob("*"))
        matches = (re.fullmatch(rf"(0|[1-9]\d{{0,8}}){rest}", name) for name in names)
        found |= {int(match[1]) for match in matches if match}
    if not found:
        raise InputError(
            f"no map in RadioMapSeer layout here: there is neither {BUILDINGS}/<map>.json nor "
            f"{IMAGES}/<map>.png nor {GAINS}/<map>_<tx>.png.",
            where=root,
            remedy=_BUILDINGS_NEEDED,
        )
    return sorted(found)


def map_files(root: Path, map_id: int) -> list[Path]:
    """Files that :func:`read_map` reads: those with the buildings and, where there are any, roads.

    Raises
    ------
    InputError
        The buildings of the map are there in no form.
    """
    roads = root / ROADS / f"{map_id}.json"
    return _building_files(root, map_id) + ([roads] if roads.is_file() else [])


def _building_files(root: Path, map_id: int) -> list[Path]:
    """The polygons, else the building image, else all gain maps."""
    for path in (root / BUILDINGS / f"{map_id}.json", root / IMAGES / f"{map_id}.png"):
        if path.is_file():
            return [path]
    gains = sorted((root / GAINS).glob(f"{map_id}_*.png"))
    if not gains:
        raise InputError(
            f"map {map_id} has neither {BUILDINGS}/{map_id}.json nor {IMAGES}/{map_id}.png nor "
            f"{GAINS}/{map_id}_<tx>.png.",
            where=root,
            remedy=_BUILDINGS_NEEDED,
        )
    return gains


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
        Likewise ``walls`` says when there were no polygons and the walls had to be found again
        from images, and from which.

    Raises
    ------
    InputError
        No file has the buildings; a JSON file is damaged or holds something else than rings
        (segments) of 1-based points on the 256 by 256 grid; or an image cannot be read.
    """
    files = map_files(root, map_id)
    counts: Counter[str] = Counter()
    notes: dict[str, int | float | str] = {}
    source = f"RadioMapSeer map {map_id}"
    drawn = [path for path in files if path.suffix == ".png"]
    if drawn:
        footprints = _vectorised(drawn, gain=drawn[0].parent == root / GAINS)
        images = drawn[0].relative_to(root).as_posix()
        if len(drawn) > 1:
            images += f" and {len(drawn) - 1} more"
        notes["walls"] = f"vectorised from {images}"
        source += f", walls vectorised from {images}"
    else:
        footprints = _footprints(read_rings(files[0]), counts)
    segments: list[Segment] = []
    if files[-1].parent != root / ROADS:
        notes["roads"] = f"none: {ROADS}/{map_id}.json is missing"
    else:
        segments = read_segments(files[-1])
    roads = tuple(Road(line, road_width_m, "class", "road") for line in _lines(segments, counts))
    return Scene(
        name=f"map_{map_id}",
        frame=Frame(n=N, resolution_m=1.0),
        buildings=_buildings(footprints, height_m),
        roads=roads,
        provenance=Provenance(
            source=source,
            reader="radiomapseer",
            sha256=sha256_files(root, [path.relative_to(root).as_posix() for path in files]),
            date=None,
            licence="CC-BY-4.0",
            attribution=ATTRIBUTION,
        ),
        notes=notes | dict(sorted(counts.items())),
    )


def scene_of_gain_map(
    path: Path, *, height_m: float = BUILDING_HEIGHT_M
) -> tuple[Scene, FloatArray]:
    """Scene and transmitter of a single DPM map of which nothing else is known.

    Parameters
    ----------
    path
        A grey image as in ``gain/DPM``.
    height_m
        Height of every building.

    Returns
    -------
    scene
        Named after the file; walls by :func:`rmtools.city.vectorise.vectorise`, no roads.
    transmitter
        Local metres (x, y, z), shape (3,): the brightest pixel.

    Raises
    ------
    InputError
        The image cannot be read, or several pixels are the brightest.
    """
    grey = read_png(path)
    brightest = np.argwhere(grey == grey.max())
    if len(brightest) != 1:
        raise InputError(
            f"{len(brightest)} pixels share the highest grey, {grey.max()}, so the transmitter is "
            "not known.",
            where=path,
            remedy="Give a DPM gain map; other simulators do not have their maximum there.",
        )
    scene = Scene(
        name=path.stem,
        frame=Frame(n=N, resolution_m=1.0),
        buildings=_buildings(_vectorised([path], gain=True), height_m),
        roads=(),
        provenance=Provenance(
            source=f"RadioMapSeer gain map {path.name}, walls vectorised from it",
            reader="radiomapseer",
            sha256=sha256_files(path.parent, [path.name]),
            date=None,
            licence="CC-BY-4.0",
            attribution=ATTRIBUTION,
        ),
        notes={"walls": f"vectorised from {path.name}", "roads": "none: not known"},
    )
    x, y = scene.grid.centre(*brightest[0])
    return scene, np.array([x, y, TRANSMITTER_HEIGHT_M])


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
    pairs = read_pairs(root / ANTENNAS / f"{map_id}.json")
    positions = np.full((len(pairs), 3), TRANSMITTER_HEIGHT_M)
    positions[:, :2] = np.asarray(pairs, float) + 0.5
    return positions


def read_rings(path: Path) -> list[Ring]:
    """Read a file of closed rings as they stand: buildings, or buildings and cars.

    Returns
    -------
    list of rings
        Corners (x, y) in the polygon frame, within [1, 256].

    Raises
    ------
    InputError
        Missing, too large, not JSON, or not such a list; the message says where in it.
    """
    rings: list[Ring] = _read(path, _RINGS, "list of rings of 1-based points within [1, 256]")
    return rings


def footprints_of(rings: list[Ring]) -> list[Polygon]:
    """Buildings as valid polygons in local metres; what has no area is left out."""
    return _footprints(rings, Counter())


def read_segments(path: Path) -> list[Segment]:
    """Read a file of roads, pairs of points (x, y) in the polygon frame; like `read_rings`."""
    segments: list[Segment] = _read(path, _SEGMENTS, "list of 1-based segments within [1, 256]")
    return segments


def read_pairs(path: Path) -> list[tuple[int, int]]:
    """Read a file of transmitters, 0-based integers (x, y); errors as of :func:`read_rings`."""
    pairs: list[tuple[int, int]] = _read(
        path, _TRANSMITTERS, "list of [x, y] integers from 0 to 255"
    )
    return pairs


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


_BUILDINGS_NEEDED = (
    "Take the polygon/ folder from the RadioMapSeer archive, or at least png/, and name the folder "
    "that holds it."
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


def _buildings(footprints: list[Polygon], height_m: float) -> tuple[Building, ...]:
    """Buildings of one height."""
    # Any other height is not what the dataset says.
    height_source: HeightSource = "dataset" if height_m == BUILDING_HEIGHT_M else "default"
    return tuple(Building(polygon, height_m, height_source) for polygon in footprints)


def _vectorised(images: list[Path], *, gain: bool = False) -> list[Polygon]:
    """Footprints from one building image, or from the gain maps of one city."""
    from rmtools.city.vectorise import AT_CENTRE, AT_NORTH_EAST, vectorise

    levels = np.stack([read_png(path) for path in images])
    grid = Grid(N, 1.0)
    if gain:
        return vectorise(building_mask_of_gain(levels), grid, AT_CENTRE)
    return vectorise(levels[0] > 0, grid, AT_NORTH_EAST)


def _footprints(rings: list[Ring], counts: Counter[str]) -> list[Polygon]:
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


def _lines(segments: list[Segment], counts: Counter[str]) -> list[LineString]:
    """Centre lines in local metres; counts in `counts` what was dropped."""
    lines: list[LineString] = []
    seen: set[frozenset[Point]] = set()
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
