"""Vehicles in the Dominant Path Model."""

from __future__ import annotations

import numpy as np
import pytest
from dpm_scenes import cars, random_city, scene
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry import box

from rmtools.errors import InputError
from rmtools.radio.dpm.equation import path_loss_db
from rmtools.radio.dpm.solver import DominantPathSolver
from rmtools.radio.solver import NO_OBSTACLES, Obstacles, Transmitter

SOLVER = DominantPathSolver("radiomapseer")
TX = Transmitter(10.5, 32.5)
CAR = cars((24.2, 31.3, 28.2, 33.3))


def test_loss_behind_a_vehicle_is_one_bend_over_it_and_the_other_exponent() -> None:
    """The bend is half a metre above the roof, where the vehicle is nearest to the middle."""
    empty = SOLVER.prepare(scene())
    found = SOLVER.solve_detailed(empty, TX, CAR)
    for x in (30.5, 40.5, 60.5):
        row, col = (int(i) for i in empty.grid.pixel(x, 32.5))
        assert found.classes[row, col] == 2
        apex = min(max((10.5 + x) / 2, 24.2), 28.2)
        angle = np.degrees(np.arctan2(0.5, apex - 10.5) + np.arctan2(0.5, x - apex))
        expected = path_loss_db(SOLVER.preset, x - 10.5, (float(angle),))
        assert expected - 0.01 <= found.pathloss_db[row, col] <= expected + 0.1


def test_the_path_over_a_vehicle_bends_above_it() -> None:
    found = SOLVER.solve_detailed(SOLVER.prepare(scene()), TX, CAR)
    path = found.path(31, 50)
    np.testing.assert_allclose(path, [(10.5, 32.5, 1.5), (28.2, 32.5, 2.0), (50.5, 32.5, 1.5)])


def test_a_high_vehicle_costs_one_larger_bend() -> None:
    """4 m high and too long to go round; it is nearest to the middle at 28.2 m."""
    high = cars((24.2, 1.3, 28.2, 63.3), height_m=4.0)
    found = SOLVER.solve_detailed(SOLVER.prepare(scene()), TX, high)
    np.testing.assert_allclose(found.path(31, 50)[1], (28.2, 32.5, 4.5))
    angle = np.degrees(np.arctan2(3.0, [17.7, 22.3])).sum()
    assert found.classes[31, 50] == 2
    expected = path_loss_db(SOLVER.preset, 40.0, (float(angle),))
    assert found.pathloss_db[31, 50] == pytest.approx(expected, abs=0.01)


def test_clearance_is_a_constant_of_the_preset() -> None:
    flat = DominantPathSolver("radiomapseer", vehicle_clearance_m=0.0)
    found = flat.solve(flat.prepare(scene()), TX, CAR)
    assert found[31, 50] == pytest.approx(path_loss_db(flat.preset, 40.0, (0.0,)), abs=0.01)


def test_shadow_of_a_vehicle_is_where_shapely_puts_it() -> None:
    import shapely

    empty = SOLVER.prepare(scene())
    with_car = SOLVER.solve_detailed(empty, TX, CAR)
    without = SOLVER.solve_detailed(empty, TX)
    changed = with_car.pathloss_db != without.pathloss_db
    x, y = np.meshgrid(empty.grid.x_centres(), empty.grid.y_centres())
    ends = np.stack([x.ravel(), y.ravel()], axis=-1)
    lines = shapely.linestrings(np.stack([np.broadcast_to([TX.x, TX.y], ends.shape), ends], axis=1))
    crossed = shapely.intersects(box(24.2, 31.3, 28.2, 33.3), lines).reshape(x.shape)
    near = (np.abs(x - 26.2) < 2.5) & (np.abs(y - 32.3) < 1.5)  # on the vehicle itself
    assert (changed == crossed)[~near].all()
    assert changed.sum() > 60


def test_vehicles_hardly_add_up() -> None:
    """One bend on the first vehicle passes over those behind it."""
    empty = SOLVER.prepare(scene())
    row = cars(*((24.2 + 8 * k, 31.3, 28.2 + 8 * k, 33.3) for k in range(4)))
    one, four = SOLVER.solve(empty, TX, CAR), SOLVER.solve(empty, TX, row)
    assert four[31, 62] - one[31, 62] == pytest.approx(0.0, abs=0.1)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10_000), st.sampled_from([1.5, 3.0]))
def test_vehicles_never_help_and_leave_the_mask_alone(seed: int, height_m: float) -> None:
    tx = Transmitter(48.3, 47.9)
    places = (40.1, 50.3, 42.1, 54.3), (56.6, 41.2, 60.6, 43.2), (30.3, 46.4, 34.3, 48.4)
    obstacles = cars(*places, height_m=height_m)
    prepared = SOLVER.prepare(scene(*random_city(seed), n=96))
    without, with_cars = SOLVER.solve(prepared, tx), SOLVER.solve(prepared, tx, obstacles)
    np.testing.assert_array_equal(np.isnan(without), np.isnan(with_cars))
    rise = (with_cars - without)[~np.isnan(without)]
    assert rise.min() >= 0.0
    assert rise.max() > 2.0


def test_paths_over_roofs_do_not_notice_vehicles() -> None:
    """Beyond a block from edge to edge every path comes from the roof."""
    prepared = SOLVER.prepare(scene((box(0, 30.5, 64, 34.5), 25.0)))
    tx = Transmitter(32.5, 10.5)
    without = SOLVER.solve(prepared, tx)
    with_cars = SOLVER.solve(prepared, tx, cars((20.2, 45.3, 40.3, 47.3)))
    np.testing.assert_array_equal(without[:28], with_cars[:28])


def test_vehicles_below_the_antennas_do_nothing() -> None:
    prepared = SOLVER.prepare(scene())
    low = Obstacles(CAR.outlines, 1.2)
    np.testing.assert_array_equal(SOLVER.solve(prepared, TX, low), SOLVER.solve(prepared, TX))


def test_a_frame_changes_nothing_for_the_next() -> None:
    prepared = SOLVER.prepare(scene(*random_city(1), n=96))
    before = SOLVER.solve(prepared, TX, NO_OBSTACLES)
    SOLVER.solve(prepared, TX, CAR)
    np.testing.assert_array_equal(SOLVER.solve(prepared, TX, NO_OBSTACLES), before)


def test_outlines_are_checked() -> None:
    prepared = SOLVER.prepare(scene())
    with pytest.raises(InputError, match="shape"):
        SOLVER.solve(prepared, TX, Obstacles(np.zeros((2, 3, 2))))
