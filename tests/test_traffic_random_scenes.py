"""Promises that hold in every scene: checked on hundreds of random ones with shapely as oracle."""

from __future__ import annotations

from functools import cache
from math import asin, degrees

import numpy as np
import pytest
import shapely
from scipy.ndimage import gaussian_filter
from strategies import random_scene

from rmtools.city.rasters import road_mask, touched_mask
from rmtools.grid import Grid
from rmtools.traffic.config import TrafficConfig
from rmtools.traffic.drivable import (
    drivable_area,
    drivable_field_of,
    pixels_near,
    square_distance,
)
from rmtools.traffic.engine import generate
from rmtools.traffic.streets import street_direction
from rmtools.traffic.tracks import State

CONFIG = TrafficConfig(frames=10)
EPS = 1e-9


@cache
def world(number):
    """A random scene and its traffic, now and then faster, denser or after a warm-up."""
    rng = np.random.default_rng(number)
    scene = random_scene(rng, int(rng.integers(96, 129)))
    config = CONFIG.model_copy(
        update={
            "vehicles": int(rng.choice([5, 20, 30])),
            "min_spacing_lengths": float(rng.choice([1.2, 4.0])),
            "speed_mps": float(rng.choice([5.0, 10.0, 25.0])),
            "speed_spread": float(rng.choice([0.0, 0.3])),
            "warmup_frames": int(rng.choice([0, 0, 8])),
        }
    )
    return scene, config, generate(scene, config, seed=7, trajectory=0)


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_promises_of_the_engine(first):
    for number in range(first, first + 20):
        scene, config, tracks = world(number)
        check_nothing_overlaps(scene, tracks)
        check_places(scene, config, tracks)
        check_motion(config, tracks)


def check_nothing_overlaps(scene, tracks):
    buildings = shapely.STRtree([building.polygon for building in scene.buildings])
    tile = shapely.box(0, 0, scene.grid.size_m, scene.grid.size_m)
    outlines = [tracks.outlines(frame) for frame in range(tracks.frames)]
    for frame in outlines:
        vehicles = shapely.polygons(frame)
        one, two = shapely.STRtree(vehicles).query(vehicles, "intersects")
        shared = shapely.intersection(vehicles[one[one < two]], vehicles[two[one < two]])
        assert shapely.area(shared).max(initial=0) < EPS
    vehicles = shapely.polygons(np.concatenate(outlines))
    v, b = buildings.query(vehicles, "intersects")
    shared = shapely.intersection(vehicles[v], buildings.geometries[b])
    assert shapely.area(shared).max(initial=0) < EPS
    assert shapely.area(shapely.difference(vehicles, tile)).max(initial=0) < EPS


def check_places(scene, config, tracks):
    here = tracks.present
    assert here.sum() <= config.vehicles
    np.testing.assert_array_equal(np.isnan(tracks.x), np.broadcast_to(~here, tracks.x.shape))
    area = drivable_area(
        road_mask(scene), touched_mask(scene), scene.grid, config.vehicle_width_m / 2
    )
    assert area[scene.grid.pixel(tracks.x[:, here], tracks.y[:, here])].all()
    if config.warmup_frames:
        return
    x, y = tracks.x[0, here], tracks.y[0, here]
    gaps = np.hypot(x[:, None] - x, y[:, None] - y)[np.triu_indices(len(x), 1)]
    assert gaps.min(initial=np.inf) >= config.min_spacing_m
    angle = np.radians(tracks.heading_deg[0, here])
    centre = scene.grid.size_m / 2
    assert ((x - centre) * np.sin(angle) - (y - centre) * np.cos(angle)).max(initial=0) <= 1e-6


def check_motion(config, tracks):
    here = tracks.present
    state, speed = tracks.state[:, here], tracks.speed_mps[:, here]
    step = np.hypot(np.diff(tracks.x[:, here], axis=0), np.diff(tracks.y[:, here], axis=0))
    np.testing.assert_allclose(step, speed[1:] * 0.1, atol=EPS)
    assert speed.max(initial=0) <= config.speed_mps * (1 + config.speed_spread) + EPS
    assert (state[0] == State.SEEDED).all()
    moving = np.isin(state[1:], (State.MOVING, State.SLOWED))
    np.testing.assert_array_equal(moving, step > 0)
    assert np.isin(state[1:][~moving], (State.WAITING, State.BLOCKED)).all()
    still = np.zeros(here.sum(), int)
    turned = np.abs((np.diff(tracks.heading_deg[:, here], axis=0) + 180) % 360 - 180)
    reach = degrees(asin(config.search_radius_m / config.lookahead_m))
    for frame in range(tracks.frames - 1):
        # After a warm-up vehicles may come into frame 0 stuck already.
        wide = (still > config.stuck_frames) | ((config.warmup_frames > 0) & (still == frame))
        widest = np.where(wide, config.wide_angle_deg, config.probe_angle_deg)
        assert (turned[frame] <= config.smoothing * (widest + reach) + 1e-6).all()
        still = np.where(moving[frame], 0, still + 1)


