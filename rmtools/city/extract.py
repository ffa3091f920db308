"""A local OpenStreetMap file (``.osm.pbf``, ``.osm``, ``.osm.gz``, ``.osm.bz2``) as a city map.

pyosmium reads every one of them, and survives files that were clipped so that ways lack nodes and
relations lack members. What cannot be used is counted in the notes of the city map.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import osmium
import shapely
from shapely.geometry import LineString, MultiLineString, MultiPoint, Polygon

from rmtools.city.features import RawBuilding, RawRoad, assemble
from rmtools.city.policy import is_building
from rmtools.errors import InputError
from rmtools.files import sha256_file
from rmtools.scene import Provenance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from rmtools.city.citymap import CityMap
    from rmtools.city.heights import HeightRules

SUFFIXES = (".osm.pbf", ".osm", ".osm.gz", ".osm.bz2")
LICENCE = "ODbL-1.0"
ATTRIBUTION = "© OpenStreetMap contributors, ODbL 1.0"

_REMARKS = {"type", "source", "note", "fixme", "created_by", "attribution"}
"""Tags that do not say what a relation is; one with only these takes its outer way's tags."""

_NEGATIVE = "it has negative ids, as editors give to what was not uploaded yet"

_EPOCH_YEAR = 1970
"""Year of a timestamp that was stripped from the file."""


@dataclass
class _Relations:
    """What the first pass over a file learns about its multipolygon relations."""

    total: int = 0
    buildings: set[int] = field(default_factory=set)
    outer_ways: dict[int, list[int]] = field(default_factory=dict)
    """Members of relations without tags of their own: the old style, tags on the outer way."""


@dataclass
class _Content:
    """Everything of interest in a file."""

    buildings: list[RawBuilding] = field(default_factory=list)
    roads: list[RawRoad] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    newest: datetime | None = None


def read_extract(path: Path, heights: HeightRules | None = None) -> CityMap:
    """Read buildings and drivable roads from a local OpenStreetMap file.

    Parameters
    ----------
    path
        A file ending in one of :data:`SUFFIXES`.
    heights
        How buildings get their heights.

    Returns
    -------
    CityMap
        Named after the file. Its bounds lie inside the bounding box of the file's header, or of
        its nodes when the header has none.

    Raises
    ------
    InputError
        The file is missing, empty, cut off or not what its name says, or holds no building or no
        drivable road.
    """
    suffix = check_file(path)
    with _explained(path):
        relations = _relations(path)
        if suffix == ".osm.pbf" and relations.total == 0:
            _refuse_lost_relations(path)
        content = _content(path, relations)
        area, area_source = _area(path)
        date = _date(path, content)
    notes: dict[str, int | float | str] = {"area_from": area_source}
    notes |= dict(sorted(content.counts.items()))
    provenance = Provenance(
        source=path.name,
        reader="osm-extract",
        sha256=sha256_file(path),
        date=date,
        licence=LICENCE,
        attribution=ATTRIBUTION,
    )
    name = re.sub(r"[^a-z0-9]+", "_", path.name.removesuffix(suffix).lower()).strip("_") or "city"
    return assemble(name, content.buildings, content.roads, area, provenance, heights, notes)


