"""The RadioMapSeer layout in words: folder and file names, conventions, and ``dataset.csv``.

Frames (docs/seer.md shows one pixel in all of them). Pixels are (row, col), row 0 north; JSON has
y to the north.

========================  ======================================================================
transmitters              [x, y] is pixel (255 - y, x): 0-based
polygons                  point (X, Y) is the centre of pixel (256 - Y, X - 1): 1-based
gain                      the building pixels are those whose centre lies in a polygon
building image            one pixel per cell [X, X + 1) x [Y, Y + 1), drawn at (256 - Y, X - 1)
car image                 the same cell, drawn at (255 - Y, X)
road image                lines from pixel (256 - Y, X - 1) to another
========================  ======================================================================

How images are drawn is in :mod:`rmtools.layouts.seer_rasters`, how JSON is read in
:mod:`rmtools.city.seer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.city.seer import ANTENNAS, BUILDINGS, CARS, IMAGES, ROADS, N
from rmtools.units import SEER_SCALE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rmtools.types import FloatArray, IntArray

LAYOUT_NAME = "seer"
"""Folder of the layout beside a store."""

TABLE_NAME = "dataset.csv"
DESCRIPTION_NAME = "dataset.json"
"""Ours only: RadioMapSeer has no such file, and its readers do not look for one."""

MAPS = 701
"""Maps on disk, ids 0 to 700; the papers say 700."""

TRANSMITTERS = 80
"""Transmitters of every map of RadioMapSeer."""

IRT4_TRANSMITTERS = 2
"""The four-interaction maps exist for transmitters 0 and 1 only."""

SIMULATORS = {
    "DPM": TRANSMITTERS,
    "IRT2": TRANSMITTERS,
    "IRT4": IRT4_TRANSMITTERS,
    "carsDPM": TRANSMITTERS,
    "carsIRT2": TRANSMITTERS,
    "carsIRT4": IRT4_TRANSMITTERS,
}
"""Folders below ``gain/``, and for how many transmitters of a map each has an image."""

MISSING_COUNTS = (1, 2, 3, 4)
VERSIONS = (1, 2, 3, 4, 5, 6)
"""Variants of a map that lacks 1 to 4 buildings, each in six random versions."""

ROW_ORDER = "[row, col]; row 0 is north, column 0 is west"

# -- names of folders and files ------------------------------------------------------------------


def has_cars(simulator: str) -> bool:
    """Whether a simulator's maps are those with cars."""
    return simulator.startswith("cars")


def without_cars(simulator: str) -> str:
    """The simulator of the same maps without cars."""
    return simulator.removeprefix("cars")


def transmitters_of(simulator: str, transmitters: int = TRANSMITTERS) -> int:
    """For how many of a map's transmitters a simulator has images."""
    return min(SIMULATORS[simulator], transmitters)


def gain_name(simulator: str, map_id: int, tx: int) -> str:
    """Grey image of the path gain."""
    return f"gain/{simulator}/{map_id}_{tx}.png"


def antennas_name(map_id: int) -> str:
    """Positions of the transmitters."""
    return f"{ANTENNAS}/{map_id}.json"


def antenna_image_name(map_id: int, tx: int) -> str:
    """Image of one transmitter."""
    return f"png/antennas/{map_id}_{tx}.png"


def buildings_name(map_id: int, missing: int | None = None, version: int = 1) -> str:
    """Image of all buildings, or of those left when `missing` are taken away."""
    if missing is None:
        return f"{IMAGES}/{map_id}.png"
    return f"png/buildings_missing{missing}/{version}/{map_id}.png"


def removed_name(map_id: int, missing: int, version: int = 1) -> str:
    """Image of the buildings that were taken away."""
    return f"png/buildings_removed{missing}/{version}/{map_id}.png"


def polygons_name(map_id: int, missing: int | None = None, version: int = 1) -> str:
    """Rings of :func:`buildings_name`; the folder has another word than that of the images."""
    if missing is None:
        return f"{BUILDINGS}/{map_id}.json"
    return f"polygon/buildings_difference{missing}/{version}/{map_id}.json"


def removed_polygons_name(map_id: int, missing: int, version: int = 1) -> str:
    """Rings of :func:`removed_name`."""
    return f"polygon/buildings_removed{missing}/{version}/{map_id}.json"


def cars_name(map_id: int) -> str:
    """Image of the cars."""
    return f"{CARS}/{map_id}.png"


def cars_polygons_name(map_id: int) -> str:
    """Rings of all buildings, then those of all cars."""
    return f"polygon/buildings_and_cars/{map_id}.json"


def roads_name(map_id: int) -> str:
    """Image of the roads."""
    return f"png/roads/{map_id}.png"


def roads_polygons_name(map_id: int) -> str:
    """Two-point segments of the roads."""
    return f"{ROADS}/{map_id}.json"


def table_rows(
    map_ids: list[int] | range, transmitters: int = TRANSMITTERS
) -> Iterator[tuple[str, ...]]:
    """Rows of ``dataset.csv``, header first: file names without folders, one row per map."""
    yield ("maps", "json", *(f"Gain{tx}" for tx in range(1, transmitters + 1)))
    for map_id in map_ids:
        gains = (f"{map_id}_{tx}.png" for tx in range(transmitters))
        yield (f"{map_id}.png", f"{map_id}.json", *gains)


# -- frames --------------------------------------------------------------------------------------


def antenna_pixels(antennas: IntArray) -> IntArray:
    """Pixels (row, col) of transmitters (x, y) as in the JSON files, shape (tx, 2)."""
    antennas = np.asarray(antennas)
    return np.stack([N - 1 - antennas[..., 1], antennas[..., 0]], axis=-1)


def pixel_antennas(pixels: IntArray) -> IntArray:
    """Transmitters (x, y) as in the JSON files of pixels (row, col), shape (tx, 2)."""
    pixels = np.asarray(pixels)
    return np.stack([pixels[..., 1], N - 1 - pixels[..., 0]], axis=-1)


def antenna_points(antennas: IntArray) -> IntArray:
    """Transmitters (x, y) in the frame of the polygons, shape (tx, 2): add 1."""
    return np.asarray(antennas) + 1


def metres_of_points(points: FloatArray) -> FloatArray:
    """Local metres of points (X, Y) of polygons, shape (..., 2)."""
    return np.asarray(points, float) - 0.5


def points_of_metres(metres: FloatArray) -> FloatArray:
    """Points (X, Y) in the frame of the polygons, not rounded or clipped, shape (..., 2)."""
    return np.asarray(metres, float) + 0.5


# -- what images say of themselves ---------------------------------------------------------------


def gain_text() -> dict[str, str]:
    """Text chunks of an image of path gain."""
    return _text(**SEER_SCALE.describe(), resolution_m=1.0)


def mask_text(quantity: str) -> dict[str, str]:
    """Text chunks of a mask image."""
    return _text(quantity=quantity, levels="0 = no, 255 = yes", resolution_m=1.0)


def _text(**fields: object) -> dict[str, str]:
    from rmtools import __version__

    fields = {"Software": f"rmtools {__version__}", **fields, "row_order": ROW_ORDER}
    return {key: str(value) for key, value in fields.items()}
