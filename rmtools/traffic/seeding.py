"""Where vehicles start: random places on the road, all part of one clockwise flow."""

from __future__ import annotations

from math import atan2, cos, sin
from typing import TYPE_CHECKING

import numpy as np

from rmtools.traffic.drivable import MIN_ANISOTROPY
from rmtools.traffic.overlap import Pose, hits_pixels, hits_vehicles, leaves_tile

if TYPE_CHECKING:
    from rmtools.traffic.config import TrafficConfig
    from rmtools.traffic.drivable import DrivableField


def clockwise_heading(x: float, y: float, street: float, centre: float) -> float:
    """Of the two directions of a street the one that turns clockwise about the scene centre.

    With r the vector from the centre to the vehicle and d its direction, r x d <= 0. This is the
    same for all of a straight street, which so becomes one-way.

    Parameters
    ----------
    x, y
        Centre of the vehicle in metres.
    street
        Direction of the street in radians, either sense.
    centre
        Both coordinates of the scene centre in metres.
    """
    turn = (x - centre) * sin(street) - (y - centre) * cos(street)
    return street if turn <= 0 else atan2(-sin(street), -cos(street))


def seed(field: DrivableField, config: TrafficConfig, rng: np.random.Generator) -> list[Pose]:
    """Random start poses on the road.

    Drivable pixels are visited in random order, those without a street direction (squares, the
    middle of junctions) last; a pixel is taken when a vehicle on its centre is free of obstacles,
    inside the tile, far enough from all that were placed before, and overlaps none of them.

    Returns
    -------
    list of Pose
        At most ``config.vehicles``; fewer where the road has no room for more.
    """
    grid, size = field.grid, config.size
    rows, cols = np.nonzero(field.area)
    order = rng.permutation(rows.size)
    undirected = field.anisotropy[rows, cols] < MIN_ANISOTROPY
    order = order[np.argsort(undirected[order], kind="stable")]
    rows, cols, undirected = rows[order], cols[order], undirected[order]
    x, y = grid.centre(rows, cols)
    centre = grid.size_m / 2
    taken = np.zeros(rows.size, bool)
    poses: list[Pose] = []
    for i in range(rows.size):
        if len(poses) == config.vehicles:
            break
        if taken[i]:
            continue
        px, py = float(x[i]), float(y[i])
        street = float(field.street[rows[i], cols[i]])
        if undirected[i]:
            street = atan2(centre - px, py - centre)  # around the scene centre
        pose = Pose(px, py, clockwise_heading(px, py, street, centre))
        others = np.reshape(poses, (-1, 3)).T
        if (
            leaves_tile(pose, size, grid)
            or hits_pixels(pose, size, field.obstacle, grid)
            or hits_vehicles(pose, size, *others)
        ):
            continue
        poses.append(pose)
        taken |= (x - px) ** 2 + (y - py) ** 2 < config.min_spacing_m**2
    return poses
