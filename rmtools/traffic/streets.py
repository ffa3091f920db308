"""Which way the street runs at a pixel: the principal axis of the drivable pixels around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.kernel import kernel

if TYPE_CHECKING:
    from rmtools.grid import Grid
    from rmtools.types import BoolArray, FloatArray, IntArray


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
    sigma = window_m / grid.resolution_m
    taps = np.arange(int(4 * sigma + 0.5) + 1)  # the window ends at four standard deviations
    weights = np.exp(-0.5 / sigma**2 * taps**2)
    weights /= weights[0] + 2 * weights[1:].sum()
    rows, cols = np.nonzero(area)
    weight, x, y, xx, yy, xy = window_sums(
        area, grid.x_centres(), grid.y_centres(), weights, rows, cols
    ).T
    x, y = x / weight, y / weight
    var_x, var_y, covariance = xx / weight - x**2, yy / weight - y**2, xy / weight - x * y
    direction, anisotropy = np.zeros((2, *grid.shape))
    direction[rows, cols] = 0.5 * np.arctan2(2 * covariance, var_x - var_y)
    anisotropy[rows, cols] = np.hypot(var_x - var_y, 2 * covariance) / np.maximum(
        var_x + var_y, 1e-9
    )
    return direction, anisotropy


@kernel
def window_sums(
    area: BoolArray,
    x: FloatArray,
    y: FloatArray,
    weights: FloatArray,
    rows: IntArray,
    cols: IntArray,
) -> FloatArray:
    """Sums over the pixels of an area in a separable window, where they are wanted.

    Parameters
    ----------
    area
        The pixels that count, shape (n, n).
    x, y
        Of the columns and the rows in metres, shape (n,) each.
    weights
        Of the window, from its middle outwards along one axis, shape (taps,).
    rows, cols
        Pixels on which to centre the window, shape (P,) each.

    Returns
    -------
    ndarray, shape (P, 6)
        Weighted sums of 1, x, y, x x, y y and x y.
    """
    n, reach = area.shape[0], weights.size - 1
    # A margin as wide as the window spares us to look for the edge of the tile.
    values = np.zeros((n + 2 * reach, 6 * n))
    down = np.zeros((n, 6 * (n + 2 * reach)))
    for row in range(n):
        for col in range(n):
            if area[row, col]:
                u, v = x[col], y[row]
                terms = 1.0, u, v, u * u, v * v, u * v
                for k in range(6):
                    values[row + reach, 6 * col + k] = terms[k]
    for row in range(n):
        line = down[row, 6 * reach : 6 * (reach + n)]
        add(line, weights[0] / 2, values[row + reach], values[row + reach])
        for far in range(reach, 0, -1):
            add(line, weights[far], values[row + reach - far], values[row + reach + far])
    sums = np.zeros((rows.size, 6))
    for p in range(rows.size):
        line = down[rows[p]]
        middle = 6 * (cols[p] + reach)
        for k in range(6):
            total = weights[0] * line[middle + k]
            for far in range(reach, 0, -1):
                total += weights[far] * (line[middle + k - 6 * far] + line[middle + k + 6 * far])
            sums[p, k] = total
    return sums


@kernel
def add(total: FloatArray, weight: float, one: FloatArray, other: FloatArray) -> None:
    """Add the weighted sum of two lines of numbers to a third."""
    for i in range(total.size):
        total[i] += weight * (one[i] + other[i])
