"""True WinProp maps of RadioMapSeer: finding them, and how far a solution is from one.

A folder in RadioMapSeer layout may hold any selection of ``gain/DPM/<map>_<tx>.png``; walls come
from the polygons of the map, else they are found again from its images. Maps of which nothing else
is known lie in ``dpm_unknown_ids/``. Both sides of every comparison are grey levels.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from scipy import ndimage

from rmtools.city.seer import (
    ANTENNAS,
    GAINS,
    TRANSMITTER_HEIGHT_M,
    read_cars,
    read_map,
    read_png,
    read_transmitters,
    scene_of_gain_map,
)
from rmtools.errors import InputError, RmtoolsError
from rmtools.layouts.seer import halve_vehicle_effect
from rmtools.radio.solver import Obstacles, Transmitter
from rmtools.units import SEER_SCALE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rmtools.radio.dpm.solver import Detailed
    from rmtools.scene import Scene
    from rmtools.types import BoolArray, ByteArray, FloatArray

UNKNOWN = "dpm_unknown_ids"
CAR_GAINS = "gain/carsDPM"
LEVEL_DB = SEER_SCALE.step_db


class TrueMap(NamedTuple):
    """One true map and what is needed to compute it.

    Attributes
    ----------
    name
        Of the file, without its ending.
    city
        The same for all maps of one city.
    walls
        Where the walls come from.
    grey
        The true levels, shape (256, 256); 0 in buildings and below the scale.
    """

    name: str
    city: str
    walls: Literal["polygons", "raster"]
    scene: Scene
    transmitter: Transmitter
    grey: ByteArray


class Skipped(NamedTuple):
    """A file that could not be used."""

    file: str
    reason: str


def reference_root() -> Path:
    """Folder of the reference data, from the environment or beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("RMTOOLS_REFERENCE_DATA", beside))


def true_maps(root: Path) -> tuple[list[TrueMap], list[Skipped]]:
    """All true maps below a folder in RadioMapSeer layout, and the files that are no use.

    Parameters
    ----------
    root
        Holds ``gain/DPM`` or ``dpm_unknown_ids`` or both.
    """
    scene_of = cache(lambda map_id: read_map(root, map_id))
    maps: list[TrueMap] = []
    skipped: list[Skipped] = []
    known, unknown = (sorted((root / folder).glob("*"), key=_by_number) for folder in _FOLDERS)
    for path in (*known, *unknown):
        try:
            if path.suffix.lower() != ".png" or not path.is_file():
                raise InputError("not a PNG file", where=path)
            if path.parent.name == UNKNOWN:
                scene, position = scene_of_gain_map(path)
                city = scene.name
            else:
                name = re.fullmatch(r"(\d{1,9})_(\d{1,3})", path.stem)
                if not name:
                    raise InputError("its name is not <map>_<transmitter>.png", where=path)
                city, scene = name[1], scene_of(int(name[1]))
                position = _position(root, int(name[1]), int(name[2]), path, scene)
            walls: Literal["polygons", "raster"] = (
                "raster" if "walls" in scene.notes else "polygons"
            )
            transmitter = Transmitter(*map(float, position))
            maps.append(TrueMap(path.stem, city, walls, scene, transmitter, read_png(path)))
        except (RmtoolsError, OSError) as error:
            skipped.append(Skipped(path.relative_to(root).as_posix(), str(error)))
    return maps, skipped


_FOLDERS = (GAINS, UNKNOWN)


def _by_number(path: Path) -> tuple[list[int], str]:
    return [int(number) for number in re.findall(r"\d{1,9}", path.stem)], path.name


def _position(root: Path, map_id: int, number: int, path: Path, scene: Scene) -> FloatArray:
    """Position of a transmitter; without a list of antennas that of the brightest pixel."""
    if (root / ANTENNAS / f"{map_id}.json").is_file():
        positions = read_transmitters(root, map_id)
        if number >= len(positions):
            raise InputError(f"the map has {len(positions)} antennas only", where=path)
        return positions[number]
    grey = read_png(path)
    brightest = np.argwhere(grey == grey.max())
    if len(brightest) != 1:
        raise InputError("no list of antennas, and no single brightest pixel", where=path)
    return np.array([*scene.grid.centre(*brightest[0]), TRANSMITTER_HEIGHT_M])


