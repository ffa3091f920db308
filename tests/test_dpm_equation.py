"""The DPM equation, its constants, and both as the solver applies them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dpm_scenes import bend_angle_deg, scene
from shapely.geometry import Polygon, box

from rmtools.errors import RecipeError
from rmtools.radio.dpm.equation import path_loss_db
from rmtools.radio.dpm.presets import PRESETS, Preset, resolve
from rmtools.radio.dpm.solver import DominantPathSolver
from rmtools.radio.solver import Transmitter
from rmtools.units import SEER_SCALE

SEER, WINPROP = PRESETS["radiomapseer"], PRESETS["winprop2021"]

# length in m, bend angles, loss and grey level of radiomapseer, loss of winprop2021
TABLE = [
    (1, (), 47.857, 255, 38.461),
    (2, (), 55.383, 236, 45.384),
    (5, (), 65.331, 210, 54.537),
    (10, (), 72.857, 191, 61.461),
    (20, (), 80.383, 171, 68.384),
    (50, (), 90.331, 146, 77.537),
    (100, (), 97.857, 126, 84.461),
    (200, (), 105.383, 107, 91.384),
    (20, (10,), 88.029, 152, 74.443),
    (50, (45,), 104.571, 109, 88.792),
    (100, (70,), 116.857, 78, 99.461),
    (100, (90,), 116.857, 78, 99.461),
    (150, (0,), 110.988, 93, 95.063),
    (120, (30, 60), 124.360, 58, 106.154),
]


@pytest.mark.parametrize(("length", "bends", "seer", "grey", "winprop"), TABLE)
def test_published_path_losses(
    length: float, bends: tuple[float, ...], seer: float, grey: int, winprop: float
) -> None:
    assert path_loss_db(SEER, length, bends) == pytest.approx(seer, abs=6e-4)
    assert SEER_SCALE.encode(path_loss_db(SEER, length, bends)) == grey
    assert path_loss_db(WINPROP, length, bends) == pytest.approx(winprop, abs=6e-4)


def test_loss_at_one_metre_at_3_5_ghz() -> None:
    assert PRESETS["radiomapmotion"].loss_1m_db == pytest.approx(43.321, abs=6e-4)


def test_breakpoint_changes_the_slope_and_nothing_before_it() -> None:
    changed = resolve(SEER, {"p_los_after": 4.0, "p_olos_after": 5.0})
    distance = changed.breakpoint_m(1.5)
    assert distance == pytest.approx(556.4, abs=0.1)
    for bends, before, after in (((), 25, 40), ((20.0,), 28, 50)):
        at = path_loss_db(changed, distance, bends)
        assert at == pytest.approx(path_loss_db(SEER, distance, bends))
        assert path_loss_db(changed, 10 * distance, bends) - at == pytest.approx(after)
        assert path_loss_db(SEER, 10 * distance, bends) - at == pytest.approx(before)


def test_breakpoint_acts_inside_a_map() -> None:
    solver = DominantPathSolver("winprop2021", p_los_after=4.0, frequency_mhz=100.0)
    distance = solver.preset.breakpoint_m(1.5)
    assert 8 < distance < 12
    loss = solver.solve(solver.prepare(scene()), Transmitter(0.5, 32.5))[31]
    assert loss[50] - loss[25] == pytest.approx(40 * math.log10(2), abs=1e-4)
    assert loss[8] - loss[4] == pytest.approx(23 * math.log10(2), abs=1e-4)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda p: p.name)
@pytest.mark.parametrize("position", [(20.5, 40.5, 1.5), (20.2, 41.9, 1.5), (33.0, 30.0, 9.0)])
def test_empty_scene_follows_the_line_of_sight_law(
    preset: Preset, position: tuple[float, float, float]
) -> None:
    solver = DominantPathSolver(preset)
    empty = scene()
    found = solver.solve_detailed(solver.prepare(empty), Transmitter(*position))
    x, y = empty.grid.x_centres()[None, :], empty.grid.y_centres()[:, None]
    dx, dy = np.abs(x - position[0]), np.abs(y - position[1])
    square = dx**2 + dy**2 + (position[2] - 1.5) ** 2
    if preset.near_field == "grid" and position[0] % 1 == 0.5:
        off = (dx > 0) | (dy > 0)
        square = square + np.where(
            ((dx == 0) | (dy == 0)) & off, 1, np.where((dx == dy) & off, 2, 0)
        )
    length = np.maximum(np.sqrt(square), preset.min_distance_m)
    expected = preset.loss_1m_db + 10 * preset.p_los * np.log10(length)
    np.testing.assert_allclose(found.pathloss_db, expected, atol=2e-5)
    assert (found.classes == 1).all()


def test_near_field_levels_of_a_true_map() -> None:
    solver = DominantPathSolver("radiomapseer")
    loss = solver.solve(solver.prepare(scene()), Transmitter(32.5, 31.5))
    grey = SEER_SCALE.encode(loss)
    assert grey[32, 32:37].tolist() == [255, 245, 232, 223, 215]
    assert [int(grey[32 + k, 32 - k]) for k in (1, 2, 3)] == [236, 223, 213]


@pytest.mark.parametrize("preset", ["radiomapseer", "winprop2021"])
def test_one_bend_around_a_corner(preset: str) -> None:
    """Corner and transmitter on pixel centres, so the best bend is known exactly."""
    solver = DominantPathSolver(preset)
    corner, tx = np.array([30.5, 34.5]), np.array([45.5, 10.5])
    wall = scene((box(0, 30.5, 30.5, 34.5), 60.0))
    found = solver.solve_detailed(solver.prepare(wall), Transmitter(*tx))
    for x, y in ((16.5, 50.5), (10.5, 40.5), (3.5, 60.5), (12.5, 36.5)):
        row, col = (int(i) for i in wall.grid.pixel(x, y))
        target = np.array([x, y])
        length = np.linalg.norm(corner - tx) + np.linalg.norm(target - corner)
        angle = bend_angle_deg(np.append(tx, 0), np.append(corner, 0), np.append(target, 0))
        expected = path_loss_db(solver.preset, float(length), (angle,))
        assert found.classes[row, col] == 2
        assert found.pathloss_db[row, col] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("preset", "height_m", "over_m"), [("radiomapseer", 22.1, 0.0), ("winprop2021", 26.0, 4.0)]
)
def test_path_over_a_roof(preset: str, height_m: float, over_m: float) -> None:
    """A block from edge to edge of the tile: up at one wall, down at the other.

    The bends lie on the deepest roof pixels that the ends see, one metre behind each wall; the
    2021 preset counts the four metres from wall to wall.
    """
    solver = DominantPathSolver(preset)
    block = scene((box(0, 30.5, 64, 34.5), 25.0))
    found = solver.solve_detailed(solver.prepare(block), Transmitter(32.5, 10.5))
    up, down = np.array([31.5, height_m]), np.array([33.5, height_m])
    tx = np.array([10.5, 1.5])
    for y in (42.5, 50.5, 60.5):
        target = np.array([y, 1.5])
        length = sum(
            float(np.linalg.norm(b - a)) for a, b in ((tx, up), (up, down), (down, target))
        )
        turns = [
            math.degrees(math.atan2(height_m - 1.5, abs(end[0] - roof[0])))
            for end, roof in ((tx, up), (target, down))
        ]
        expected = path_loss_db(solver.preset, length, turns, roof_m=over_m)
        row, col = (int(i) for i in block.grid.pixel(32.5, y))
        assert found.classes[row, col] == 128 + 3
        assert found.pathloss_db[row, col] == pytest.approx(expected, abs=0.03)


def test_free_space_does_not_depend_on_the_resolution() -> None:
    solver = DominantPathSolver("radiomapmotion")
    position = Transmitter(30.3, 33.9)
    fine = solver.solve(solver.prepare(scene(n=64)), position)
    coarse_scene = scene(n=32, resolution_m=2.0)
    coarse = solver.solve(solver.prepare(coarse_scene), position)
    x, y = coarse_scene.grid.x_centres()[None, :], coarse_scene.grid.y_centres()[:, None]
    expected = solver.preset.loss_1m_db + 25 * np.log10(np.hypot(x - 30.3, y - 33.9))
    np.testing.assert_allclose(coarse, expected, atol=2e-5)
    mean = fine.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    far = np.hypot(x - 30.3, y - 33.9) > 8
    assert np.abs(mean - coarse)[far].max() < 0.05


def test_overrides_and_refusals() -> None:
    solver = DominantPathSolver("winprop2021", frequency_mhz=3500, p_olos=3.0)
    described = solver.describe()
    assert (described["frequency_mhz"], described["p_olos"], described["p_los"]) == (3500, 3.0, 2.3)
    assert set(described) == {"solver", *Preset.model_fields}
    for name, overrides in (
        ("winprop2022", {}),
        ("radiomapseer", {"p_loss": 2.0}),
        ("radiomapseer", {"frequency_mhz": -1}),
        ("radiomapseer", {"bend_max_db": 1.0}),
        ("radiomapseer", {"p_los": math.nan}),
    ):
        with pytest.raises(RecipeError, match="DPM"):
            DominantPathSolver(name, **overrides)


def test_presets_keep_low_buildings_above_the_receiver() -> None:
    assert SEER.bend_height_m(25.0) == pytest.approx(22.1)
    assert WINPROP.bend_height_m(16.5) == pytest.approx(17.5)
    assert SEER.bend_height_m(3.0) == pytest.approx(2.25)
    assert SEER.bend_height_m(1.0) == 1.0
    triangle = Polygon([(20, 20), (40, 20), (30, 40)])
    solver = DominantPathSolver("radiomapseer")
    found = solver.solve_detailed(solver.prepare(scene((triangle, 3.0))), Transmitter(30.5, 10.5))
    assert found.classes[63 - 50, 30] > 1
