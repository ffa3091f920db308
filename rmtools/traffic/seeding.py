"""Where vehicles start: random places on the road, all part of one clockwise flow."""

from __future__ import annotations

from math import atan2, cos, sin
from typing import TYPE_CHECKING

import numpy as np

from rmtools.kernel import kernel
from rmtools.traffic.drivable import MIN_ANISOTROPY
from rmtools.traffic.overlap import Pose, hits_pixels, hits_vehicle, leaves_tile, pose_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmtools.traffic.config import TrafficConfig
    from rmtools.traffic.drivable import DrivableField
    from rmtools.types import BoolArray, FloatArray, IntArray


def seed(
    field: DrivableField, config: TrafficConfig, rngs: Sequence[np.random.Generator]
) -> FloatArray:
    """Random start poses on the road.

    Drivable pixels are visited in random order, those without a street direction (squares, the
    middle of junctions) last; a pixel is taken when a vehicle on its centre is free of obstacles,
    inside the tile, far enough from all that were placed before, and overlaps none of them.

    Parameters
    ----------
    field
        The static scene.
    config
        Number, size and spacing of the vehicles.
    rngs
        One generator for every trajectory; each is asked for one permutation.

    Returns
    -------
    ndarray, shape (3, T, V)
        x and y in metres and heading in radians of ``config.vehicles`` vehicles of every
        trajectory; NaN in the last ones where the road has no room for so many.
    """
    rows, cols = np.nonzero(field.area)
    undirected = field.anisotropy[rows, cols] < MIN_ANISOTROPY
    places = np.stack([*field.grid.centre(rows, cols), field.street[rows, cols]])
    poses = np.full((3, len(rngs), config.vehicles), np.nan)
    for t, rng in enumerate(rngs):
        order = rng.permutation(rows.size)
        last = undirected[order]
        place(
            np.concatenate([order[~last], order[last]]),
            places,
            undirected,
            (config.vehicle_length_m, config.vehicle_width_m, config.min_spacing_m),
            field.obstacle,
            field.grid.resolution_m,
            poses[:, t],
        )
    return poses


@kernel
def place(
    order: IntArray,
    places: FloatArray,
    undirected: BoolArray,
    limits: tuple[float, float, float],
    obstacle: BoolArray,
    r: float,
    poses: FloatArray,
) -> None:
    """Place vehicles where there is room.

    Parameters
    ----------
    order
        The pixels in the order of their visit.
    places, undirected
        x, y and direction of the street at all pixels, shape (3, P), and whether there is no such
        direction, shape (P,).
    limits
        Length and width of a vehicle and least distance of two, in metres.
    obstacle, r
        Mask of obstacles, shape (n, n), and the side of a pixel in metres.
    poses
        Gets x, y and heading of the vehicles, shape (3, V).
    """
    length, width, spacing = limits
    side = obstacle.shape[0] * r
    placed = 0
    for i in order:
        if placed == poses.shape[1]:
            return
        x, y, street = places[0, i], places[1, i], places[2, i]
        if crowded(x, y, spacing, poses[:, :placed]):
            continue
        if undirected[i]:
            street = atan2(side / 2 - x, y - side / 2)  # around the scene centre
        pose = pose_at(x, y, clockwise_heading(x, y, street, side / 2))
        if (
            leaves_tile(pose, length, width, side)
            or hits_pixels(pose, length, width, obstacle, r)
            or hits_any(pose, length, width, poses[:, :placed])
        ):
            continue
        poses[0, placed], poses[1, placed], poses[2, placed] = x, y, pose.heading
        placed += 1


@kernel
def crowded(x: float, y: float, distance: float, poses: FloatArray) -> bool:
    """Whether any vehicle, poses of shape (3, V), is closer to a point than a distance."""
    for v in range(poses.shape[1]):
        dx, dy = x - poses[0, v], y - poses[1, v]
        if dx * dx + dy * dy < distance * distance:
            return True
    return False


@kernel
def hits_any(pose: Pose, length: float, width: float, poses: FloatArray) -> bool:
    """Whether a vehicle overlaps any of the others, poses of shape (3, V)."""
    for v in range(poses.shape[1]):
        dx, dy = poses[0, v] - pose.x, poses[1, v] - pose.y
        if dx * dx + dy * dy < length * length + width * width:
            other = pose_at(poses[0, v], poses[1, v], poses[2, v])
            if hits_vehicle(pose, other, length, width):
                return True
    return False


@kernel
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