def check_file(path: Path) -> str:
    """Check that an extract is there, without reading it.

    Returns
    -------
    str
        Which of :data:`SUFFIXES` its name ends in.

    Raises
    ------
    InputError
        The file is missing, empty or of another kind.
    """
    suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if path.name.endswith(s)), "")
    if not suffix:
        raise InputError(
            f"not a known kind of OpenStreetMap file; its name must end in {', '.join(SUFFIXES)}.",
            where=path,
            remedy="Give an extract, for example from https://download.geofabrik.de.",
        )
    if not path.is_file():
        raise InputError("no such file.", where=path, remedy="Check the path.")
    if path.stat().st_size == 0:
        raise InputError("the file is empty.", where=path, remedy="Download or export it again.")
    return suffix


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what pyosmium raises on a broken file into an :class:`InputError`.

    libosmium reports every broken file as RuntimeError and bad values as ValueError. It refuses
    XML entities and stops at a file that ends early, so a cut-off file is never a smaller city.
    """
    try:
        yield
    except (RuntimeError, ValueError, osmium.InvalidLocationError) as error:
        text = str(error) or type(error).__name__
        remedy = "It is damaged, cut off or not what its name says; download or export it again."
        if "out of order" in text or text == _NEGATIVE:
            remedy = "Run `osmium sort` on it, and `osmium renumber` if ids are negative."
        raise InputError(
            f"not readable as an OpenStreetMap file ({text}).", where=path, remedy=remedy
        ) from error


def _relations(path: Path) -> _Relations:
    relations = _Relations()
    for relation in osmium.FileProcessor(path, osmium.osm.RELATION):
        relations.total += 1
        _refuse_negative(relation.id)
        if relation.tags.get("type") != "multipolygon":
            continue
        if is_building(relation.tags):
            relations.buildings.add(relation.id)
        elif all(tag.k in _REMARKS for tag in relation.tags):
            relations.outer_ways[relation.id] = [
                member.ref
                for member in relation.members
                if member.type == "w" and member.role != "inner"
            ]
    return relations


def _refuse_lost_relations(path: Path) -> None:
    """Refuse a PBF file that was cut off exactly between two of its blocks.

    The format has no end mark. Relations come last, and the ways that only serve as their members
    carry no tags; such ways without a single relation are what a cut leaves behind.
    """
    orphans = sum(1 for way in osmium.FileProcessor(path, osmium.osm.WAY) if not way.tags)
    if orphans:
        raise InputError(
            f"it has {orphans} ways without tags but no relation that could use them: the end of "
            "the file is missing, or its relations were filtered out.",
            where=path,
            remedy="Download it again, or export it with its relations (buildings with courtyards "
            "are relations).",
        )


def _content(path: Path, relations: _Relations) -> _Content:
    """Second pass: ways as they are, relations through libosmium's area assembler."""
    content = _Content()
    donors = {way for ways in relations.outer_ways.values() for way in ways}
    donated: dict[int, dict[str, str]] = {}
    assembled: set[int] = set()
    wanted = osmium.filter.IdFilter(relations.buildings | set(relations.outer_ways))
    # Not filtered by key: the area of an old-style relation comes without any tag.
    kinds = osmium.filter.EntityFilter(osmium.osm.WAY | osmium.osm.AREA)
    factory = osmium.geom.WKBFactory()
    for entity in osmium.FileProcessor(path).with_areas(wanted).with_filter(kinds):
        if entity.is_way():
            tags = dict(entity.tags)
            if is_building(tags):
                _add_building_way(content, entity, tags)
                if entity.id in donors:
                    donated[entity.id] = tags
            if "highway" in tags:
                _add_road(content, entity, tags)
        elif entity.is_area() and not entity.from_way() and any(entity.num_rings()):
            relation = entity.orig_id()  # without rings libosmium could not make an area of it
            tags = dict(entity.tags)
            if relation in relations.outer_ways:
                ways = relations.outer_ways[relation]
                tags = next((donated[way] for way in ways if way in donated), {})
                content.counts["relations_old_style"] += bool(tags)
            if is_building(tags):
                geometry = shapely.from_wkb(factory.create_multipolygon(entity))
                content.buildings.append(RawBuilding(geometry, tags, "relation"))
                assembled.add(relation)
                _note_time(content, entity)
    content.counts["relations_skipped"] = len(relations.buildings - assembled)
    return content


def _add_building_way(content: _Content, way: Any, tags: dict[str, str]) -> None:
    runs, complete = _runs(way)
    if not complete:
        content.counts["building_ways_incomplete"] += 1
    elif not way.is_closed() or len(runs[0]) < 4:
        content.counts["building_ways_unclosed"] += 1
    else:
        content.buildings.append(RawBuilding(Polygon(runs[0]), tags, "way"))
        _note_time(content, way)


def _add_road(content: _Content, way: Any, tags: dict[str, str]) -> None:
    runs, complete = _runs(way)
    content.counts["road_ways_incomplete"] += not complete
    lines = [run for run in runs if len(run) >= 2]
    if lines:
        geometry = LineString(lines[0]) if len(lines) == 1 else MultiLineString(lines)
        content.roads.append(RawRoad(geometry, tags))
        _note_time(content, way)


def _runs(way: Any) -> tuple[list[list[tuple[float, float]]], bool]:
    """Stretches of a way between nodes that the file lacks, and whether it lacks none."""
    runs: list[list[tuple[float, float]]] = [[]]
    complete = len(way.nodes) > 0
    for node in way.nodes:
        _refuse_negative(node.ref)
        if node.location.valid():
            runs[-1].append((node.lon, node.lat))
        else:
            complete = False
            runs.append([])
    return runs, complete


def _refuse_negative(number: int) -> None:
    """Refuse what libosmium cannot look up; it would be taken for an object that is missing."""
    if number < 0:
        raise ValueError(_NEGATIVE)


def _note_time(content: _Content, entity: Any) -> None:
    if content.newest is None or entity.timestamp > content.newest:
        content.newest = entity.timestamp


def _area(path: Path) -> tuple[Polygon, str]:
    """The area that the file says it covers, or that its nodes cover, and which of the two."""
    box = osmium.FileProcessor(path).header.box()
    if box.valid():
        southwest, northeast = box.bottom_left, box.top_right
        corners = southwest.lon, southwest.lat, northeast.lon, northeast.lat
        return shapely.box(*corners), "header"
    nodes = osmium.FileProcessor(path, osmium.osm.NODE)
    points = [(node.lon, node.lat) for node in nodes if node.location.valid()]
    return shapely.box(*MultiPoint(points).bounds) if points else Polygon(), "nodes"


def _date(path: Path, content: _Content) -> str | None:
    """Date of the data: from the header, else the newest edit; None when both were stripped."""
    stated = osmium.FileProcessor(path).header.get("osmosis_replication_timestamp", "")
    if stated:
        return str(stated)
    if content.newest is None or content.newest.year <= _EPOCH_YEAR:
        return None
    return content.newest.strftime("%Y-%m-%dT%H:%M:%SZ")
