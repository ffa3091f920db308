"""From tagged geometries in longitude and latitude to a :class:`CityMap`.

Every source of OpenStreetMap data (a local extract, a download) comes through :func:`assemble`,
so the same policy, the same rule for double-tagged outer ways and the same repair apply to all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import shapely
from shapely.geometry import LineString, MultiLineString, Polygon

from rmtools.city.areas import inner_rectangle, polygons_of, project, utm_crs
from rmtools.city.citymap import CityMap
from rmtools.city.heights import HeightRules, building_height
from rmtools.city.policy import classify_building, classify_road
from rmtools.errors import InputError
from rmtools.scene import Building, Road

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shapely.geometry import MultiPolygon

    from rmtools.scene import Provenance

ElementKind = Literal["way", "relation"]

MIN_FOOTPRINT_M2 = 0.01
"""Smaller polygons are slivers of a repair, not buildings."""


@dataclass(frozen=True)
class RawBuilding:
    """An area tagged ``building`` or ``building:part``, in longitude and latitude (EPSG:4326)."""

    geometry: Polygon | MultiPolygon
    tags: Mapping[str, str]
    element: ElementKind


@dataclass(frozen=True)
class RawRoad:
    """A way tagged ``highway``, in longitude and latitude.

    A way with ``area=yes`` may be given as its outline or as the polygon.
    """

    geometry: LineString | MultiLineString | Polygon | MultiPolygon
    tags: Mapping[str, str]


@dataclass(frozen=True)
class _Footprint:
    """One projected polygon of a building that the policy did not drop."""

    polygon: Polygon
    tags: Mapping[str, str]
    element: ElementKind
    is_part: bool


def assemble(
    name: str,
    buildings: Iterable[RawBuilding],
    roads: Iterable[RawRoad],
    area: Polygon,
    provenance: Provenance,
    heights: HeightRules | None = None,
    notes: Mapping[str, int | float | str] | None = None,
) -> CityMap:
    """Apply the policy, project to UTM, repair, and give heights and widths.

    Parameters
    ----------
    name
        Name of the city map.
    buildings, roads
        Everything the source has; the policy decides here what stays.
    area
        The area that the source covers fully, in longitude and latitude.
    provenance
        Where the data came from.
    heights
        How buildings get their heights; the defaults of :class:`HeightRules` when None.
    notes
        Counts the source adds to those made here.

    Raises
    ------
    InputError
        The area is empty, or no building or no drivable road is left.
    """
    counts: Counter[str] = Counter()
    if not (area.is_valid and area.area > 0):
        raise InputError(
            "the data covers no area.",
            where=provenance.source,
            remedy="Cut the extract again with a bounding box of at least 300 m by 300 m.",
        )
    centre = area.centroid
    crs = utm_crs(centre.x, centre.y)
    footprints = _without_outer_rings(_footprints(buildings, crs, counts), counts)
    city = CityMap(
        name=name,
        crs=crs,
        buildings=_solid(footprints, heights or HeightRules(), counts),
        roads=_drivable(roads, crs, counts),
        bounds=inner_rectangle(project(area.segmentize(max(area.length / 256, 1e-9)), crs)),
        provenance=provenance,
        notes={**(notes or {}), **dict(sorted(counts.items()))},
    )
    for what, found in (("buildings", city.buildings), ("drivable roads", city.roads)):
        if not found:
            raise InputError(
                f"no {what} are left after reading (docs/osm-policy.md says what counts).",
                where=provenance.source,
                remedy="Choose a built-up area, or an extract that was not filtered beforehand.",
            )
    return city


def _footprints(
    buildings: Iterable[RawBuilding], crs: str, counts: Counter[str]
) -> list[_Footprint]:
    """Project and repair the buildings that the policy does not drop."""
    chosen: list[tuple[RawBuilding, bool]] = []
    for raw in buildings:
        decision = classify_building(raw.tags)
        if decision.outcome == "drop":
            counts[f"buildings_dropped_{decision.row}"] += 1
        else:
            chosen.append((raw, decision.outcome == "part"))
    shapes = project([raw.geometry for raw, _ in chosen], crs)
    return [
        _Footprint(polygon, raw.tags, raw.element, is_part)
        for (raw, is_part), geometry in zip(chosen, shapes, strict=True)
        for polygon in _repaired(geometry, counts)
    ]


def _without_outer_rings(footprints: list[_Footprint], counts: Counter[str]) -> list[_Footprint]:
    """Drop ways that repeat the outer ring of a building relation and would fill its courtyards.

    Mappers often tag both the relation and its outer way. A way counts as such when it lies inside
    the outer ring of a relation and at least half of its outline runs along that ring: two touching
    outer ways merge into one ring. A house in a courtyard lies on an inner ring and stays.
    """
    rings = [f.polygon.exterior for f in footprints if f.element == "relation" and not f.is_part]
    filled = [Polygon(ring) for ring in rings]
    tree = shapely.STRtree(filled)
    doubles: set[int] = set()
    for index, footprint in enumerate(footprints):
        if footprint.element != "way":
            continue
        outline, inside = footprint.polygon.exterior, footprint.polygon.representative_point()
        if any(
            outline.intersection(rings[k]).length >= outline.length / 2
            for k in tree.query(inside, predicate="within")
        ):
            doubles.add(index)
    parts = sum(footprints[index].is_part for index in doubles)
    counts["outer_ways_dropped"] = len(doubles) - parts
    counts["parts_ignored"] += parts
    return [f for index, f in enumerate(footprints) if index not in doubles]


def _solid(
    footprints: Sequence[_Footprint], rules: HeightRules, counts: Counter[str]
) -> tuple[Building, ...]:
    """Give heights to the outlines and to the parts that no outline covers."""
    outlines = [f.polygon for f in footprints if not f.is_part]
    tree = shapely.STRtree(outlines)
    solid: list[Building] = []
    for footprint in footprints:
        if footprint.is_part:
            near = [outlines[k] for k in tree.query(footprint.polygon, predicate="intersects")]
            covered = footprint.polygon.intersection(shapely.union_all(near)).area
            if covered >= footprint.polygon.area / 2:
                counts["parts_ignored"] += 1
                continue
            counts["parts_as_buildings"] += 1
        height, source = building_height(footprint.tags, rules)
        counts[f"heights_from_{source}"] += 1
        solid.append(Building(footprint.polygon, height, source))
    counts["buildings"] = len(solid)
    return tuple(solid)


def _drivable(roads: Iterable[RawRoad], crs: str, counts: Counter[str]) -> tuple[Road, ...]:
    """Project the roads that the policy does not drop."""
    chosen = []
    for raw in roads:
        decision = classify_road(raw.tags)
        if decision.outcome == "drop":
            counts[f"roads_dropped_{decision.row}"] += 1
        else:
            chosen.append((raw, decision))
    shapes = project([raw.geometry for raw, _ in chosen], crs)
    drivable: list[Road] = []
    for (raw, decision), geometry in zip(chosen, shapes, strict=True):
        kind = raw.tags["highway"]
        parts: list[Any]
        if decision.outcome == "square":
            parts = _repaired(_closed(geometry), counts)
        else:
            parts = _lines(geometry, counts)
            counts[f"widths_from_{decision.width_source}"] += len(parts)
        drivable += [Road(part, decision.width_m, decision.width_source, kind) for part in parts]
    counts["roads"] = len(drivable)
    return tuple(drivable)


def _repaired(geometry: Any, counts: Counter[str]) -> list[Polygon]:
    """Valid polygons of a geometry; slivers and what has no area are dropped and counted."""
    if not np.isfinite(shapely.get_coordinates(geometry)).all():
        counts["degenerate_geometries"] += 1
        return []
    if not geometry.is_valid:
        counts["polygons_repaired"] += 1
        geometry = shapely.make_valid(geometry, method="structure", keep_collapsed=False)
    polygons = polygons_of(geometry, MIN_FOOTPRINT_M2)
    if not polygons:
        counts["degenerate_geometries"] += 1
    return polygons


def _lines(geometry: Any, counts: Counter[str]) -> list[LineString]:
    if geometry.geom_type.endswith("Polygon"):  # a closed way that a source took for an area
        geometry = geometry.boundary
    lines = [
        shapely.remove_repeated_points(line)
        for line in shapely.get_parts(geometry)
        if np.isfinite(shapely.get_coordinates(line)).all() and line.length > 0
    ]
    if not lines:
        counts["degenerate_geometries"] += 1
    return lines


def _closed(geometry: Any) -> Any:
    """The polygon of a square given as its outline."""
    if geometry.geom_type != "LineString":
        return geometry
    ring = geometry.coords
    return Polygon(ring) if len(ring) >= 4 and ring[0] == ring[-1] else Polygon()
