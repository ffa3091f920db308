"""The embedded Dominant Path Model against true WinProp maps of RadioMapSeer map 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage

from rmtools.city.seer import read_cars, read_map, read_png, read_transmitters
from rmtools.layouts.seer import halve_vehicle_effect
from rmtools.radio.dpm.solver import Detailed, DominantPathSolver, PreparedScene
from rmtools.radio.solver import Obstacles, Transmitter
from rmtools.units import SEER_SCALE

if TYPE_CHECKING:
    from pathlib import Path

TRANSMITTERS = (0, 1, 10, 11, 12, 13)
SOLVER = DominantPathSolver("radiomapseer")


@pytest.fixture(scope="module")
def root(reference_data: Path) -> Path:
    return reference_data / "radiomapseer"


@pytest.fixture(scope="module")
def prepared(root: Path) -> PreparedScene:
    return SOLVER.prepare(read_map(root, 0))


@pytest.fixture(scope="module")
def found(root: Path, prepared: PreparedScene) -> dict[int, Detailed]:
    positions = read_transmitters(root, 0)
    return {t: SOLVER.solve_detailed(prepared, Transmitter(*positions[t])) for t in TRANSMITTERS}


def errors_db(root: Path, transmitter: int, result: Detailed) -> np.ndarray:
    """Error in dB on the grey scale, NaN where the truth has no value."""
    truth = read_png(root / f"gain/DPM/0_{transmitter}.png").astype(float)
    grey = SEER_SCALE.encode(result.pathloss_db).astype(float)
    return np.where(truth > 0, (grey - truth) * SEER_SCALE.step_db, np.nan)


def rmse(errors: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(errors**2)))


def test_building_mask_is_the_true_one(root: Path, prepared: PreparedScene) -> None:
    zero_everywhere = np.all(
        [read_png(root / f"gain/DPM/0_{t}.png") == 0 for t in TRANSMITTERS], axis=0
    )
    assert prepared.mask.sum() == 16340
    np.testing.assert_array_equal(prepared.mask, zero_everywhere)


def test_error_against_true_maps(root: Path, found: dict[int, Detailed]) -> None:
    """Regression bar; measured 0.91 dB over all and 0.17 dB in line of sight."""
    everything = [rmse(errors_db(root, t, found[t])) for t in TRANSMITTERS]
    assert np.mean(everything) <= 1.1
    assert max(everything) <= 1.6
    lit = [errors_db(root, t, r)[r.classes == 1] for t, r in found.items()]
    assert np.mean([rmse(e) for e in lit]) <= 0.2
    exact = np.mean(np.abs(np.concatenate(lit)) < 0.01)
    assert exact > 0.95


def test_single_bends_against_true_maps(root: Path, found: dict[int, Detailed]) -> None:
    bent = np.concatenate([errors_db(root, t, r)[r.classes == 2] for t, r in found.items()])
    assert rmse(bent) <= 0.6
    assert np.nanmean(np.abs(bent) < 1.01 * SEER_SCALE.step_db) > 0.97


def split_cars(left: np.ndarray) -> list[tuple[int, int, int, int]] | None:
    """Cars of 2 by 4 pixels as (row, col, height, width); None if the pixels are not such cars."""
    if not left.any():
        return []
    row, col = (int(i) for i in np.argwhere(left)[0])
    for h, w in ((2, 4), (4, 2)):
        if left[row : row + h, col : col + w].sum() == 8:
            rest = left.copy()
            rest[row : row + h, col : col + w] = False
            others = split_cars(rest)
            if others is not None:
                return [(row, col, h, w), *others]
    return None


def true_cars(root: Path) -> Obstacles:
    """Cars of the image; its pixel (row, col) is half a metre south-west of ours.

    Ten cars stand askew: they get the long axis of their pixels.
    """
    blobs, count = ndimage.label(read_cars(root, 0))
    outlines = []
    unit = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    for k in range(1, count + 1):
        split = split_cars(blobs == k)
        if split is not None:
            outlines += [np.array([c - 0.5, 255.5 - r - h]) + unit * (w, h) for r, c, h, w in split]
            continue
        rows, cols = np.nonzero(blobs == k)
        points = np.stack([cols.astype(float), 255.0 - rows])
        along = np.linalg.eigh(np.cov(points))[1][:, 1]
        across = np.array([-along[1], along[0]])
        outlines.append(points.mean(1) + (unit - 0.5) @ (4 * along, 2 * across))
    return Obstacles(np.array(outlines))


def test_effect_of_cars_against_a_true_map(
    root: Path, prepared: PreparedScene, found: dict[int, Detailed]
) -> None:
    """RadioMapSeer stores half of what cars cost; measured 0.31 dB in line of sight.

    Only pixels whose plain value is right within a level can tell the effect of cars.
    """
    obstacles = true_cars(root)
    assert len(obstacles.outlines) == 100
    plain = found[0]
    with_cars = SOLVER.solve_detailed(
        prepared, Transmitter(*read_transmitters(root, 0)[0]), obstacles
    )
    halved = halve_vehicle_effect(plain.pathloss_db, with_cars.pathloss_db)
    without, with_ = (
        read_png(root / f"gain/{name}/0_0.png").astype(float) for name in ("DPM", "carsDPM")
    )
    drop = (without - with_) * SEER_SCALE.step_db
    predicted = SEER_SCALE.encode(plain.pathloss_db).astype(float) - SEER_SCALE.encode(halved)
    predicted *= SEER_SCALE.step_db
    known = (with_ > 0) & (np.abs(errors_db(root, 0, plain)) < 1.01 * SEER_SCALE.step_db)
    lit = known & (plain.classes == 1)
    error = predicted - drop
    assert rmse(error[lit]) <= 0.35
    assert np.mean(np.abs(error[lit]) < 1.01 * SEER_SCALE.step_db) > 0.97
    assert rmse(error[known]) < 0.8 * rmse(drop[known])