def errors_db(grey: ByteArray, pathloss_db: FloatArray) -> FloatArray:
    """Ours minus the truth in dB, both as grey levels; NaN where either has no value."""
    difference = SEER_SCALE.encode(pathloss_db).astype(float) - grey
    return np.where((grey > 0) & ~np.isnan(pathloss_db), difference * LEVEL_DB, np.nan)


def rmse(errors: FloatArray) -> float:
    """Root mean square of the errors that are there; NaN if none is."""
    known = errors[~np.isnan(errors)]
    return float(np.sqrt(np.mean(known**2))) if known.size else float("nan")


# -- cars --------------------------------------------------------------------------------------


def car_maps(
    root: Path, maps: list[TrueMap], skipped: list[Skipped]
) -> Iterator[tuple[TrueMap, ByteArray]]:
    """Those of `maps` that are also there with cars, and their levels with cars."""
    for true in maps:
        path = root / CAR_GAINS / f"{true.name}.png"
        if path.is_file():
            try:
                yield true, read_png(path)
            except RmtoolsError as error:
                skipped.append(Skipped(path.relative_to(root).as_posix(), str(error)))


def car_effect_errors_db(
    true: TrueMap, grey_with_cars: ByteArray, plain: Detailed, with_cars: Detailed
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Error of the effect of cars, and the effect itself.

    RadioMapSeer stores half of what cars cost.

    Returns
    -------
    error, effect
        In dB, shape (256, 256), NaN where either map has no value.
    right
        Where our map without cars is right within a level: elsewhere another path is compared.
    """
    halved = halve_vehicle_effect(plain.pathloss_db, with_cars.pathloss_db)
    levels = [SEER_SCALE.encode(loss).astype(float) for loss in (plain.pathloss_db, halved)]
    errors = errors_db(true.grey, plain.pathloss_db)
    right = np.abs(errors) < 1.01 * LEVEL_DB
    there = (grey_with_cars > 0) & ~np.isnan(errors)
    effect = np.where(there, (true.grey.astype(float) - grey_with_cars) * LEVEL_DB, np.nan)
    return (levels[0] - levels[1]) * LEVEL_DB - effect, effect, right


def true_cars(root: Path, map_id: int) -> Obstacles:
    """Cars of the image; its pixel (row, col) is half a metre south-west of ours.

    Cars that stand askew get the long axis of their pixels.

    Raises
    ------
    InputError
        The image cannot be read, or has spots that are too small or too large for cars.
    """
    blobs, count = ndimage.label(read_cars(root, map_id))
    outlines = []
    unit = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    for k in range(1, count + 1):
        if not 4 <= (blobs == k).sum() <= 100:
            raise InputError(f"spot {k} of the image of cars is not one of cars", where=root)
        split = _split_cars(blobs == k)
        if split is not None:
            outlines += [np.array([c - 0.5, 255.5 - r - h]) + unit * (w, h) for r, c, h, w in split]
            continue
        rows, cols = np.nonzero(blobs == k)
        points = np.stack([cols.astype(float), 255.0 - rows])
        along = np.linalg.eigh(np.cov(points))[1][:, 1]
        across = np.array([-along[1], along[0]])
        outlines.append(points.mean(1) + (unit - 0.5) @ (4 * along, 2 * across))
    return Obstacles(np.array(outlines).reshape(-1, 4, 2))


def _split_cars(left: BoolArray) -> list[tuple[int, int, int, int]] | None:
    """Cars of 2 by 4 pixels as (row, col, height, width); None if the pixels are not such cars."""
    if not left.any():
        return []
    row, col = (int(i) for i in np.argwhere(left)[0])
    for h, w in ((2, 4), (4, 2)):
        if left[row : row + h, col : col + w].sum() == 8:
            rest = left.copy()
            rest[row : row + h, col : col + w] = False
            others = _split_cars(rest)
            if others is not None:
                return [(row, col, h, w), *others]
    return None
