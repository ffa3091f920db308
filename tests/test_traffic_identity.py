"""The compiled engine gives the same bits as its readable reference, in any scene and setting."""

from __future__ import annotations

import math
from functools import cache

import numba
import numpy as np
import pytest
import traffic_reference
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import random_scene

from rmtools.city.config import CityConfig
from rmtools.city.sources import build_scenes
from rmtools.grid import Grid
from rmtools.seeds import generator
from rmtools.traffic.config import TrafficConfig
from rmtools.traffic.drivable import drivable_field, drivable_field_of
from rmtools.traffic.engine import generate, generate_scene, simulate, simulate_batch
from rmtools.traffic.seeding import seed

ARRAYS = ("x", "y", "heading_deg", "speed_mps", "state")


def assert_same_bits(tracks, other):
    for name in ARRAYS:
        one, two = getattr(tracks, name), getattr(other, name)
        assert (one.shape, one.dtype) == (two.shape, two.dtype)
        # Equal values first, for the message; then -0.0 and NaN as well.
        np.testing.assert_array_equal(one, two, err_msg=name)
        assert one.tobytes() == two.tobytes(), name
    assert tracks.size == other.size


def check(field, config, number=0):
    compiled = simulate(field, config, np.random.default_rng(number))
    reference = traffic_reference.simulate(field, config, np.random.default_rng(number))
    assert_same_bits(compiled, reference)
    return compiled


@cache
def demo_scenes():
    tiles = {"order": "shuffle", "count": 3}
    return build_scenes(CityConfig.model_validate({"tiles": tiles}), Grid(), 3)[0]


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"speed_spread": 0.5, "warmup_frames": 30},
        {"vehicles": 60, "min_spacing_lengths": 1.0, "frames": 40, "stuck_frames": 1},
    ],
)
def test_real_scenes(number, options):
    config = TrafficConfig(**options)
    tracks = check(drivable_field_of(demo_scenes()[number], config), config, number)
    assert tracks.present.sum() >= 20


@st.composite
def configs(draw):
    """Anything that a recipe may ask for, with frames enough to get stuck."""
    lookahead = draw(st.floats(0.6, 4.0))
    return TrafficConfig(
        frames=draw(st.integers(1, 25)),
        warmup_frames=draw(st.sampled_from([0, 0, 7])),
        vehicles=draw(st.sampled_from([0, 1, 7, 20, 40])),
        vehicle_length_m=draw(st.floats(2.6, 9.0)),
        vehicle_width_m=draw(st.floats(0.8, 3.0)),
        speed_mps=draw(st.floats(0.5, 15.0)),
        speed_spread=draw(st.sampled_from([0.0, 0.4])),
        min_spacing_lengths=draw(st.sampled_from([0.0, 0.3, 1.1, 4.0])),
        lookahead_lengths=lookahead,
        probe_angle_deg=draw(st.sampled_from([10.0, 45.0, 90.0])),
        wide_angle_deg=draw(st.sampled_from([45.0, 90.0, 180.0])),
        stuck_frames=draw(st.integers(0, 4)),
        search_radius_lengths=draw(st.floats(0.0, 0.99)) * lookahead,
        smoothing=draw(st.sampled_from([0.05, 0.4, 1.0])),
    )


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(48, 110),
    st.sampled_from([0.5, 0.7, 1.0, 1.3, 2.0]),
    configs(),
)
def test_random_scenes_and_settings(number, n, resolution_m, config):
    scene = random_scene(np.random.default_rng(number), n, resolution_m)
    check(drivable_field_of(scene, config), config, number)


def test_two_hundred_vehicles_in_a_jam():
    config = TrafficConfig(vehicles=200, min_spacing_lengths=1.0, frames=12, speed_spread=0.3)
    grid = Grid(128)
    road = np.zeros(grid.shape, bool)
    for start in range(4, 120, 20):
        road[start : start + 9] = road[:, start : start + 9] = True
    tracks = check(drivable_field(road, ~road, grid, config), config)
    assert tracks.present.sum() > 150


@pytest.mark.parametrize("vehicles", [0, 5])
def test_nothing_to_drive_on(vehicles):
    config = TrafficConfig(vehicles=vehicles, frames=3)
    nothing = np.zeros((16, 16), bool)
    tracks = check(drivable_field(nothing, nothing, Grid(16), config), config)
    assert tracks.x.shape == (3, vehicles)
    assert not tracks.present.any()


def test_starts_are_those_of_the_reference():
    config = TrafficConfig(vehicles=40, min_spacing_lengths=0.5)
    for number in range(20):
        scene = random_scene(np.random.default_rng(number), 96)
        field = drivable_field_of(scene, config)
        found = seed(field, config, [np.random.default_rng(number)])[:, 0]
        expected = traffic_reference.seed(field, config, np.random.default_rng(number))
        np.testing.assert_array_equal(found[:, : len(expected)].T, np.reshape(expected, (-1, 3)))
        assert np.isnan(found[:, len(expected) :]).all()


def test_a_batch_is_its_trajectories_one_by_one():
    config = TrafficConfig(frames=5, trajectories=3, warmup_frames=2, speed_spread=0.2)
    scenes = [random_scene(np.random.default_rng(number), 96) for number in range(3)]
    fields = [drivable_field_of(scene, config) for scene in scenes]
    rngs = [[generator(1, "tracks", scene.name, t) for t in range(3)] for scene in scenes]
    batch = simulate_batch(fields, config, rngs)
    for scene, tracks in zip(scenes, batch, strict=True):
        for t, one in enumerate(generate_scene(scene, config, 1)):
            assert_same_bits(one, tracks[t])
            assert_same_bits(one, generate(scene, config, 1, t))
    assert simulate_batch([], config, []) == []
    assert simulate_batch(fields[:1], config, [[]]) == [[]]
    with pytest.raises(ValueError, match="shorter"):
        simulate_batch(fields, config, rngs[:2])


def test_compiled_sines_are_those_of_python():
    # What all of the above rests on.
    @numba.njit
    def compiled(a, b):
        return math.sin(a), math.cos(a), math.atan2(a, b)

    rng = np.random.default_rng(0)
    for a, b in rng.uniform(-10, 10, (20_000, 2)).tolist():
        assert compiled(a, b) == (math.sin(a), math.cos(a), math.atan2(a, b))
