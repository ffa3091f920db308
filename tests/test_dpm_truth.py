"""The embedded Dominant Path Model against true WinProp maps of RadioMapSeer map 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dpm_truth
import numpy as np
import pytest
from dpm_truth import rmse

from rmtools.city.seer import read_map, read_png, read_transmitters
from rmtools.radio.dpm.solver import Detailed, DominantPathSolver, PreparedScene
from rmtools.radio.solver import Transmitter
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
    return dpm_truth.errors_db(read_png(root / f"gain/DPM/0_{transmitter}.png"), result.pathloss_db)


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


def test_effect_of_cars_against_a_true_map(
    root: Path, prepared: PreparedScene, found: dict[int, Detailed]
) -> None:
    """RadioMapSeer stores half of what cars cost; measured 0.31 dB in line of sight.

    Only pixels whose plain value is right within a level can tell the effect of cars.
    """
    obstacles = dpm_truth.true_cars(root, 0)
    assert len(obstacles.outlines) == 100
    plain = found[0]
    (true,) = (m for m in dpm_truth.true_maps(root)[0] if m.name == "0_0")
    with_cars = SOLVER.solve_detailed(prepared, true.transmitter, obstacles)
    grey = read_png(root / "gain/carsDPM/0_0.png")
    error, effect, right = dpm_truth.car_effect_errors_db(true, grey, plain, with_cars)
    lit = error[plain.classes == 1]
    assert rmse(lit) <= 0.3
    assert rmse(error[plain.classes != 1]) <= 0.7
    assert rmse(error[(plain.classes != 1) & right]) <= 0.65
    assert np.mean(np.abs(lit[~np.isnan(lit)]) < 1.01 * SEER_SCALE.step_db) > 0.97
    assert rmse(error) < 0.8 * rmse(effect)
