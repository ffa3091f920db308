"""Small made-up data sets in other people's formats, for tests that run without the true ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from rmtools.seeds import generator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

N = 256
BLOCK = 64
Rectangle = tuple[int, int, int, int]
"""West, south, east, north in RadioMapSeer's 1-based polygon frame."""


def make_seer_folder(
    root: Path,
    maps: Sequence[int] = (0, 1),
    *,
    transmitters: int = 80,
    gains: int = 1,
    seed: int = 0,
) -> Path:
    """Write a folder in RadioMapSeer layout and return it.

    Every map is a grid of 4 by 4 blocks with one rectangular house each, streets between them and
    cars on the streets. Written are ``polygon/{buildings_complete,buildings_and_cars,roads}``,
    ``antenna``, ``png/{buildings_complete,roads,cars,antennas}`` and, for the first `gains`
    transmitters, ``gain/DPM``: the DPM line-of-sight law everywhere outside the houses. All
    conventions (1-based polygons, 0-based antennas, the images' half pixels) are RadioMapSeer's.
    """
    for map_id in maps:
        rng = generator(seed, "seer folder", map_id)
        houses = _houses(rng)
        streets = [BLOCK * i + 1 for i in range(1, 4)]
        roads = [[[x, 1], [x, N]] for x in streets] + [[[1, y], [N, y]] for y in streets]
        cars = [
            (x + 1, y, x + 3, y + 4)
            for x in streets
            for y in rng.choice(np.arange(8, N - 8, 8), 3, replace=False).tolist()
        ]
        _json(root / f"polygon/buildings_complete/{map_id}.json", [_ring(h) for h in houses])
        _json(root / f"polygon/buildings_and_cars/{map_id}.json", [_ring(r) for r in houses + cars])
        _json(root / f"polygon/roads/{map_id}.json", roads)
        _png(root / f"png/buildings_complete/{map_id}.png", 255 * _inside(houses, 1.5, 256.5))
        _png(root / f"png/cars/{map_id}.png", 255 * _inside(cars, 0.5, 255.5))
        lines = np.zeros((N, N), np.uint8)
        for street in streets:
            lines[:, street - 1] = lines[N - street, :] = 255
        _png(root / f"png/roads/{map_id}.png", lines)

        zero = _inside(houses, 1.0 + 1e-6, 256.0 + 1e-6)
        free = np.argwhere(~_inside(houses, 1.0, 256.0)[53:203, 53:203]) + 53
        chosen = rng.choice(free, transmitters, replace=False)
        pairs = [[int(col), int(N - 1 - row)] for row, col in chosen]
        _json(root / f"antenna/{map_id}.json", pairs)
        for k, (row, col) in enumerate(chosen[:gains]):
            antenna = np.zeros((N, N), np.uint8)
            antenna[row, col] = 255
            _png(root / f"png/antennas/{map_id}_{k}.png", antenna)
            _png(root / f"gain/DPM/{map_id}_{k}.png", np.where(zero, 0, _line_of_sight(row, col)))
    return root


def _houses(rng: np.random.Generator) -> list[Rectangle]:
    """One house per block, at least 6 m from the street's centre line."""
    houses = []
    for i in range(4):
        for j in range(4):
            west, south = BLOCK * i + rng.integers(7, 16), BLOCK * j + rng.integers(7, 16)
            width, depth = rng.integers(16, 42, 2)
            houses.append((int(west), int(south), int(west + width), int(south + depth)))
    return houses


def _ring(rectangle: Rectangle) -> list[list[int]]:
    west, south, east, north = rectangle
    return [[west, south], [west, north], [east, north], [east, south], [west, south]]


def _inside(rectangles: list[Rectangle], first_x: float, first_y: float) -> NDArray[np.bool_]:
    """Pixels whose sample point (first_x + col, first_y - row) lies in a rectangle."""
    x, y = first_x + np.arange(N), first_y - np.arange(N)
    mask = np.zeros((N, N), bool)
    for west, south, east, north in rectangles:
        mask |= ((y >= south) & (y <= north))[:, None] & ((x >= west) & (x <= east))[None, :]
    return mask


def _line_of_sight(row: int, col: int) -> NDArray[np.uint8]:
    """Grey levels of DPM's line-of-sight law, 25 dB per decade from 47.857 dB at 1 m."""
    distance = np.hypot(*(np.indices((N, N)) - np.array([row, col])[:, None, None]))
    gain_db = -47.857 - 25.0 * np.log10(np.maximum(distance, 1.0))
    grey = np.rint(255.0 * np.clip((gain_db + 147.0) / 99.16, 0.0, None)).astype(np.uint8)
    grey[distance == 1.0] = 245  # the one maximum is the transmitter
    return grey


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def _png(path: Path, grey: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey.astype(np.uint8)).save(path)