def test_most_vehicles_drive():
    states = np.concatenate(
        [
            tracks.state[1:, tracks.present].ravel()
            for _, config, tracks in map(world, range(60))
            if config.min_spacing_lengths == 4.0 and not config.warmup_frames
        ]
    )
    assert np.isin(states, (State.MOVING, State.SLOWED)).mean() > 0.85


def test_same_seed_same_bytes_and_every_trajectory_its_own():
    scene = random_scene(np.random.default_rng(5), 128)
    tracks = [generate(scene, CONFIG, seed, k) for seed, k in [(1, 0), (1, 0), (1, 1), (2, 0)]]
    assert tracks[0].x.tobytes() == tracks[1].x.tobytes()
    assert tracks[0].heading_deg.tobytes() == tracks[1].heading_deg.tobytes()
    for other in tracks[2:]:
        assert tracks[0].x.tobytes() != other.x.tobytes()


def test_a_field_is_not_changed_by_the_trajectories_that_share_it():
    scene = random_scene(np.random.default_rng(5), 128)
    field = drivable_field_of(scene, CONFIG)
    for k in range(3):
        shared = generate(scene, CONFIG, 1, k, field)
        np.testing.assert_array_equal(shared.x, generate(scene, CONFIG, 1, k).x)


def test_coarse_and_fine_pixels_drive_alike():
    # A pixel of 0.5 m instead of 1 m changes nothing but the raster.
    rng = np.random.default_rng(11)
    scene = random_scene(rng, 192, resolution_m=0.5)
    tracks = generate(scene, CONFIG, seed=0, trajectory=0)
    assert tracks.present.any()
    check_nothing_overlaps(scene, tracks)
    check_motion(CONFIG, tracks)


def test_mask_of_a_vehicle_has_about_eight_pixels():
    counts = []
    for number in range(20):
        scene, _, tracks = world(number)
        if tracks.present.any():
            counts.append(tracks.mask(3, scene.grid).sum() / tracks.present.sum())
    assert np.mean(counts) == pytest.approx(8.0, rel=0.05)


def test_square_distance_is_the_distance_to_whole_pixels():
    rng = np.random.default_rng(4)
    mask = rng.random((12, 9)) < 0.05
    rows, cols = np.nonzero(mask)
    squares = shapely.union_all(shapely.box(cols, rows, cols + 1, rows + 1))
    i, j = np.indices((25, 19)) / 2
    expected = shapely.distance(shapely.points(j, i), squares)
    np.testing.assert_allclose(square_distance(mask), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(40, 40), (9, 30), (30, 9)])
@pytest.mark.parametrize("distance_m", [0.05, 0.3, 1.0, 1.1, 2.5, 30.0])
def test_pixels_near_are_those_within_the_distance_to_whole_pixels(shape, distance_m):
    rng = np.random.default_rng(6)
    for resolution_m in (0.3, 0.5, 1.0):
        mask = rng.random(shape) < 0.02
        expected = square_distance(mask)[1::2, 1::2] * resolution_m < distance_m
        np.testing.assert_array_equal(pixels_near(mask, resolution_m, distance_m), expected)


@pytest.mark.parametrize("resolution_m", [0.7, 1.0])
def test_street_direction_is_that_of_the_weighted_covariance(resolution_m):
    grid = Grid(64, resolution_m)
    area = np.random.default_rng(8).random(grid.shape) < 0.3
    area[30:36] = True
    direction, anisotropy = street_direction(area, grid, window_m=4.0)
    x, y = np.meshgrid(grid.x_centres(), grid.y_centres())

    def mean(values):
        total = gaussian_filter(values * area, 4.0 / resolution_m, mode="constant")
        return total / gaussian_filter(area * 1.0, 4.0 / resolution_m, mode="constant")

    xx, yy = mean(x * x) - mean(x) ** 2, mean(y * y) - mean(y) ** 2
    values, axes = np.linalg.eigh(
        np.moveaxis([[xx, xy := mean(x * y) - mean(x) * mean(y)], [xy, yy]], (0, 1), (2, 3))
    )
    along = np.abs(axes[..., 0, 1] * np.cos(direction) + axes[..., 1, 1] * np.sin(direction))
    ratio = (values[..., 1] - values[..., 0]) / values.sum(axis=-1)
    clear = area & (ratio > 0.01)
    assert clear.sum() > 1000
    np.testing.assert_allclose(along[clear], 1.0, atol=1e-9)
    np.testing.assert_allclose(anisotropy[area], ratio[area], atol=1e-9)
    assert not direction[~area].any()
    assert not anisotropy[~area].any()
