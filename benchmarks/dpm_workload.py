"""What the speed of the solver is measured on: real scenes with transmitters and vehicles."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely
from shapely.geometry import box

from rmtools.city.config import CityConfig
from rmtools.city.sources import build_scenes
from rmtools.errors import RmtoolsError
from rmtools.grid import Grid
from rmtools.radio.solver import Obstacles, Transmitter
from rmtools.radio.transmitters import PlacementConfig, place_scene
from rmtools.scene import Building, Frame, Provenance, Scene
from rmtools.seeds import generator
from rmtools.traffic.config import TrafficConfig
from rmtools.traffic.engine import generate_scene

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dpm_truth import TrueMap

TILES = 2
"""Scenes of each extract."""

TRAFFIC = TrafficConfig(trajectories=1, vehicles=20)
"""Sequences as a recipe makes them by default."""


class Work(NamedTuple):
    """A scene, transmitters in it, and the frames of a sequence (none without roads)."""

    scene: Scene
    transmitters: list[Transmitter]
    frames: list[Obstacles]


def workloads(root: Path, maps: list[TrueMap], transmitters: int = 2) -> list[Work]:
    """Tiles of the demo extract and of those in ``osm/``, and the cities of the true maps.

    Parameters
    ----------
    root
        Reference data.
    maps
        True maps; of those with polygons each city becomes a scene.
    transmitters
        Per scene.
    """
    found = []
    for source in ("demo", *map(str, sorted((root / "osm").glob("*.osm.pbf")))):
        config = CityConfig.model_validate({"source": source, "tiles": {"count": TILES}})
        try:
            scenes, _ = build_scenes(config, Grid(), 0)
            for scene in scenes:
                places = place_scene(scene, PlacementConfig(count=transmitters), 0, TRAFFIC)
                found.append(_work(scene, [Transmitter(*p) for p in places.tolist()]))
        except RmtoolsError as error:
            print(f"not used: {error}")
    cities = {true.city: true.scene for true in maps if true.walls == "polygons"}
    for city, scene in cities.items():
        here = [true.transmitter for true in maps if true.city == city]
        found.append(_work(scene, here[:transmitters]))
    return found


def _work(scene: Scene, transmitters: list[Transmitter]) -> Work:
    tracks = generate_scene(scene, TRAFFIC, 0)[0] if scene.roads else None
    count = tracks.frames if tracks else 0
    outlines = [tracks.outlines(f) for f in range(count)] if tracks else []
    return Work(scene, transmitters, [Obstacles(o, TRAFFIC.size.height_m) for o in outlines])


def made_city(n: int, buildings: int, seed: int = 0) -> Scene:
    """Turned boxes on a loose lattice, the same share of the ground whatever their number.

    Parameters
    ----------
    n
        Pixels of 1 m per side; the pixel in the middle is free.
    buildings
        How many, about.
    """
    rng = generator(seed, "made city", n, buildings)
    per_side = max(round(buildings**0.5), 1)
    pitch = n / per_side
    middle = shapely.Point(n / 2 + 0.5, n / 2 + 0.5)
    found = []
    for k in range(per_side**2):
        x, y = (np.array([k % per_side, k // per_side]) + 0.5) * pitch
        half_w, half_h = rng.uniform(0.22, 0.34, 2) * pitch
        block = shapely.affinity.rotate(
            box(x - half_w, y - half_h, x + half_w, y + half_h), rng.uniform(-12, 12)
        )
        block = block.difference(middle.buffer(3.0))
        if block.geom_type == "Polygon":
            found.append(Building(block, 25.0, "default"))
    nothing = Provenance(
        source="made up",
        reader="osm-extract",
        sha256="0" * 64,
        date=None,
        licence="CC0-1.0",
        attribution="",
    )
    return Scene(f"made_{n}_{len(found)}", Frame(n=n, resolution_m=1.0), tuple(found), (), nothing)


def best_ms(times: int, run: Callable[[], object]) -> float:
    """Least processor time of a call in milliseconds."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return 1000 * min(taken)
