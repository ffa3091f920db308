"""Bringing a result onto the grid of its job, when it came back on another one.

WinProp may snap or enlarge the area it was asked for. Nothing is done about that unless the user
says so: cropping keeps every value, resampling takes the nearest one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import InputError

if TYPE_CHECKING:
    from rmtools.radio.external import Fit
    from rmtools.types import FloatArray, IntArray
    from rmtools.winprop.header import ResultGrid
    from rmtools.winprop.manifest import JobGrid

SAME_PIXELS = 1e-3
"""Grids that differ by less of a pixel are the same."""


def on_grid(
    values: FloatArray, found: ResultGrid, wanted: JobGrid, fit: Fit
) -> tuple[FloatArray, Fit]:
    """Values on the grid of the job.

    Parameters
    ----------
    values
        Shape (rows, columns) of `found`, row 0 north.
    found, wanted
        Grid of the result, grid of the job.
    fit
        ``"exact"``: the two must be the same. ``"crop"``: pixels around the wanted ones are cut
        off. ``"resample"``: each wanted pixel gets the value of the found pixel in which its
        centre lies.

    Returns
    -------
    values, done
        Shape (n, n), row 0 north, and what was done.

    Raises
    ------
    InputError
        The grids differ more than `fit` allows.
    """
    n, size = wanted.n, wanted.resolution_m
    west, south = wanted.lower_left
    same_size = abs(found.resolution_m - size) * n <= SAME_PIXELS * size
    left, below = (west - found.west) / size, (south - found.south) / size
    whole = all(abs(shift - round(shift)) <= SAME_PIXELS for shift in (left, below))
    if same_size and whole:
        col, row = round(left), round(below)
        if (col, row, found.columns, found.rows) == (0, 0, n, n):
            return values, "exact"
        inside = min(col, row) >= 0 and col + n <= found.columns and row + n <= found.rows
        if inside and fit != "exact":
            top = found.rows - row - n
            return values[top : top + n, col : col + n], "crop"
        if inside:
            raise _other(found, wanted, "It holds the wanted area: --crop cuts it out.")
        raise _other(found, wanted, "It does not cover the wanted area: run the job again.")
    if fit != "resample":
        raise _other(found, wanted, "--resample takes the nearest values.")
    cols = _nearest(west, found.west, found, wanted, found.columns)
    rows = found.rows - 1 - _nearest(south, found.south, found, wanted, found.rows)[::-1]
    return values[np.ix_(rows, cols)], "resample"


def _nearest(low: float, found_low: float, found: ResultGrid, wanted: JobGrid, n: int) -> IntArray:
    """Index of the found pixel around the centre of each wanted one, along one axis."""
    centres = low + (np.arange(wanted.n) + 0.5) * wanted.resolution_m
    places = (centres - found_low) / found.resolution_m
    # a centre on the common edge of two pixels belongs to the upper one, up to rounding
    index = np.floor(places + SAME_PIXELS).astype(np.intp)
    if index[0] < 0 or index[-1] >= n:
        raise _other(found, wanted, "It does not cover the wanted area: run the job again.")
    return index


def _other(found: ResultGrid, wanted: JobGrid, remedy: str) -> InputError:
    x, y = wanted.lower_left
    return InputError(
        f"another grid: {found.columns} x {found.rows} pixels of {found.resolution_m:g} m from "
        f"({found.west:g}, {found.south:g}), not {wanted.n} x {wanted.n} of "
        f"{wanted.resolution_m:g} m from ({x:g}, {y:g}).",
        remedy=remedy,
    )
