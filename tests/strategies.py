"""Random scenes for property tests: street grids, curves, courtyards, dead ends, squares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely
from hypothesis import strategies as st
from shapely import affinity
from shapely.geometry import LineString, Polygon, box

from rmtools.scene import COORDINATE_DECIMALS, Building, Frame, Provenance, Road, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

MILLIMETRE = 10.0**-COORDINATE_DECIMALS

PROVENANCE = Provenance(
    source="random",
    reader="radiomapseer",
    sha256="0" * 64,
    date=None,
    licence="CC0-1.0",
    attribution="none",
)


def random_scene(
    rng: np.random.Generator, n: int | None = None, resolution_m: float = 1.0
) -> Scene:
    """A random scene of `n` (96 to 256 when not given) pixels per side.

    Roads come from one of four families and may get dead ends and a square; buildings fill the
    land between them as closed blocks, blocks with courtyards, or loose rotated houses, a few of
    them standing in the way of a road.
    """
    n = int(rng.integers(96, 257)) if n is None else n
    size = n * resolution_m
    tile = box(0, 0, size, size)
    family = rng.choice(["grid", "curves", "ring", "random"])
    lines = list(_LINES[family](rng, size))
    if rng.random() < 0.5:
        lines += _dead_ends(rng, size)
    roads = [
        Road(part, float(width), "dataset", "road")
        for line in lines
        for width in [rng.choice([5.0, 6.0, 8.0, 12.0])]
        for part in _parts(shapely.intersection(line, tile), LineString)
    ]
    if rng.random() < 0.3:
        square = _house(rng, size, 20.0, 50.0)
        roads += [
            Road(part, 0.0, "area", "road") for part in _parts(square.intersection(tile), Polygon)
        ]
    buildings = [
        Building(part, float(rng.uniform(3, 40)), "dataset")
        for shape in _buildings(rng, roads, size)
        for part in _parts(shapely.intersection(shape, tile), Polygon)
        if part.area > 1.0
    ]
    name = f"random_{int(rng.integers(2**31))}"
    return Scene(
        name, Frame(n=n, resolution_m=resolution_m), tuple(buildings), tuple(roads), PROVENANCE
    )


def scenes(n: int | None = None) -> st.SearchStrategy[Scene]:
    """Hypothesis strategy over :func:`random_scene`; the seed is what shrinks."""
    return st.integers(0, 2**32 - 1).map(lambda seed: random_scene(np.random.default_rng(seed), n))


def _grid_lines(rng: np.random.Generator, size: float) -> Iterator[LineString]:
    angle = float(rng.choice([0.0, rng.uniform(-45, 45)]))
    for turn in (0.0, 90.0):
        offset = rng.uniform(-0.2, 0.2) * size - size / 2
        while offset < size * 1.5:
            line = LineString([(-size, offset), (2 * size, offset)])
            yield affinity.rotate(line, angle + turn, origin=(size / 2, size / 2))
            offset += rng.uniform(25, 80)


def _curved_lines(rng: np.random.Generator, size: float) -> Iterator[LineString]:
    t = np.linspace(-0.3, 1.3, 60)
    for _ in range(int(rng.integers(2, 5))):
        swing = rng.uniform(0.02, 0.15) * np.sin(rng.uniform(2, 7) * t + rng.uniform(0, 6))
        line = LineString(np.stack([t, rng.uniform(0.1, 0.9) + swing], axis=1) * size)
        yield affinity.rotate(line, rng.uniform(0, 360), origin=(size / 2, size / 2))


def _ring_lines(rng: np.random.Generator, size: float) -> Iterator[LineString]:
    centre = rng.uniform(0.4, 0.6, 2) * size
    around = np.linspace(0, 2 * np.pi, 49)
    for radius in np.arange(rng.uniform(15, 30), size / 2, rng.uniform(25, 60)):
        yield LineString(centre + radius * np.stack([np.cos(around), np.sin(around)], axis=1))
    for angle in rng.uniform(0, 2 * np.pi, int(rng.integers(1, 5))):
        yield LineString([centre, centre + 1.5 * size * np.array([np.cos(angle), np.sin(angle)])])


def _random_lines(rng: np.random.Generator, size: float) -> Iterator[LineString]:
    for _ in range(int(rng.integers(2, 8))):
        yield LineString(rng.uniform(-0.2, 1.2, (3, 2)) * size)


_LINES = {
    "grid": _grid_lines,
    "curves": _curved_lines,
    "ring": _ring_lines,
    "random": _random_lines,
}


def _dead_ends(rng: np.random.Generator, size: float) -> list[LineString]:
    """Short roads that start somewhere and end in the middle of a block."""
    starts = rng.uniform(0, size, (int(rng.integers(1, 4)), 2))
    angles = rng.uniform(0, 2 * np.pi, len(starts))
    ends = starts + 35 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return [LineString(pair) for pair in zip(starts, ends, strict=True)]


def _house(rng: np.random.Generator, size: float, least: float, most: float) -> Polygon:
    x, y = rng.uniform(0, size, 2)
    w, h = rng.uniform(least, most, 2)
    return affinity.rotate(box(x - w / 2, y - h / 2, x + w / 2, y + h / 2), rng.uniform(0, 90))


def _buildings(rng: np.random.Generator, roads: list[Road], size: float) -> Iterator[Polygon]:
    houses = [_house(rng, size, 4, 25) for _ in range(int(rng.integers(3, 60)))]
    surface = shapely.union_all(
        [road.shape.buffer(max(road.width_m / 2, 0.1)) for road in roads], grid_size=MILLIMETRE
    )
    style = rng.choice(["blocks", "houses"])
    if style == "blocks":
        pavement = rng.choice([0.3, 2.0, 4.0])
        land = shapely.difference(
            box(0, 0, size, size),
            shapely.make_valid(surface.buffer(pavement)),
            grid_size=MILLIMETRE,
        )
        for block in _parts(land, Polygon):
            courtyard = block.buffer(-rng.uniform(6, 15))
            yield from _parts(block.difference(courtyard) if rng.random() < 0.5 else block, Polygon)
        yield from houses[:2]  # these may stand on the road
    else:
        in_the_way = rng.random(len(houses)) < 0.05
        for house, keep in zip(houses, in_the_way, strict=True):
            yield from _parts(house if keep else house.difference(surface.buffer(1)), Polygon)


def _parts(
    geometry: shapely.Geometry, kind: type[LineString] | type[Polygon]
) -> list[LineString | Polygon]:
    """The parts of one kind, on the millimetre raster that scene files use."""
    snapped = shapely.set_precision(shapely.make_valid(geometry), MILLIMETRE)
    return [part for part in shapely.get_parts(snapped) if isinstance(part, kind)]
