"""Scenes for the tests of the Dominant Path Model."""

from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry import Polygon, box

from rmtools.radio.solver import Obstacles
from rmtools.scene import Building, Frame, Provenance, Scene
from rmtools.seeds import generator

PROVENANCE = Provenance(
    source="test",
    reader="radiomapseer",
    sha256="0" * 64,
    date=None,
    licence="CC0-1.0",
    attribution="",
)


def scene(*buildings: tuple[Polygon, float], n: int = 64, resolution_m: float = 1.0) -> Scene:
    """Scene of (footprint, height) pairs."""
    return Scene(
        "test",
        Frame(n=n, resolution_m=resolution_m),
        tuple(Building(polygon, height, "dataset") for polygon, height in buildings),
        (),
        PROVENANCE,
    )


def random_city(seed: int, n: int = 96, count: int = 10) -> list[tuple[Polygon, float]]:
    """Rotated boxes of 25 m at generic positions, none within 9 m of the tile's centre."""
    rng = generator(seed, "random city")
    centre = shapely.Point(n / 2, n / 2)
    found: list[Polygon] = []
    while len(found) < count:
        x, y = rng.uniform(8, n - 8, 2)
        w, h = rng.uniform(6, 20, 2)
        turned = shapely.affinity.rotate(
            box(x - w / 2, y - h / 2, x + w / 2, y + h / 2), rng.uniform(0, 90)
        )
        inside = box(0, 0, n, n).contains(turned)
        if inside and turned.distance(centre) > 9 and all(turned.distance(o) > 2 for o in found):
            found.append(turned)
    return [(polygon, 25.0) for polygon in found]


def cars(*corners: tuple[float, float, float, float], height_m: float = 1.5) -> Obstacles:
    """Axis-aligned vehicles given as (west, south, east, north)."""
    rows = [[(w, s), (e, s), (e, n), (w, n)] for w, s, e, n in corners]
    return Obstacles(np.array(rows, float).reshape(-1, 4, 2), height_m)


def bend_angle_deg(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
    """Angle by which the path a, b, c turns at b."""
    first, second = b - a, c - b
    return float(
        np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second)), np.dot(first, second)))
    )
