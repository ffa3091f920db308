"""Antenna patterns: reading them, what they do to a radio map, and how recipes give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from dpm_scenes import bend_angle_deg, cars, random_city, scene
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box

from rmtools.errors import InputError, RecipeError
from rmtools.radio.antenna import DBD_TO_DBI, Antenna, read_msi
from rmtools.radio.config import SolverConfig
from rmtools.radio.dpm.equation import gain_db, path_loss_db
from rmtools.radio.dpm.presets import PRESETS
from rmtools.radio.dpm.solver import DominantPathSolver
from rmtools.radio.solver import Transmitter

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.radio.solver import Obstacles
    from rmtools.store import Store

DEGREES = np.arange(360)
OFF = np.minimum(DEGREES, 360 - DEGREES).astype(float)
"""Degrees to either side of boresight."""

SOLVER = DominantPathSolver("radiomapmotion")
ISOTROPIC = Antenna("isotropic", 0.0, np.zeros(360), np.zeros(360))
MILD = Antenna("mild", 9.0, OFF / 20, OFF / 40, azimuth_deg=70.0, downtilt_deg=6.0)


def beam(**mounting: float) -> Antenna:
    """0.1 dB less per degree of azimuth up to 9 dB, 0.2 dB per degree of elevation."""
    return Antenna("beam", 12.0, np.minimum(OFF * 0.1, 9.0), OFF * 0.2, **mounting)


def msi(
    path: Path,
    antenna: Antenna,
    gain: str | None = None,
    drop: tuple[int, ...] = (),
    order: tuple[str, ...] = ("HORIZONTAL", "VERTICAL"),
) -> Path:
    """Write a pattern; `drop` leaves out lines by their number in the file."""
    lines = [f"NAME {antenna.name}", "MAKE nobody", "FREQUENCY 3500"]
    lines += [f"GAIN {antenna.gain_dbi - DBD_TO_DBI!r} dBd" if gain is None else gain, "", "TILT 0"]
    cuts = {"HORIZONTAL": antenna.horizontal_db, "VERTICAL": antenna.vertical_db}
    for key in order:
        lines += [f"{key} 360", *(f"{i} {float(v)!r}" for i, v in enumerate(cuts[key]))]
    path.write_text("\n".join(line for i, line in enumerate(lines) if i not in drop) + "\n")
    return path


def towards(antenna: Antenna, azimuth_deg: float, elevation_deg: float) -> float:
    """Gain in a direction as the compiled code looks it up."""
    a, e = np.radians([azimuth_deg, elevation_deg])
    reach = 100.0 * np.cos(e)
    to = (7.0 + reach * np.sin(a), 9.0 - reach * np.cos(a), 3.0 + 100.0 * np.sin(e))
    return gain_db(antenna.table, (7.0, 9.0, 3.0), to)


# -- the table -------------------------------------------------------------------------------


def test_an_isotropic_table_is_zero_however_it_is_mounted() -> None:
    for azimuth, tilt in ((0, 0), (33, 10), (300, -45)):
        mounted = Antenna("i", 0.0, np.zeros(360), np.zeros(360), azimuth, tilt)
        assert (mounted.table == 0).all()
        assert mounted.max_gain_dbi == 0


@settings(deadline=None)
@given(st.integers(0, 359), st.integers(-89, 89), st.floats(0, 360), st.floats(-30, 30))
def test_looked_up_gains_are_the_table_at_whole_degrees(
    azimuth: int, elevation: int, boresight: float, tilt: float
) -> None:
    mounted = beam(azimuth_deg=boresight, downtilt_deg=tilt)
    expected = mounted.table[azimuth, elevation + 90]
    assert towards(mounted, azimuth, elevation) == pytest.approx(expected, abs=1e-9)
    assert mounted.table.max() <= mounted.max_gain_dbi + 1e-9


@settings(deadline=None)
@given(st.floats(0, 359.99), st.floats(-89, 88.99))
def test_between_whole_degrees_gains_are_bilinear(azimuth: float, elevation: float) -> None:
    mounted = beam(azimuth_deg=40.0, downtilt_deg=7.0)
    i, j = int(azimuth), int(np.floor(elevation))
    s, t = azimuth - i, elevation - j
    square = mounted.table[[[i], [(i + 1) % 360]], [[j + 90, j + 91]]]
    expected = np.array([1 - s, s]) @ square @ np.array([1 - t, t])
    assert towards(mounted, azimuth, elevation) == pytest.approx(expected, abs=1e-6)


def test_cuts_are_exact_on_themselves() -> None:
    untilted = beam(azimuth_deg=100.0)
    for off in range(-180, 180, 7):
        expected = 12.0 - min(abs(off) * 0.1, 9.0)
        assert towards(untilted, (100 + off) % 360, 0) == pytest.approx(expected, abs=1e-9)
    for up in range(-80, 81, 10):
        assert towards(untilted, 100, up) == pytest.approx(12.0 - 0.2 * abs(up), abs=1e-9)


def test_tilt_looks_down_in_front_and_up_behind() -> None:
    down = Antenna("d", 0.0, np.zeros(360), OFF * 0.2, azimuth_deg=90.0, downtilt_deg=10.0)
    for azimuth, best in ((90, -10), (270, 10), (0, 0), (180, 0)):
        gains = {e: towards(down, azimuth, e) for e in range(-40, 41)}
        assert max(gains, key=lambda e: gains[e]) == best
        assert gains[best] == pytest.approx(0.0, abs=1e-6)
    assert towards(down, 90, 20) == pytest.approx(-0.2 * 30, abs=1e-6)
    assert towards(down, 270, -20) == pytest.approx(-0.2 * 30, abs=1e-6)


# -- radio maps ------------------------------------------------------------------------------


def test_three_decibels_off_boresight_are_three_decibels_less_on_the_map() -> None:
    """Boresight to 60 degrees; its cut loses 3 dB at 30 degrees to either side."""
    level = Antenna("level", 0.0, np.minimum(OFF * 0.1, 9.0), np.zeros(360), azimuth_deg=60.0)
    empty = SOLVER.prepare(scene())
    plain = SOLVER.solve(empty, Transmitter(10.5, 30.5))
    aimed = SOLVER.solve(empty, Transmitter(10.5, 30.5, antenna=level))
    east, north = (33, 40), (3, 10)  # 90 and 0 degrees: 30 and 60 off
    assert aimed[east] - plain[east] == pytest.approx(3.0, abs=1e-4)
    assert aimed[north] - plain[north] == pytest.approx(6.0, abs=1e-4)
    assert aimed[33, 2] - plain[33, 2] == pytest.approx(9.0, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_with_line_of_sight_the_map_is_the_isotropic_one_less_the_gain(seed: int) -> None:
    prepared = SOLVER.prepare(scene(*random_city(seed), n=96))
    at = (48.3, 47.9, 6.0)
    plain = SOLVER.solve_detailed(prepared, Transmitter(*at))
    aimed = SOLVER.solve_detailed(prepared, Transmitter(*at, antenna=MILD))
    lit = (plain.classes == 1) & (aimed.classes == 1)
    assert lit.sum() == (plain.classes == 1).sum() > 1500
    ends = [aimed.path(row, col)[1] - at for row, col in np.argwhere(lit)]
    azimuth = [np.degrees(np.arctan2(east, north)) % 360 for east, north, _ in ends]
    elevation = [np.degrees(np.arctan2(up, np.hypot(x, y))) for x, y, up in ends]
    gains = [towards(MILD, a, e) for a, e in zip(azimuth, elevation, strict=True)]
    difference = (plain.pathloss_db - aimed.pathloss_db)[lit]
    np.testing.assert_allclose(difference, gains, atol=2e-4)


@pytest.mark.parametrize("obstacles", [cars(), cars((24.2, 31.3, 28.2, 33.3))])
def test_around_a_corner_the_gain_towards_the_first_bend_counts(obstacles: Obstacles) -> None:
    wall = SOLVER.prepare(scene((box(0, 33.5, 30.5, 37.5), 60.0)))
    tx = np.array([12.5, 20.5, 1.5])
    found = SOLVER.solve_detailed(wall, Transmitter(*tx, antenna=MILD), obstacles)
    checked = 0
    behind = found.classes > 1
    if len(obstacles.outlines):  # elsewhere the loss may be held to that without vehicles
        without = SOLVER.solve(wall, Transmitter(*tx, antenna=MILD))
        behind &= found.pathloss_db > without + 1e-3
    for row, col in np.argwhere(behind)[::23]:
        points = found.path(int(row), int(col))
        # what a bend over a vehicle adds to the length does not count, nor does it turn the others
        level = points * (1, 1, 0)
        legs = np.linalg.norm(np.diff(level, axis=0), axis=1)
        turns = [
            bend_angle_deg(*(points if points[k + 1, 2] > 1.6 else level)[k : k + 3])
            for k in range(len(points) - 2)
        ]
        first = next(p for p in points[1:] if p[2] < 1.6)
        east, north, up = first - tx
        azimuth = np.degrees(np.arctan2(east, north)) % 360
        gain = towards(MILD, azimuth, np.degrees(np.arctan2(up, np.hypot(east, north))))
        expected = path_loss_db(PRESETS["radiomapmotion"], float(legs.sum()), turns) - gain
        assert found.pathloss_db[row, col] == pytest.approx(expected, abs=2e-3)
        checked += 1
    assert checked > 20


def test_an_isotropic_antenna_changes_nothing() -> None:
    prepared = SOLVER.prepare(scene(*random_city(4), n=96))
    plain = SOLVER.solve(prepared, Transmitter(48.3, 47.9))
    same = SOLVER.solve(prepared, Transmitter(48.3, 47.9, antenna=ISOTROPIC))
    np.testing.assert_array_equal(plain, same)


def test_sequences_know_the_antenna() -> None:
    prepared = SOLVER.prepare(scene(*random_city(5), n=96))
    tx = Transmitter(48.3, 47.9, antenna=MILD)
    frames = [cars((56.6, 41.2, 60.6, 43.2)), cars((57.6, 41.2, 61.6, 43.2))]
    (maps,) = SOLVER.solve_sequences(prepared, [tx], frames)
    for made, frame in zip(maps, frames, strict=True):
        single = SOLVER.solve(prepared, tx, frame)
        assert (np.isnan(made) == np.isnan(single)).all()
        assert np.nanmean(np.abs(made - single) > 0.01) < 0.01


# -- files -----------------------------------------------------------------------------------


def test_a_pattern_reads_back_as_it_was_written(tmp_path: Path) -> None:
    written = Antenna("made up", 11.25, OFF / 9, np.roll(OFF, 5) / 11)
    for order in (("HORIZONTAL", "VERTICAL"), ("VERTICAL", "HORIZONTAL")):
        read = read_msi(msi(tmp_path / "a.msi", written, order=order), 20.0, 3.0)
        assert (read.name, read.azimuth_deg, read.downtilt_deg) == ("made up", 20.0, 3.0)
        assert read.gain_dbi == pytest.approx(11.25, abs=1e-12)
        np.testing.assert_array_equal(read.horizontal_db, written.horizontal_db)
        np.testing.assert_array_equal(read.vertical_db, written.vertical_db)


@pytest.mark.parametrize(
    ("line", "gain_dbi"),
    [("GAIN 10 dBi", 10.0), ("GAIN 10 dBd", 12.15), ("gain 10", 12.15), ("GAIN -3 DBI", -3.0)],
)
def test_gain_over_a_dipole_is_2_15_db_more_over_isotropic(
    tmp_path: Path, line: str, gain_dbi: float
) -> None:
    assert read_msi(msi(tmp_path / "a.msi", MILD, line)).gain_dbi == pytest.approx(gain_dbi)


def test_bad_patterns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.msi"
    spiked = Antenna("bad", 0.0, OFF, OFF)
    with pytest.raises(InputError, match=r"no such pattern"):
        read_msi(path)
    for line, what in (("GAIN much dBi", "line 4"), ("GAIN 3 dBm", "'dBm'"), ("GAIN 900", "902")):
        with pytest.raises(InputError, match=what):
            read_msi(msi(path, spiked, line))
    for drop, what in (
        ((8,), "a number is missing"),  # the next table begins too early
        (tuple(range(6, 367)), "no HORIZONTAL table"),
        (tuple(range(367, 728)), "no VERTICAL table"),
        ((727,), "a number is missing"),
    ):
        with pytest.raises(InputError, match=what):
            read_msi(msi(path, spiked, drop=drop))
    text = msi(path, spiked).read_text()
    for old, new, what in (
        ("\n5 5.0\n", "\n4 5.0\n", "degree 5 is missing"),
        ("\n5 5.0\n", "\n5.5 5.0\n", "5.5 is not a whole degree"),
        ("\n5 5.0\n", "\n365 5.0\n", "365 is not a whole degree"),
        ("\n5 5.0\n", "\n5 nan\n", "a number is missing"),
        ("\n5 5.0\n", "\n5 1e9\n", "1e\\+09 dB is beyond 200 dB"),
    ):
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(InputError, match=what):
            read_msi(path)
    path.write_bytes(b"\0" * (2 << 20))
    with pytest.raises(InputError, match="at most 1 MB"):
        read_msi(path)
    with pytest.raises(InputError, match="vertical cut has shape"):
        Antenna("short", 0.0, OFF, OFF[:180])


# -- recipes ---------------------------------------------------------------------------------


def config(path: Path, **more: object) -> SolverConfig:
    return SolverConfig.model_validate({"antenna": {"pattern": str(path), **more}})


def test_the_description_names_the_pattern_by_content_and_not_by_folder(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    here, there = msi(tmp_path / "a.msi", MILD), msi(tmp_path / "other" / "a.msi", MILD)
    described = config(here, azimuth_deg=30).describe()
    assert described == config(there, azimuth_deg=30).describe()
    assert str(tmp_path) not in str(described)
    assert described["antenna"]["pattern"] == "a.msi"
    assert described["antenna"]["max_gain_dbi"] == pytest.approx(9.0)
    assert described != config(here, azimuth_deg=31).describe()
    assert described != config(msi(there, beam()), azimuth_deg=30).describe()
    assert "antenna" not in SolverConfig().describe()


def test_only_the_embedded_solver_takes_patterns(tmp_path: Path) -> None:
    from rmtools.run.recipe import check_recipe

    antenna = {"pattern": str(msi(tmp_path / "a.msi", MILD))}
    section = {"name": "sionna", "preset": "irt2-like", "antenna": antenna}
    with pytest.raises(RecipeError, match="'sionna' takes no antenna pattern"):
        check_recipe({"solver": section}, "here")
    with pytest.raises(RecipeError, match=r"solver\.antenna\.azimuth_deg"):
        check_recipe({"solver": {"antenna": {**antenna, "azimuth_deg": 400}}}, "here")


def test_a_dataset_with_antennas_is_valid_and_can_be_moved(tmp_path: Path) -> None:
    """The pattern is given relative to the recipe; the finished dataset does without it."""
    from rmtools.run.recipe import load_recipe
    from rmtools.run.runner import run
    from rmtools.store import Store
    from rmtools.validation import validate

    pattern = msi(tmp_path / "sector.msi", beam())
    recipe_file = tmp_path / "recipe.yaml"
    recipe_file.write_text(
        "grid: {n: 64}\n"
        "city: {tiles: {count: 1, min_road_m: 20}}\n"
        "traffic: {trajectories: 1, frames: 2, vehicles: 2}\n"
        "transmitters: {count: 2, clear_of_roads: false}\n"
        "solver: {antenna: {pattern: sector.msi, azimuth_deg: 45, downtilt_deg: 2}}\n"
    )
    root = tmp_path / "made"
    run(root, load_recipe(recipe_file))
    report = validate(root)
    assert report.ok, report.findings
    stored = Store.open(root)
    solver = stored.array_attributes("pathloss")["solver"]
    assert solver["antenna"]["pattern"] == "sector.msi"
    assert str(tmp_path) not in (root / "report.html").read_text()
    gain = free_space_gain(stored)
    assert 10.0 < gain.max() <= 12.01

    pattern.unlink()
    summaries = run(root, load_recipe(root / "recipe.yaml"))
    assert all(summary.done_now == 0 for summary in summaries)
    pattern.write_text("no pattern")
    with pytest.raises(InputError, match="no HORIZONTAL table"):
        run(root, load_recipe(root / "recipe.yaml"))


def free_space_gain(store: Store) -> np.ndarray:
    """By how much the first map of a store is stronger than an isotropic antenna in the open."""
    x, y = np.meshgrid(store.grid.x_centres(), store.grid.y_centres())
    at = store.transmitters(0)[0]
    distance = np.maximum(np.hypot(x - at[0], y - at[1]), 0.7)
    law = PRESETS["radiomapmotion"].loss_1m_db + 25 * np.log10(distance)
    gain = law - store.pathloss(0, 0, 0)[0]
    return np.asarray(gain[~np.isnan(gain)])
