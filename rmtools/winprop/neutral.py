"""Results of other solvers than WinProp: one radio map as npz or CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import InputError
from rmtools.files import read_bytes
from rmtools.layouts.npz import read_npz
from rmtools.winprop.area import MAX_ROW_BYTES, SPARE, check_size, read_area
from rmtools.winprop.header import ResultGrid

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.types import FloatArray
    from rmtools.winprop.manifest import JobGrid

NAME = "pathloss_db"
HEADLINE = "x,y,pathloss_db"


def read_neutral(path: Path, grid: JobGrid) -> FloatArray:
    """Read a radio map that any solver wrote.

    Parameters
    ----------
    path
        An npz archive with an array ``pathloss_db``, row 0 in the north, or a CSV file with a
        headline ``x,y,pathloss_db`` and a line for every pixel in any order.
    grid
        The pixels that were asked for.

    Returns
    -------
    ndarray of float32, shape (n, n)
        Path loss in dB, NaN where not computed.

    Raises
    ------
    InputError
        Damaged, of another shape, infinite or negative.
    """
    values = _npz(path, grid.n) if path.suffix.lower() == ".npz" else _csv(path, grid)
    if np.isinf(values).any() or (values < 0).any():
        raise InputError(
            "infinite or negative values; a path loss is a positive number of dB.",
            where=path,
            remedy="Write NaN where nothing was computed, and losses, not gains.",
        )
    return values


def _npz(path: Path, n: int) -> FloatArray:
    arrays = read_npz(path, 16 * n * n)
    found = arrays.get(NAME)
    if found is None or found.dtype.kind not in "fiu" or found.shape != (n, n):
        what = "none" if found is None else f"{found.shape} of {found.dtype}"
        raise InputError(
            f"an array {NAME} of shape ({n}, {n}) was expected, there is {what}.",
            where=path,
            remedy="Write one array of numbers for every transmitter, row 0 in the north.",
        )
    return found.astype(np.float32)


def _csv(path: Path, grid: JobGrid) -> FloatArray:
    data = read_bytes(path, grid.n**2 * MAX_ROW_BYTES + 2048)
    headline, _, rows = data.partition(b"\n")
    words = headline.decode("utf-8-sig", "replace").lower().replace(" ", "").strip()
    if words != HEADLINE:
        raise InputError(
            f"the first line is {words[:60]!r}, not {HEADLINE!r}.",
            where=path,
            remedy="Write a headline and x, y and path loss of every pixel.",
        )
    area = ResultGrid(*grid.lower_left, grid.resolution_m, grid.n, grid.n)
    try:
        check_size(area, 1, len(rows))
    except InputError as error:
        raise InputError(error.what, where=path, remedy=error.remedy) from error
    text = np.frombuffer(data + bytes(SPARE), np.uint8)
    values, _ = read_area(text, len(data) - len(rows), len(data), area, 1, path)
    return values[0]
