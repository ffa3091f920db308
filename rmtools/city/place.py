"""A named place or a box, downloaded from OpenStreetMap's servers, as a city map.

Nominatim is asked for the outline of the place and Overpass for what is inside, both through
OSMnx. The servers are shared by everybody: one request at a time, every answer is kept, and areas
for which an extract is the better source are refused. There is no substitute for data that cannot
be had.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from rmtools.city.areas import inner_rectangle, polygons_of, project, utm_crs
from rmtools.city.extract import ATTRIBUTION, LICENCE
from rmtools.city.features import RawBuilding, RawRoad, assemble
from rmtools.city.policy import is_building
from rmtools.city.servers import USE_AN_EXTRACT, Servers, ask
from rmtools.errors import InputError, RecipeError
from rmtools.scene import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from geopandas import GeoDataFrame
    from shapely.geometry import Polygon

    from rmtools.city.citymap import Bounds, CityMap
    from rmtools.city.heights import HeightRules

TAGS = {"building": True, "building:part": True, "highway": True}
"""What is asked for."""

MAX_AREA_KM2 = 100.0
"""Largest area to download; the operators of Overpass ask bulk users to take an extract."""


def read_place(
    query: str,
    *,
    heights: HeightRules | None = None,
    cache: Path | None = None,
    contact: str | None = None,
    servers: Servers | None = None,
) -> CityMap:
    """Download the buildings and drivable roads of a named place.

    Parameters
    ----------
    query
        What Nominatim is asked for, such as ``"Kallio, Helsinki"``; the best match that is an
        area counts, and of several areas the largest.
    heights
        How buildings get their heights.
    cache
        Folder in which answers are kept; ``$XDG_CACHE_HOME/rmtools/osm`` when None.
    contact
        URL or e-mail address sent along, so that the operators can reach you.
    servers
        Other servers than the public ones.

    Returns
    -------
    CityMap
        Its bounds are the largest upright rectangle inside the outline of the place; only that
        is downloaded. The provenance holds the SHA-256 of the folder of answers
        (:func:`rmtools.files.sha256_tree`) and the date of the Overpass data.

    Raises
    ------
    InputError
        There is no such place, it is not an area, or holds no building or no drivable road.
    MissingError
        A server cannot be reached or refuses, and the answers are not in the cache.
    RecipeError
        The area is larger than :data:`MAX_AREA_KM2`, or an argument makes no sense.
    BusyError
        Another process is downloading into the same cache for too long.
    """
    if not 0 < len(query.strip()) <= 300:
        raise RecipeError("a place has a name of 1 to 300 characters.", where=f"place:{query[:40]}")

    source = f"place:{query}"
    return _read(
        source, lambda: _place(query, source), heights, cache, contact, servers or Servers()
    )


def read_bbox(
    bbox: Bounds,
    *,
    heights: HeightRules | None = None,
    cache: Path | None = None,
    contact: str | None = None,
    servers: Servers | None = None,
) -> CityMap:
    """Download the buildings and drivable roads of a box.

    Parameters
    ----------
    bbox
        West, south, east, north in degrees.
    heights, cache, contact, servers
        As in :func:`read_place`.

    Returns
    -------
    CityMap
        As from :func:`read_place`; its bounds lie inside the box.

    Raises
    ------
    InputError, MissingError, RecipeError, BusyError
        As :func:`read_place`.
    """
    west, south, east, north = bbox
    source = "bbox:" + ",".join(str(float(value)) for value in bbox)
    if not (-180 <= west < east <= 180 and -85 <= south < north <= 85):
        raise RecipeError(
            "a box is west < east within 180 and south < north within 85 degrees.", where=source
        )
    area = shapely.box(west, south, east, north)
    return _read(source, lambda: area, heights, cache, contact, servers or Servers())


def _read(
    source: str,
    outline: Callable[[], Polygon],
    heights: HeightRules | None,
    cache: Path | None,
    contact: str | None,
    servers: Servers,
) -> CityMap:
    """Download, or take from the cache, and assemble."""
    import osmnx

    def fetch() -> tuple[Polygon, GeoDataFrame]:
        area = outline()
        _check_size(area, source)
        try:
            return area, osmnx.features_from_polygon(area, TAGS)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise InputError(
                f"the Overpass answer holds no usable building or road ({error}).",
                where=source,
                remedy="Check that the area is on land and built up.",
            ) from error

    (area, features), answers = ask(source, fetch, cache=cache, contact=contact, servers=servers)
    overpass = answers.overpass
    provenance = Provenance(
        source=source,
        reader="osm-place",
        sha256=answers.sha256,
        date=_date(overpass),
        licence=LICENCE,
        attribution=ATTRIBUTION,
    )
    buildings, roads, notes = _raw(features, overpass)
    return assemble(_name(source), buildings, roads, area, provenance, heights, notes)


def _place(query: str, source: str) -> Polygon:
    """Largest upright rectangle inside a place, in degrees; scenes can be cut from nothing else."""
    import osmnx
    from pyproj import Transformer

    remedy = "Check the spelling, add the town or country, or give bbox:WEST,SOUTH,EAST,NORTH."
    try:
        found = osmnx.geocode_to_gdf(query).geometry.iloc[0]
    except TypeError as error:
        raise InputError(
            "OpenStreetMap knows this place as a point or line, not as an area.",
            where=source,
            remedy=f"Name a district or town. {remedy}",
        ) from error
    except (ValueError, KeyError) as error:
        raise InputError(
            "OpenStreetMap's search finds no such place.", where=source, remedy=remedy
        ) from error
    crs = utm_crs(found.centroid.x, found.centroid.y)
    parts = polygons_of(shapely.make_valid(project(found, crs)))
    rectangle = shapely.box(*inner_rectangle(max(parts, key=lambda part: part.area)))
    back = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    return shapely.transform(rectangle, lambda xy: np.column_stack(back.transform(*xy.T)))


def _check_size(area: Polygon, source: str) -> None:
    km2 = project(area, utm_crs(area.centroid.x, area.centroid.y)).area / 1e6
    if km2 > MAX_AREA_KM2:
        raise RecipeError(
            f"the area has {km2:,.0f} km2; at most {MAX_AREA_KM2:.0f} km2 are downloaded, because "
            "the public servers are not for bulk use.",
            where=source,
            remedy=f"{USE_AN_EXTRACT}, or choose a smaller area.",
        )


def _raw(
    features: GeoDataFrame, overpass: dict[str, Any]
) -> tuple[list[RawBuilding], list[RawRoad], dict[str, int | float | str]]:
    """Pair OSMnx's geometries with the tags of the answer, and count what gave no area."""
    tags_of = {(item["type"], item["id"]): item.get("tags", {}) for item in overpass["elements"]}
    asked = sum(kind == "relation" and is_building(tags) for (kind, _), tags in tags_of.items())
    buildings: list[RawBuilding] = []
    roads: list[RawRoad] = []
    unclosed = 0
    for (kind, ref), geometry in features.geometry.items():
        tags = tags_of[kind, ref]
        if kind == "node":
            continue
        if is_building(tags):
            if geometry.geom_type in ("Polygon", "MultiPolygon"):
                buildings.append(RawBuilding(geometry, tags, kind))
            else:
                unclosed += 1
        if kind == "way" and "highway" in tags:
            roads.append(RawRoad(geometry, tags))
    used = sum(building.element == "relation" for building in buildings)
    return (
        buildings,
        roads,
        {"building_ways_unclosed": unclosed, "relations_skipped": asked - used},
    )


def _name(source: str) -> str:
    """Short lower-case name; a place in another script than Latin gets a hash."""
    kind, text = source.split(":", 1)
    words = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    if kind == "bbox":
        return f"bbox_{words}"
    return words[:40].strip("_") or f"place_{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _date(overpass: dict[str, Any]) -> str | None:
    """State of the Overpass database, ISO 8601."""
    text = str(overpass.get("osm3s", {}).get("timestamp_osm_base", ""))
    return text if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text) else None
