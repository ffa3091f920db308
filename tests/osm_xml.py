"""Tiny hand-made OpenStreetMap files, drawn in metres."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from pyproj import Transformer

if TYPE_CHECKING:
    from pathlib import Path

CRS = "EPSG:32633"
ORIGIN = (500_000.0, 5_800_000.0)  # on the central meridian, where UTM north is true north
_TO_LONLAT = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)

Point = tuple[float, float]


def square(x: float, y: float, side: float) -> list[Point]:
    """Corners of an upright square, closed."""
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)]


class Drawing:
    """An OSM file under construction; equal points share a node."""

    def __init__(self, size: float = 400.0, *, bounds: bool = True) -> None:
        self.size, self.bounds = size, bounds
        self.lines: dict[str, list[str]] = {"node": [], "way": [], "relation": []}
        self.nodes: dict[Point, int] = {}
        self.ids = count(1)
        if not bounds:
            for corner in square(0, 0, size):
                self.node(corner)

    def node(self, point: Point) -> int:
        if point not in self.nodes:
            lon, lat = _TO_LONLAT.transform(ORIGIN[0] + point[0], ORIGIN[1] + point[1])
            self.nodes[point] = next(self.ids)
            self.lines["node"].append(
                f'<node id="{self.nodes[point]}" version="1" timestamp="2020-01-01T00:00:00Z" '
                f'lat="{lat:.7f}" lon="{lon:.7f}"/>'
            )
        return self.nodes[point]

    def way(self, points: list[Point], lost: int = 0, **tags: str) -> int:
        """A way; the last `lost` of its nodes are not in the file."""
        refs = [self.node(point) for point in points]
        refs += [next(self.ids) for _ in range(lost)]
        return self._add("way", "".join(f'<nd ref="{ref}"/>' for ref in refs), tags)

    def relation(self, members: list[tuple[int, str]], **tags: str) -> int:
        inner = "".join(f'<member type="way" ref="{ref}" role="{role}"/>' for ref, role in members)
        return self._add("relation", inner, {"type": "multipolygon"} | tags)

    def street(self) -> int:
        """A plain street along the southern edge: no file is read without one."""
        return self.way([(20, 30), (380, 30)], highway="residential")

    def house(self) -> int:
        """A plain house in the north-east: no file is read without one."""
        return self.way(square(350, 350, 10), building="yes")

    def text(self) -> str:
        box = ""
        if self.bounds:
            west, south = _TO_LONLAT.transform(*ORIGIN)
            east, north = _TO_LONLAT.transform(ORIGIN[0] + self.size, ORIGIN[1] + self.size)
            box = f'<bounds minlon="{west}" minlat="{south}" maxlon="{east}" maxlat="{north}"/>'
        body = "".join("".join(lines) for lines in self.lines.values())
        return f'<?xml version="1.0" encoding="UTF-8"?><osm version="0.6">{box}{body}</osm>'

    def write(self, path: Path) -> Path:
        path.write_text(self.text(), encoding="utf-8")
        return path

    def _add(self, kind: str, inner: str, tags: dict[str, str]) -> int:
        number = next(self.ids)
        keys = "".join(
            f"<tag k={quoteattr(key.replace('__', ':'))} v={quoteattr(value)}/>"
            for key, value in tags.items()
        )
        self.lines[kind].append(
            f'<{kind} id="{number}" version="1" timestamp="2021-05-0{len(kind)}T00:00:00Z">'
            f"{inner}{keys}</{kind}>"
        )
        return number
