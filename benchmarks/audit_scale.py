"""How well and how fast the audit finds copies among many scenes: ``python audit_scale.py``.

Scenes are cut from true cities, each turned by an angle, stretched, sheared and moved at random,
so that thousands of different towns come from a few square kilometres. Some are planted: turned by
90 degrees, shifted by 7 pixels and with 3 % of the pixels wrong; and tiles that share a part of
their ground with another, turned or mirrored, with the same noise. Everything else that is found is
looked up: two scenes from the same ground that chance stretched and turned alike are no mistake,
scenes from different ground are false alarms.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rmtools.audit.copies import find_copies
from rmtools.audit.landmarks import symmetry
from rmtools.city.extract import read_extract
from rmtools.city.rasters import building_mask
from rmtools.city.tiles import Tile, cut_scene
from rmtools.data import helsinki_path
from rmtools.grid import Grid
from rmtools.seeds import generator

if TYPE_CHECKING:
    from rmtools.types import BoolArray, FloatArray

N = 256
SHARED = {"shifted by 7": None, "60 %": 0.6, "50 %": 0.5, "40 %": 0.4, "30 %": 0.3, "20 %": 0.2}
"""Kinds of planted scenes: how much of the ground they share."""


@dataclass(frozen=True)
class View:
    """Where a scene lies in a city's raster: centre, and the way from pixels to there."""

    city: str
    matrix: FloatArray
    centre: FloatArray

    def cut(self, rasters: dict[str, BoolArray]) -> BoolArray | None:
        """The scene, None where it leaves the data."""
        raster = rasters[self.city]
        offset = np.arange(N) - (N - 1) / 2
        row, col = (
            (line[0] * offset[:, None] + line[1] * offset + middle).astype(int)
            for line, middle in zip(self.matrix, self.centre, strict=True)
        )
        inside = row.min() >= 0 and col.min() >= 0
        if not inside or row.max() >= raster.shape[0] or col.max() >= raster.shape[1]:
            return None
        return raster[row, col]

    def moved(self, rows: float, cols: float) -> View:
        """The view so many of its own pixels farther."""
        return View(self.city, self.matrix, self.centre + self.matrix @ [rows, cols])

    def may_show(self, other: View) -> bool:
        """Whether two views can have ground in common."""
        apart = float(np.linalg.norm(self.centre - other.centre))
        return self.city == other.city and apart < 2 * N


def city_rasters(folder: Path) -> dict[str, BoolArray]:
    """Buildings of whole extracts, a pixel a metre."""
    rasters = {}
    for path in sorted(folder.glob("*.pbf")) or [helsinki_path()]:
        city = read_extract(path)
        west, south, east, north = city.bounds
        if min(east - west, north - south) < 1.3 * N:
            continue
        side = int(max(east - west, north - south))
        tile = Tile(name="all", row=0, col=0, easting_m=west, northing_m=north - side)
        raster = building_mask(cut_scene(city, tile, Grid(side, 1.0)))
        rasters[city.name] = raster[: int(north - south), : int(east - west)]
    return rasters


def draw(rasters: dict[str, BoolArray], random: np.random.Generator) -> tuple[View, BoolArray]:
    """A scene turned, stretched by up to a quarter, sheared and moved at random."""
    names = list(rasters)
    area = np.array([rasters[name].size for name in names], float)
    while True:
        name = names[random.choice(len(names), p=area / area.sum())]
        angle, (down, right) = random.uniform(0, 2 * np.pi), np.exp(random.uniform(-0.25, 0.25, 2))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        stretch = np.array([[down, random.uniform(-0.25, 0.25)], [0, right]])
        view = View(name, turn @ stretch, random.uniform(0, rasters[name].shape))
        scene = view.cut(rasters)
        if scene is not None and 0.1 < scene.mean() < 0.7:
            return view, scene


def plant(
    views: list[View], rasters: dict[str, BoolArray], kind: str, random: np.random.Generator
) -> tuple[int, BoolArray]:
    """A copy of one of the scenes, and which it is a copy of."""
    share = SHARED[kind]
    while True:
        source = int(random.integers(len(views)))
        shift = (7.0, 7.0) if share is None else (0.0, (1 - share) * N)
        scene = views[source].moved(*shift).cut(rasters)
        if scene is not None:
            turned = symmetry(scene, 1 if share is None else int(random.integers(8)))
            return source, turned ^ (random.random(turned.shape) < 0.03)


def measure(count: int, planted: int, rasters: dict[str, BoolArray]) -> None:
    """Make scenes, search them, and print what was found."""
    random = generator(1, "audit", count)
    views, packed, copies = [], [], {}
    for _ in range(count):
        view, scene = draw(rasters, random)
        views.append(view)
        packed.append(np.packbits(scene))
    shown = list(views)
    for kind in SHARED:
        for _ in range(planted):
            source, scene = plant(views, rasters, kind, random)
            copies[source, len(packed)] = kind
            packed.append(np.packbits(scene))
            shown.append(views[source])
    names = [f"{k:06d}" for k in range(len(packed))]
    chances = [0.7, 0.1, 0.2]
    drawn = random.choice(["train", "val", "test"], len(names), p=chances)
    drawn[count:] = "test"  # copies of scenes to train with
    drawn[[source for source, _ in copies]] = "train"
    sets = {name: frozenset({str(each)}) for name, each in zip(names, drawn, strict=True)}

    def read(name: str) -> BoolArray:
        return np.unpackbits(packed[int(name)]).reshape(N, N).astype(bool)

    before, used = time.perf_counter(), time.process_time()
    result = find_copies(sets, read, names)
    seconds, busy = time.perf_counter() - before, time.process_time() - used
    found = {(int(copy.first), int(copy.second)) for copy in result.copies}
    print(f"\n{len(names):,} scenes, {len(copies)} of them planted copies")
    for kind in SHARED:
        wanted = [pair for pair, each in copies.items() if each == kind]
        print(f"  {kind:<13} {sum(pair in found for pair in wanted)} of {len(wanted)} found")
    others = [pair for pair in found if pair not in copies]
    false = [pair for pair in others if not shown[pair[0]].may_show(shown[pair[1]])]
    print(f"  others        {len(others)}, of the same ground {len(others) - len(false)}, ", end="")
    print(f"false alarms {len(false)}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {seconds:.0f} s ({busy:.0f} s of processor), {memory:.0f} MB at most with all scenes")


def main() -> None:
    """Read the cities and measure each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, nargs="+", default=[700, 10_000])
    parser.add_argument("--planted", type=int, default=50, help="of every kind")
    data = os.environ.get("RMTOOLS_REFERENCE_DATA", Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--osm", type=Path, default=Path(data) / "osm", help="folder of .osm.pbf")
    given = parser.parse_args()
    rasters = city_rasters(given.osm)
    area = sum(raster.size for raster in rasters.values()) / 1e6
    print(f"{len(rasters)} cities, {area:.1f} square kilometres, {os.cpu_count()} cores")
    for count in given.scenes:
        measure(count, given.planted, rasters)


if __name__ == "__main__":
    main()
