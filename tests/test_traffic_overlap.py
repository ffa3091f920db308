"""The exact overlap tests against shapely."""

from __future__ import annotations

import numpy as np
import shapely

from rmtools.grid import Grid
from rmtools.traffic.overlap import hits_pixels, hits_vehicle, leaves_tile, pose_at
from rmtools.traffic.tracks import VehicleSize, outlines

SIZE = VehicleSize()
SIDES = SIZE.length_m, SIZE.width_m


def polygon(pose, size=SIZE):
    corners = outlines(np.array([pose.x]), np.array([pose.y]), np.degrees([pose.heading]), size)
    return shapely.polygons(corners)[0]


def test_vehicles_overlap_exactly_when_their_outlines_do():
    rng = np.random.default_rng(1)
    hits = 0
    for ax, ay, a, bx, by, b in rng.uniform((0, 0, -4, 0, 0, -4), (5, 5, 4, 5, 5, 4), (2000, 6)):
        one, two = pose_at(ax, ay, a), pose_at(bx, by, b)
        area = polygon(one).intersection(polygon(two)).area
        hit = hits_vehicle(one, two, *SIDES)
        assert hit == hits_vehicle(two, one, *SIDES) == (area > 0)
        hits += hit
    assert 500 < hits < 1900


def test_pixels_are_hit_exactly_when_their_squares_are():
    rng = np.random.default_rng(2)
    grid = Grid(16, 0.75)
    x, y = np.meshgrid(grid.x_centres(), grid.y_centres())
    squares = shapely.box(x - 0.375, y - 0.375, x + 0.375, y + 0.375)
    hits = 0
    for px, py, heading in rng.uniform((-1, -1, -4), (13, 13, 4), (1000, 3)):
        obstacle = rng.random(grid.shape) < 0.05
        pose = pose_at(px, py, heading)
        area = shapely.area(shapely.intersection(squares[obstacle], polygon(pose))).sum()
        hit = hits_pixels(pose, *SIDES, obstacle, grid.resolution_m)
        assert hit == (area > 0)
        hits += hit
    assert 200 < hits < 800


def test_leaving_the_tile_is_noticed_by_any_corner():
    rng = np.random.default_rng(3)
    grid = Grid(16)
    tile = shapely.box(0, 0, 16, 16)
    for px, py, heading in rng.uniform((0, 0, -4), (16, 16, 4), (1000, 3)):
        pose = pose_at(px, py, heading)
        assert leaves_tile(pose, *SIDES, grid.size_m) == (not tile.covers(polygon(pose)))


def test_touching_is_not_overlapping():
    here = pose_at(8.0, 8.0, 0.0)
    assert not hits_vehicle(here, pose_at(4.0, 8.0, 0.0), *SIDES)
    assert hits_vehicle(here, pose_at(4.0 + 1e-6, 8.0, 0.0), *SIDES)
    wall = np.zeros((16, 16), bool)
    wall[:, 10:] = True
    assert not hits_pixels(here, *SIDES, wall, 1.0)
    assert hits_pixels(pose_at(8.0 + 1e-6, 8.0, 0.0), *SIDES, wall, 1.0)
