"""Sequences: a frame is what a solve of that frame from scratch gives."""

from __future__ import annotations

import numpy as np
import pytest
from dpm_scenes import random_city, scene
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmtools.city.config import CityConfig
from rmtools.city.sources import build_scenes
from rmtools.errors import InputError
from rmtools.grid import Grid
from rmtools.radio.dpm.frames import at_transmitter, solve_base
from rmtools.radio.dpm.labels import copy_labels
from rmtools.radio.dpm.solver import DominantPathSolver, PreparedScene
from rmtools.radio.solver import NO_OBSTACLES, Obstacles, Transmitter
from rmtools.radio.transmitters import PlacementConfig, place_scene
from rmtools.seeds import generator
from rmtools.traffic.config import TrafficConfig
from rmtools.traffic.engine import generate
from rmtools.traffic.tracks import VehicleSize, outlines

SOLVER = DominantPathSolver("radiomapmotion")
CENTRE = Transmitter(48.3, 47.9)


def random_cars(seed: int, count: int, height_m: float = 1.5) -> Obstacles:
    """Vehicles anywhere, but not within 3 m of the transmitter."""
    rng = generator(seed, "cars")
    x, y = rng.uniform(2, 94, (2, 4 * count))
    far = np.flatnonzero(np.hypot(x - CENTRE.x, y - CENTRE.y) > 3)[:count]
    heading = rng.uniform(-180, 180, count)
    return Obstacles(outlines(x[far], y[far], heading, VehicleSize()), height_m)


def sequence(
    prepared: PreparedScene, frames: list[Obstacles], transmitter: Transmitter = CENTRE
) -> np.ndarray:
    return next(iter(SOLVER.solve_sequences(prepared, [transmitter], frames)))


def compare(frames: np.ndarray, scratch: np.ndarray) -> tuple[float, float]:
    """Share of pixels that differ, and by how much at most."""
    np.testing.assert_array_equal(np.isnan(frames), np.isnan(scratch))
    difference = np.abs(frames - scratch)[~np.isnan(scratch)]
    return float(np.mean(difference > 0)), float(difference.max())


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10_000), st.sampled_from([1, 6, 25]), st.sampled_from([1.2, 1.5, 3.0]))
def test_frames_are_what_a_solve_from_scratch_gives(seed: int, count: int, height_m: float) -> None:
    prepared = SOLVER.prepare(scene(*random_city(seed), n=96))
    cars = random_cars(seed, count, height_m)
    share, most = compare(sequence(prepared, [cars])[0], SOLVER.solve(prepared, CENTRE, cars))
    assert share <= 0.005
    assert most <= 1.0


def test_frames_of_a_real_street_are_what_a_solve_from_scratch_gives() -> None:
    city = build_scenes(CityConfig(tiles={"count": 1}), Grid(), 0)[0][0]
    prepared = SOLVER.prepare(city)
    tracks = generate(city, TrafficConfig(vehicles=20, frames=3), seed=1, trajectory=0)
    frames = [Obstacles(tracks.outlines(k), 1.5) for k in range(3)]
    changed = 0.0
    for x, y, z in place_scene(city, PlacementConfig(count=2), seed=1):
        tx = Transmitter(x, y, z)
        scratch = np.stack([SOLVER.solve(prepared, tx, frame) for frame in frames])
        share, most = compare(sequence(prepared, frames, tx), scratch)
        assert share <= 0.0005
        assert most <= 1.0
        changed += float(np.mean(scratch[0] > SOLVER.solve(prepared, tx)))
    assert changed > 0.005  # there was something to do


def test_a_frame_does_not_depend_on_the_others() -> None:
    prepared = SOLVER.prepare(scene(*random_city(4), n=96))
    frames = [random_cars(seed, 8) for seed in range(4)]
    together = sequence(prepared, frames)
    np.testing.assert_array_equal(sequence(prepared, frames[::-1])[::-1], together)
    for k, frame in enumerate(frames):
        np.testing.assert_array_equal(sequence(prepared, [frame])[0], together[k])


def test_frames_without_vehicles_are_the_plain_map() -> None:
    prepared = SOLVER.prepare(scene(*random_city(2), n=96))
    frames = sequence(prepared, [NO_OBSTACLES, random_cars(0, 5), NO_OBSTACLES])
    plain = SOLVER.solve(prepared, CENTRE)
    np.testing.assert_array_equal(frames[0], plain)
    np.testing.assert_array_equal(frames[2], plain)
    assert (frames[1] != plain).any()


@pytest.mark.parametrize(
    ("gap_m", "hidden"), [(0.1, True), (0.6, True), (1.1, True), (1.5, False), (3.0, False)]
)
def test_vehicles_beside_the_transmitter(gap_m: float, *, hidden: bool) -> None:
    """Where they hide pixels that the search starts with, the frame is solved from scratch."""
    prepared = SOLVER.prepare(scene(*random_city(5), n=96))
    at = np.array([CENTRE.x + gap_m + VehicleSize().width_m / 2]), np.array([CENTRE.y])
    beside = Obstacles(outlines(*at, np.array([90.0]), VehicleSize()))
    source = SOLVER._source(prepared, CENTRE)
    without = SOLVER._air(prepared, CENTRE, prepared.no_vehicles)
    base = solve_base(without, source, copy_labels(prepared.labels))
    air = SOLVER._air(prepared, CENTRE, SOLVER._vehicles(prepared, beside))
    assert at_transmitter(air, source, base.labels, base.starts) == hidden
    np.testing.assert_array_equal(
        sequence(prepared, [beside])[0], SOLVER.solve(prepared, CENTRE, beside)
    )


def test_several_transmitters_come_one_after_the_other() -> None:
    prepared = SOLVER.prepare(scene(*random_city(6), n=96))
    other = Transmitter(47.1, 50.2, 20.0)
    frames = [random_cars(1, 6), random_cars(2, 6)]
    maps = list(SOLVER.solve_sequences(prepared, [CENTRE, other], frames))
    assert len(maps) == 2
    np.testing.assert_array_equal(maps[1], sequence(prepared, frames, other))
    assert list(SOLVER.solve_sequences(prepared, [], frames)) == []


def test_bad_input_is_refused_before_anything_is_solved() -> None:
    prepared = SOLVER.prepare(scene())
    over = Obstacles(outlines(np.array([48.0]), np.array([47.0]), np.zeros(1), VehicleSize()))
    with pytest.raises(InputError, match="inside vehicle 0"):
        sequence(SOLVER.prepare(scene(n=96)), [NO_OBSTACLES, over])
    with pytest.raises(InputError, match="not on the tile"):
        sequence(prepared, [NO_OBSTACLES], Transmitter(99.0, 3.0))
