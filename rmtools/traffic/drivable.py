"""Where vehicles may drive, read from rasters alone so that it works for any kind of scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, maximum_filter

if TYPE_CHECKING:
    from rmtools.grid import Grid
    from rmtools.scene import Scene
    from rmtools.traffic.config import TrafficConfig
    from rmtools.types import BoolArray, FloatArray, IntArray

MIN_ANISOTROPY = 0.2
"""Below it (squares, the middle of junctions) no street direction stands out."""


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
    """

    grid: Grid
    vehicle_width_m: float
    lookahead_m: float
    area: BoolArray
    lane: BoolArray
    obstacle: BoolArray
    street: FloatArray
    anisotropy: FloatArray
    _nearest: IntArray  # (2, n + 2 pad, n + 2 pad): row, col of the nearest lane pixel
    _pad: int

    def holds(self, x: float, y: float) -> bool:
        """Whether a point of the plane lies in a drivable pixel."""
        r, n = self.grid.resolution_m, self.grid.n
        row, col = n - 1 - int(y // r), int(x // r)
        return 0 <= row < n and 0 <= col < n and bool(self.area[row, col])

    def nearest(self, x: float, y: float) -> tuple[float, float] | None:
        """Road seen by a probe at a point, at most the look-ahead outside the tile.

        Returns
        -------
        tuple of float or None
            The point itself if it is on a lane pixel, else the centre of the lane pixel nearest
            to the pixel that holds the point; None in a scene without drivable pixels.
        """
        if not self._nearest.size:
            return None
        r, n = self.grid.resolution_m, self.grid.n
        row, col = n - 1 - int(y // r), int(x // r)
        near_row, near_col = self._nearest[:, row + self._pad, col + self._pad]
        if near_row == row and near_col == col:
            return x, y
        return (float(near_col) + 0.5) * r, (n - float(near_row) - 0.5) * r


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
    nearest = np.zeros((2, 0, 0), np.intp)
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
    centres = square_distance(walled)[1::2, 1::2][1:-1, 1:-1] * grid.resolution_m
    return road & (centres >= clearance_m)


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


def street_direction(area: BoolArray, grid: Grid, window_m: float) -> tuple[FloatArray, FloatArray]:
    """Principal direction of the drivable pixels around every pixel.

    Parameters
    ----------
    area
        Drivable pixels, shape (n, n).
    grid
        Its frame.
    window_m
        Standard deviation of the Gaussian window; being round, it prefers no direction.

    Returns
    -------
    direction : ndarray, shape (n, n)
        Radians in (-pi/2, pi/2], counter-clockwise from east.
    anisotropy : ndarray, shape (n, n)
        Difference over sum of the two principal variances, 0 to 1.
    """
    x, y = np.meshgrid(grid.x_centres(), grid.y_centres())
    sigma = window_m / grid.resolution_m

    def smooth(values: FloatArray) -> FloatArray:
        out: FloatArray = gaussian_filter(values * area, sigma, mode="constant")
        return out

    weight = smooth(np.ones(grid.shape))
    weight = np.where(area, weight, 1.0)
    mean_x, mean_y = smooth(x) / weight, smooth(y) / weight
    var_x = smooth(x * x) / weight - mean_x**2
    var_y = smooth(y * y) / weight - mean_y**2
    covariance = smooth(x * y) / weight - mean_x * mean_y
    total = np.where(area, var_x + var_y, 1.0)
    anisotropy = np.hypot(var_x - var_y, 2 * covariance) / np.maximum(total, 1e-9)
    direction = 0.5 * np.arctan2(2 * covariance, var_x - var_y)
    return np.where(area, direction, 0.0), np.where(area, anisotropy, 0.0)
