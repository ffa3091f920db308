"""The building database of one job: vertical prisms, as shapefile and as ODA text.

WinProp's urban databases know simple polygons with flat roofs. A house with a courtyard is cut
into pieces without one; a vehicle is a low building. Coordinates are local metres, y up, and
never negative, because urban predictions refuse negative ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import shapely
from shapely.geometry import LineString, Polygon
from shapely.ops import split

from rmtools.city.areas import polygons_of
from rmtools.radio.solver import NO_OBSTACLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rmtools.radio.solver import Obstacles
    from rmtools.scene import Scene

HEIGHT_FIELD = "HEIGHT_M"
MIN_AREA_M2 = 1e-6
"""Smaller pieces are left out; cutting can leave slivers."""

_DATE = "2000-01-01"  # dBase wants a date of change; the same files must have the same bytes


@dataclass(frozen=True)
class Prism:
    """One polygon of the database.

    Attributes
    ----------
    polygon
        Without interior rings, local metres.
    height_m
        Height of the flat roof above the street.
    kind
        Vehicles are low buildings to the solver.
    source
        Index of the building in the scene or of the vehicle in the frame; the pieces of one
        house share it.
    """

    polygon: Polygon
    height_m: float
    kind: Literal["building", "vehicle"]
    source: int


def prisms(scene: Scene, obstacles: Obstacles = NO_OBSTACLES) -> list[Prism]:
    """Buildings of a scene and vehicles of a frame, cut for WinProp.

    What sticks out of the tile is cut off at its edge.
    """
    tile = shapely.box(0, 0, scene.grid.size_m, scene.grid.size_m)
    found = [
        Prism(piece, building.height_m, "building", index)
        for index, building in enumerate(scene.buildings)
        for whole in _inside(building.polygon, tile)
        for piece in without_courtyards(whole)
    ]
    found += [
        Prism(piece, obstacles.height_m, "vehicle", index)
        for index, corners in enumerate(obstacles.outlines)
        for piece in _inside(Polygon(corners), tile)
    ]
    return found


def without_courtyards(polygon: Polygon) -> list[Polygon]:
    """Pieces of a polygon that have no interior rings and cover it together.

    The polygon is cut straight through the middle of its first courtyard, along its shorter
    side, until no courtyard is left. Neighbouring pieces share the corners on the cut.
    """
    if not polygon.interiors:
        return [polygon]
    west, south, east, north = polygon.bounds
    hole_west, hole_south, hole_east, hole_north = polygon.interiors[0].bounds
    if east - west > north - south:
        x = (hole_west + hole_east) / 2
        line = LineString([(x, south - 1), (x, north + 1)])
    else:
        y = (hole_south + hole_north) / 2
        line = LineString([(west - 1, y), (east + 1, y)])
    parts = polygons_of(split(polygon, line), MIN_AREA_M2)
    return [piece for part in parts for piece in without_courtyards(part)]


def write_shapefile(path: Path, found: Sequence[Prism]) -> None:
    """Write ``path`` (``.shp``) and its companions; the same prisms give the same bytes.

    Columns are HEIGHT_M (metres), KIND and ID. There is no ``.prj``: the coordinates are local.
    """
    import warnings

    import geopandas

    columns: dict[str, Any] = {
        HEIGHT_FIELD: [float(prism.height_m) for prism in found],
        "KIND": [prism.kind for prism in found],
        "ID": [prism.source for prism in found],
    }
    frame = geopandas.GeoDataFrame(columns, geometry=[prism.polygon for prism in found])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="'crs' was not provided", category=UserWarning)
        frame.to_file(
            path,
            driver="ESRI Shapefile",
            engine="pyogrio",
            index=False,
            geometry_type="Polygon",
            DBF_DATE_LAST_UPDATE=_DATE,
        )


def oda_text(found: Sequence[Prism], size_m: float) -> str:
    """The same database in WinProp's ASCII form. Experimental: nobody has imported it yet.

    Known from the manual and from other people's programs are the five comment lines, the line
    of settings, and of each building its index, its corners and its height. The two numbers
    behind the height are as such a program writes them; the list of materials is left empty.
    """
    lines = [
        "* Urban Database",
        "* Last change: not recorded",
        "* Written by rmtools, EXPERIMENTAL: not checked against WinProp, see docs/winprop.md",
        "*",
        "*",
        f"SETTINGS {len(found)} 0 0 {size_m:.3f} {size_m:.3f} rmtools",
        "BEGIN_MATERIAL",
        "END_MATERIAL",
        "BEGIN_BUILDINGS",
    ]
    for index, prism in enumerate(found, start=1):
        corners = prism.polygon.exterior.coords[:-1]
        places = " ".join(f"{x:.3f}, {y:.3f}" for x, y in corners)
        lines.append(f"{index} {len(corners)} {places} {prism.height_m:.3f} 1 0")
    return "\r\n".join([*lines, "END_BUILDINGS", ""])


def _inside(polygon: Polygon, tile: Polygon) -> list[Polygon]:
    """The parts of a polygon on the tile; untouched where it lies wholly on it."""
    if tile.covers(polygon):
        return [polygon]
    return polygons_of(polygon.intersection(tile), MIN_AREA_M2)
