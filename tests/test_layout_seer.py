"""RadioMapSeer's own treatment of vehicles."""

from __future__ import annotations

import numpy as np
import pytest
from dpm_scenes import cars, scene
from shapely.geometry import box

from rmtools.errors import InputError
from rmtools.layouts.seer import halve_vehicle_effect
from rmtools.radio.dpm.solver import DominantPathSolver
from rmtools.radio.solver import Transmitter


def test_half_of_what_a_vehicle_costs_is_left() -> None:
    solver, tx = DominantPathSolver("radiomapseer"), Transmitter(10.5, 32.5)
    prepared = solver.prepare(scene((box(40, 40, 50, 50), 25.0)))
    without = solver.solve(prepared, tx)
    with_car = solver.solve(prepared, tx, cars((24.2, 31.3, 28.2, 33.3)))
    halved = halve_vehicle_effect(without, with_car)
    assert halved.dtype == np.float32
    assert (np.isnan(halved) == np.isnan(without)).all()
    assert np.nanmax(with_car - without) > 2
    np.testing.assert_allclose(halved - without, (with_car - without) / 2, atol=2e-5)
    same = with_car == without
    np.testing.assert_array_equal(halved[same], without[same])


def test_maps_of_different_grids_are_refused() -> None:
    with pytest.raises(InputError, match="do not belong together"):
        halve_vehicle_effect(np.zeros((8, 8)), np.zeros((1, 8, 8)))
