"""The exact overlap tests against shapely."""

from __future__ import annotations

import numpy as np
import shapely

from rmtools.grid import Grid
from rmtools.traffic.overlap import Pose, hits_pixels, hits_vehicles, leaves_tile
from rmtools.traffic.tracks import VehicleSize, outlines

SIZE = VehicleSize()


def polygon(pose, size=SIZE):
    corners = outlines(np.array([pose.x]), np.array([pose.y]), np.degrees([pose.heading]), size)
    return shapely.polygons(corners)[0]


def test_vehicles_overlap_exactly_when_their_outlines_do():
    rng = np.random.default_rng(1)
    hits = 0
    for ax, ay, a, bx, by, b in rng.uniform((0, 0, -4, 0, 0, -4), (5, 5, 4, 5, 5, 4), (2000, 6)):
        one, two = Pose(ax, ay, a), Pose(bx, by, b)
        area = polygon(one).intersection(polygon(two)).area
        hit = hits_vehicles(one, SIZE, np.array([bx]), np.array([by]), np.array([b]))
        assert hit == (area > 0)
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
        pose = Pose(px, py, heading)
        area = shapely.area(shapely.intersection(squares[obstacle], polygon(pose))).sum()
        hit = hits_pixels(pose, SIZE, obstacle, grid)
        assert hit == (area > 0)
        hits += hit
    assert 200 < hits < 800


def test_leaving_the_tile_is_noticed_by_any_corner():
    rng = np.random.default_rng(3)
    grid = Grid(16)
    tile = shapely.box(0, 0, 16, 16)
    for px, py, heading in rng.uniform((0, 0, -4), (16, 16, 4), (1000, 3)):
        pose = Pose(px, py, heading)
        assert leaves_tile(pose, SIZE, grid) == (not tile.covers(polygon(pose)))


def test_touching_is_not_overlapping_and_absent_vehicles_are_never_hit():
    here = Pose(8.0, 8.0, 0.0)
    behind = np.array([4.0, np.nan]), np.array([8.0, np.nan]), np.array([0.0, np.nan])
    assert not hits_vehicles(here, SIZE, *behind)
    wall = np.zeros((16, 16), bool)
    wall[:, 10:] = True
    assert not hits_pixels(here, SIZE, wall, Grid(16))
    assert hits_pixels(here._replace(x=8.0 + 1e-6), SIZE, wall, Grid(16))
