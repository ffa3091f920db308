"""Where vehicles may drive, read from rasters alone so that it works for any kind of scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import distance_transform_edt, maximum_filter, maximum_filter1d

from rmtools.traffic.streets import street_direction

if TYPE_CHECKING:
    from rmtools.grid import Grid
    from rmtools.scene import Scene
    from rmtools.traffic.config import TrafficConfig
    from rmtools.types import BoolArray, FloatArray, IntArray

MIN_ANISOTROPY = 0.2
"""Below it (squares, the middle of junctions) no street direction stands out."""


FAR = -32768
"""The row and column of the nearest lane pixel where there is none; no vehicle starts there."""


@dataclass(frozen=True)
class DrivableField:
    """What a vehicle knows about the static scene; the same for all its trajectories.

    Attributes
    ----------
    grid
        Frame of all arrays.
    vehicle_width_m, lookahead_m
        What the field was made for.
    area
        Pixels where the centre of a vehicle may be, shape (n, n).
    lane
        The part of `area` that vehicles steer for, shape (n, n).
    obstacle
        Pixels that no part of a vehicle may overlap, shape (n, n).
    street
        Direction of the local street in radians, either of its two senses, shape (n, n).
    anisotropy
        How clearly that direction stands out, 0 (not at all) to 1 (a line), shape (n, n).
    nearest_lane
        Row and column of the lane pixel nearest to every pixel of the tile and of a margin of
        `pad` pixels around it, shape (2, n + 2 pad, n + 2 pad); FAR in a scene without lanes.
    pad
        Pixels that a probe may reach beyond the tile.
    """

    grid: Grid
    vehicle_width_m: float
    lookahead_m: float
    area: BoolArray
    lane: BoolArray
    obstacle: BoolArray
    street: FloatArray
    anisotropy: FloatArray
    nearest_lane: IntArray
    pad: int


def drivable_field_of(scene: Scene, config: TrafficConfig) -> DrivableField:
    """Prepare a scene for the vehicle engine, see :func:`drivable_field`."""
    from rmtools.city.rasters import road_mask, touched_mask

    return drivable_field(road_mask(scene), touched_mask(scene), scene.grid, config)


def drivable_field(
    road: BoolArray, obstacle: BoolArray, grid: Grid, config: TrafficConfig
) -> DrivableField:
    """Prepare the static scene for the vehicle engine.

    Parameters
    ----------
    road
        Drivable surface, shape (n, n).
    obstacle
        Every pixel that a building touches, shape (n, n).
    grid
        Frame of both.
    config
        Vehicle width (clearance) and look-ahead (window of the street direction).

    Raises
    ------
    ValueError
        A mask is not a boolean array of the grid's shape.
    """
    for name, mask in (("road", road), ("obstacle", obstacle)):
        if mask.shape != grid.shape or mask.dtype != np.bool_:
            msg = (
                f"the {name} mask must be a boolean array of shape {grid.shape}, "
                f"not {mask.dtype} of shape {mask.shape}"
            )
            raise ValueError(msg)
    area = drivable_area(road, obstacle, grid, config.vehicle_width_m / 2)
    lane = lane_area(area, grid, config.vehicle_width_m)
    street, anisotropy = street_direction(area, grid, config.lookahead_m)
    pad = int(np.ceil(config.lookahead_m / grid.resolution_m)) + 1
    shape = grid.n + 2 * pad, grid.n + 2 * pad
    nearest = np.full((2, *shape), FAR)
    if lane.any():
        nearest = distance_transform_edt(
            ~np.pad(lane, pad), return_distances=False, return_indices=True
        )
        nearest -= pad
    return DrivableField(
        grid,
        config.vehicle_width_m,
        config.lookahead_m,
        area,
        lane,
        obstacle,
        street,
        anisotropy,
        nearest,
        pad,
    )


def drivable_area(
    road: BoolArray, obstacle: BoolArray, grid: Grid, clearance_m: float
) -> BoolArray:
    """Road pixels whose centre keeps a distance from obstacles and from the edge of the tile.

    Parameters
    ----------
    road, obstacle
        Masks, shape (n, n).
    grid
        Frame of both.
    clearance_m
        Least distance to the squares of obstacle pixels and to the edge, half a vehicle's width.

    Returns
    -------
    ndarray of bool, shape (n, n)
    """
    walled = np.pad(obstacle, 1, constant_values=True)
    return road & ~pixels_near(walled, grid.resolution_m, clearance_m)[1:-1, 1:-1]


def lane_area(area: BoolArray, grid: Grid, width_m: float) -> BoolArray:
    """Drivable pixels on which the whole width of a vehicle stays on drivable pixels.

    Where a street is too narrow for that, the pixels along its middle.

    Parameters
    ----------
    area
        Pixels where the centre of a vehicle may be, shape (n, n).
    grid
        Its frame.
    width_m
        Width of a vehicle.

    Returns
    -------
    ndarray of bool, shape (n, n)
    """
    r = grid.resolution_m
    depth = distance_transform_edt(np.pad(area, 1))[1:-1, 1:-1] * r
    near = maximum_filter(depth, size=2 * int(np.ceil(width_m / r)) + 1, mode="constant")
    return area & (depth >= np.minimum(near, (width_m + r) / 2))


def pixels_near(mask: BoolArray, resolution_m: float, distance_m: float) -> BoolArray:
    """Pixels whose centre is closer than a distance to the square of any pixel of a mask.

    Parameters
    ----------
    mask
        Shape (n, m).
    resolution_m
        Side of a pixel in metres.
    distance_m
        The distance, above 0.

    Returns
    -------
    ndarray of bool, shape (n, m)
    """
    reach = min(int(np.ceil(distance_m / resolution_m + 0.5)), max(mask.shape) - 1)
    gap = np.maximum(np.arange(reach + 1) - 0.5, 0.0)  # to a square so many rows or columns away
    near = np.sqrt(gap[:, None] ** 2 + gap**2) * resolution_m < distance_m
    found = np.zeros_like(mask)
    for cols, rows in enumerate(near.sum(axis=1)[: mask.shape[1]]):
        if rows:
            tall = maximum_filter1d(mask, 2 * rows - 1, axis=0, mode="constant")
            found[:, cols:] |= tall[:, : mask.shape[1] - cols]
            found[:, : mask.shape[1] - cols] |= tall[:, cols:]
    return found


def square_distance(mask: BoolArray) -> FloatArray:
    """Exact distance to the nearest pixel square of a mask, in pixels.

    The points are the corners (even indices), edge centres and centres (odd indices) of all
    pixels. The point of a square that is nearest to any of them is one of them, too, so that a
    distance transform on this lattice gives the distance to whole squares, not to their centres.

    Parameters
    ----------
    mask
        Shape (n, m).

    Returns
    -------
    ndarray of float, shape (2 n + 1, 2 m + 1)
        0 on the squares; infinite when the mask is empty.
    """
    rows, cols = mask.shape
    lattice = np.zeros((2 * rows + 1, 2 * cols + 1), bool)
    for i in range(3):
        for j in range(3):
            lattice[i : i + 2 * rows : 2, j : j + 2 * cols : 2] |= mask
    if not lattice.any():
        return np.full(lattice.shape, np.inf)
    distance: FloatArray = distance_transform_edt(~lattice, sampling=0.5)
    return distance
