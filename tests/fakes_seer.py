"""A complete made-up tree in RadioMapSeer layout, made without the product's layout code.

It stands on :func:`fakes.make_seer_folder` (upright houses, so every raster has a closed form) and
adds what a full tree has besides: all transmitters, the other simulators, the variants with missing
buildings, and ``dataset.csv``. A tree of a real dataset in little, for readers and checks.
"""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
from fakes import N, make_seer_folder
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Rings = list[list[list[int]]]

SIMULATORS = ("DPM", "IRT2", "IRT4")
IRT4_TRANSMITTERS = 2
CAR_LEVELS = 4
"""Grey levels that cars cost south of the transmitter."""


def make_seer_tree(
    root: Path, maps: Sequence[int] = (0, 1), *, transmitters: int = 80, seed: int = 0
) -> Path:
    """Write a complete tree of a few maps and return it.

    Gain maps are DPM's line-of-sight law outside the houses. The IRT maps have another slope and
    their maximum two pixels south of the transmitter; maps with cars lose four levels south of it.
    """
    make_seer_folder(root, maps, transmitters=transmitters, gains=transmitters, seed=seed)
    for map_id in maps:
        _simulators(root, map_id, transmitters)
        _variants(root, map_id, np.random.RandomState(seed + map_id))
    with (root / "dataset.csv").open("w", newline="") as handle:
        table = csv.writer(handle)
        table.writerow(["maps", "json", *(f"Gain{k + 1}" for k in range(transmitters))])
        for map_id in maps:
            gains = (f"{map_id}_{k}.png" for k in range(transmitters))
            table.writerow([f"{map_id}.png", f"{map_id}.json", *gains])
    return root


def upright_mask(rings: Rings, shift: float) -> NDArray[np.bool_]:
    """Pixels of upright rings: cells [x, x + 1) x [y, y + 1) with x = col + 1 - shift and so on.

    A shift of 0 gives the building image (first column x = 1, lowest row y = 1), 1 the car image.
    """
    x, y = np.arange(N) + 1.5 - shift, N - np.arange(N) + 0.5 - shift
    mask = np.zeros((N, N), bool)
    for ring in rings:
        (west, south), (east, north) = np.min(ring, axis=0), np.max(ring, axis=0)
        mask |= ((y > south) & (y < north))[:, None] & ((x > west) & (x < east))[None, :]
    return mask


def _simulators(root: Path, map_id: int, transmitters: int) -> None:
    antennas = json.loads((root / f"antenna/{map_id}.json").read_text())
    below = np.arange(N)[:, None]
    for tx in range(transmitters):
        dpm = np.asarray(Image.open(root / f"gain/DPM/{map_id}_{tx}.png")).astype(int)
        row = N - 1 - antennas[tx][1]
        behind = np.broadcast_to(below > row, (N, N))
        for simulator in SIMULATORS:
            if simulator == "IRT4" and tx >= IRT4_TRANSMITTERS:
                continue
            levels = dpm
            if simulator != "DPM":
                flat = np.where(dpm > 245, 250, dpm // 2 + 125)
                levels = np.where(dpm > 0, flat, 0)
                levels[row + 2, antennas[tx][0]] = 255 * (dpm[row + 2, antennas[tx][0]] > 0)
                save(root / f"gain/{simulator}/{map_id}_{tx}.png", levels)
            with_cars = np.where((levels > CAR_LEVELS) & behind, levels - CAR_LEVELS, levels)
            save(root / f"gain/cars{simulator}/{map_id}_{tx}.png", with_cars)


def _variants(root: Path, map_id: int, rng: np.random.RandomState) -> None:
    rings: Rings = json.loads((root / f"polygon/buildings_complete/{map_id}.json").read_text())
    for missing in range(1, 5):
        for version in range(1, 7):
            gone = set(rng.choice(len(rings), missing, replace=False).tolist())
            parts = {
                ("removed", "removed"): [ring for k, ring in enumerate(rings) if k in gone],
                ("missing", "difference"): [ring for k, ring in enumerate(rings) if k not in gone],
            }
            for (image, polygon), some in parts.items():
                place = f"{missing}/{version}/{map_id}"
                path = root / f"polygon/buildings_{polygon}{place}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(some))
                save(root / f"png/buildings_{image}{place}.png", 255 * upright_mask(some, 0.0))


def save(path: Path, grey: NDArray[np.integer]) -> None:
    """Write an 8-bit grey PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(grey, np.uint8)).save(path, compress_level=1)
