"""The compiled path search finds what its plain reference finds, path by path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from dpm_reference import SOURCE, Search
from dpm_scenes import cars, random_city, scene
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely import affinity
from shapely.geometry import Polygon, box

from rmtools.radio.antenna import Antenna
from rmtools.radio.dpm.solver import DominantPathSolver
from rmtools.radio.solver import NO_OBSTACLES, Obstacles, Transmitter

if TYPE_CHECKING:
    from rmtools.scene import Scene

N = 40
CARS = cars((5, 5, 9, 7), (24, 22, 26, 26), (30, 10, 34, 12), (12, 30, 14, 34))


def assert_same(
    solver: DominantPathSolver, city: Scene, tx: Transmitter, obstacles: Obstacles = NO_OBSTACLES
) -> Search:
    """Same losses to 1e-9 dB, same last bends but for ties, which rounding decides."""
    expected = Search(solver.preset, city, tx, obstacles)
    found = solver.solve_detailed(solver.prepare(city), tx, obstacles)
    n = city.grid.n
    labels = found._found.labels.reshape(n + 2, n + 2)[1:-1, 1:-1]
    losses, parents = np.full((n, n), np.inf), np.full((n, n), -2)
    for node, label in expected.labels.items():
        losses[node] = label.loss
        row, col = label.parent
        parents[node] = -1 if label.parent == SOURCE else (row + 1) * (n + 2) + col + 1
    np.testing.assert_allclose(labels["loss"], losses, rtol=0, atol=1e-9)
    assert np.mean(labels["parent"] != parents) < 0.003
    np.testing.assert_allclose(found.pathloss_db, expected.pathloss_db(), rtol=0, atol=2e-5)
    return expected


def city_of(seed: int, count: int = 3, resolution_m: float = 1.0) -> Scene:
    """Turned boxes of 25, 13, 8 and 4 m."""
    buildings = [
        (affinity.scale(b, resolution_m, resolution_m, origin=(0, 0)), h)
        for (b, _), h in zip(random_city(seed, N, count), (25.0, 13.0, 8.0, 4.0), strict=False)
    ]
    return scene(*buildings, n=N, resolution_m=resolution_m)


SECTOR = Antenna(
    "sector",
    12.0,
    np.minimum(20.0, 12 * ((np.arange(360) + 180) % 360 - 180) ** 2 / 65**2),
    np.minimum(20.0, 12 * ((np.arange(360) + 180) % 360 - 180) ** 2 / 10**2),
    azimuth_deg=200.0,
    downtilt_deg=4.0,
)


RANDOM = given(
    seed=st.integers(0, 10_000),
    preset=st.sampled_from(["radiomapseer", "winprop2021", "radiomapmotion"]),
    x=st.sampled_from([20.5, 20.0, 18.3]),
    z_m=st.sampled_from([1.5, 5.0, 30.0]),
    obstacles=st.sampled_from([NO_OBSTACLES, CARS]),
)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@RANDOM
def test_random_cities(seed: int, preset: str, x: float, z_m: float, obstacles: Obstacles) -> None:
    check_random_city(seed, preset, x, z_m, obstacles)


@pytest.mark.nightly
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@RANDOM
def test_many_random_cities(
    seed: int, preset: str, x: float, z_m: float, obstacles: Obstacles
) -> None:
    check_random_city(seed, preset, x, z_m, obstacles)


def check_random_city(seed: int, preset: str, x: float, z_m: float, obstacles: Obstacles) -> None:
    found = assert_same(
        DominantPathSolver(preset), city_of(seed), Transmitter(x, 20.5, z_m), obstacles
    )
    assert len({label.parent for label in found.labels.values()}) > 5


@pytest.mark.parametrize(
    "constants",
    [
        {"p_los_after": 4.0, "p_olos_after": 3.5, "breakpoint_factor": 0.1},
        {"roof_db_per_m": 0.5, "roof_offset_m": 2.0},
        {"bend_offset_db": 0.3, "bend_max_db": 3.0, "bend_break_deg": 20.0},
        {"frequency_mhz": 28_000.0, "receiver_height_m": 4.5, "min_distance_m": 5.0},
    ],
)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.nightly)])
def test_constants(constants: dict[str, Any], seed: int) -> None:
    solver = DominantPathSolver("radiomapseer", **constants)
    assert_same(solver, city_of(seed, 4), Transmitter(20.5, 20.5), CARS)


@pytest.mark.parametrize("tx_m", [1.5, 5.0])
def test_vehicles_higher_than_an_antenna(tx_m: float) -> None:
    """A path goes up and down over them, or down only, with one bend."""
    lorries = Obstacles(CARS.outlines, 3.0)
    assert_same(
        DominantPathSolver("radiomapseer"), city_of(3), Transmitter(20.5, 20.5, tx_m), lorries
    )


def test_antenna() -> None:
    """A beam that lights the other side of the city changes which path is the best."""
    solver = DominantPathSolver("radiomapseer")
    beam = assert_same(solver, city_of(4, 4), Transmitter(20.5, 20.5, 10.0, SECTOR))
    plain = Search(solver.preset, city_of(4, 4), Transmitter(20.5, 20.5, 10.0))
    assert any(label.parent != plain.labels[q].parent for q, label in beam.labels.items())


@pytest.mark.parametrize("resolution_m", [0.5, 2.0])
def test_resolutions(resolution_m: float) -> None:
    tx = Transmitter(20.5 * resolution_m, 20.5 * resolution_m)
    assert_same(DominantPathSolver("radiomapseer"), city_of(7, 4, resolution_m), tx)


@pytest.mark.parametrize("preset", ["radiomapseer", "winprop2021"])
@pytest.mark.parametrize("seed", range(3))
def test_walls_through_pixel_centres(preset: str, seed: int) -> None:
    """As RadioMapSeer has them: sight lines touch corners and run along walls."""
    rng = np.random.default_rng(seed)
    west, south = rng.integers(2, 30, (2, 5)) + 0.5
    width, depth = rng.integers(3, 9, (2, 5))
    boxes = [box(*b) for b in np.column_stack([west, south, west + width, south + depth])]
    court = box(24.5, 24.5, 36.5, 36.5).difference(box(27.5, 27.5, 33.5, 33.5))
    free = [b for b in (*boxes, court) if not b.intersects(box(18, 18, 23, 23))]
    city = scene(*[(b, 25.0) for b in free], n=N)
    assert_same(DominantPathSolver(preset), city, Transmitter(20.5, 20.5), CARS)


@pytest.mark.parametrize("tx", [Transmitter(5.5, 5.5), Transmitter(20.3, 20.3)])
def test_closed_yards(tx: Transmitter) -> None:
    """Walls thinner than a pixel, which paths go through as a last resort."""
    yard = box(12.6, 12.6, 30.4, 30.4).difference(box(12.9, 12.9, 30.1, 30.1))
    assert_same(DominantPathSolver("radiomapseer"), scene((yard, 25.0), n=N), tx)


def test_a_transmitter_at_a_facade_and_one_that_is_walled_in() -> None:
    solver = DominantPathSolver("radiomapseer")
    block, cell = box(20.5, 12, 30, 28), box(20.1, 20.1, 20.9, 20.9)
    assert_same(solver, scene((block, 25.0), n=N), Transmitter(19.5, 20.5))
    walled = cell.difference(box(20.2, 20.2, 20.4, 20.4))
    assert_same(solver, scene((walled, 25.0), n=N), Transmitter(20.3, 20.3))


def test_buildings_inside_each_other() -> None:
    tower, hall = box(14, 24, 20, 30), Polygon([(6, 22), (30, 25), (28, 34), (8, 36)])
    city = scene((hall, 8.0), (tower, 40.0), n=N)
    assert_same(DominantPathSolver("winprop2021"), city, Transmitter(15.5, 10.5), CARS)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.nightly)])
def test_frames_of_a_sequence(seed: int) -> None:
    """Frames are solved from what they share; here none differs by more than rounding."""
    solver = DominantPathSolver("radiomapseer")
    tx = Transmitter(20.5, 20.5)
    frames = [cars((4 + k, 5, 8 + k, 7), (30, 12 + k, 32, 16 + k)) for k in range(3)]
    city = city_of(seed)
    (maps,) = solver.solve_sequences(solver.prepare(city), [tx], frames)
    for found, obstacles in zip(maps, frames, strict=True):
        expected = Search(solver.preset, city, tx, obstacles).pathloss_db()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
