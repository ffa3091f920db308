"""The values of a whole area, from rows of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import InputError
from rmtools.winprop.header import REMEDY, ResultGrid
from rmtools.winprop.rows import OK, PROBLEMS, no_texts, read_rows

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.types import ByteArray, FloatArray

MIN_ROW_BYTES, MAX_ROW_BYTES = 6, 200
"""A row such as ``1 1 1`` is the shortest; the longest that anybody prints has far fewer bytes."""

SPARE = 64
"""Bytes behind the end that the compiled reader may look at."""


def check_size(grid: ResultGrid, steps: int, size: int) -> None:
    """Refuse rows that cannot be those of a grid, before memory is asked for.

    Parameters
    ----------
    grid, steps
        What is expected.
    size
        Bytes of the rows.

    Raises
    ------
    InputError
        Too few bytes or too many.
    """
    rows = grid.rows * grid.columns * steps
    what = f"{rows:,} values of {grid.columns} x {grid.rows} pixels"
    if size < rows * MIN_ROW_BYTES - 2:
        raise InputError(f"cut off: {size:,} bytes cannot hold the {what}.", remedy=REMEDY)
    if size > rows * MAX_ROW_BYTES + 1024:
        raise InputError(f"{size:,} bytes are more than the {what} can need.", remedy=REMEDY)


def read_area(
    text: ByteArray, start: int, size: int, grid: ResultGrid, steps: int, where: Path
) -> tuple[FloatArray, tuple[float, ...]]:
    """Read all rows of an area.

    Parameters
    ----------
    text
        The file, followed by :data:`SPARE` bytes of anything.
    start, size
        Where the rows begin, and the size of the file. ``END_DATA`` may stand at its end.
    grid, steps
        Pixels and time steps; every pixel must be there once for each step.
    where
        For messages.

    Returns
    -------
    values, heights_m
        float32, shape (steps, n, m), row 0 north; z of the steps, empty when rows have none.

    Raises
    ------
    InputError
        Cut off, a row that cannot be read or lies elsewhere, or too many or too few.
    """
    tail = text[max(size - 256, start) : size].tobytes()
    last = tail.rstrip(b"\r\n\t \x00\x1a")
    stop = size - len(tail) + len(last)
    whole = last.endswith(b"END_DATA")
    if whole:
        stop -= len(b"END_DATA")
    values = np.full((grid.columns, grid.rows, steps), -np.inf, np.float32)
    heights = np.full(steps, np.nan)
    problem, place, rows = read_rows(
        text,
        (start, stop),
        (grid.west, grid.south, grid.resolution_m),
        _columns(text, start),
        values.reshape(-1),
        np.zeros(grid.columns * grid.rows if steps > 1 else 0, np.uint32),
        heights,
        (no_texts(grid.columns), no_texts(grid.rows), no_texts(1)),
    )
    wanted = steps * grid.rows * grid.columns
    in_last_line = b"\n" not in text[place:stop].tobytes()
    if not whole and (rows != wanted or tail == last) and in_last_line:
        raise InputError(f"cut off after {rows:,} of {wanted:,} rows.", where=where, remedy=REMEDY)
    if problem != OK:
        raise _bad_row(text, place, PROBLEMS[problem], where)
    if rows != wanted:
        raise InputError(
            f"{rows:,} rows for {grid.columns} x {grid.rows} pixels and {steps} time steps.",
            where=where,
            remedy=REMEDY,
        )
    values = values.transpose(2, 1, 0)[:, ::-1]
    return values, () if np.isnan(heights).any() else tuple(heights.tolist())


def _columns(text: ByteArray, start: int) -> int:
    """Numbers in the first row."""
    line = text[start : start + MAX_ROW_BYTES].tobytes().lstrip().splitlines()
    return 4 if line and len(line[0].replace(b",", b" ").split()) >= 4 else 3


def _bad_row(text: ByteArray, place: int, what: str, where: Path) -> InputError:
    """An error that names line and text."""
    before = text[:place].tobytes()
    begin = before.rfind(b"\n") + 1
    line = text[begin : begin + 60].tobytes().splitlines()
    shown = line[0].decode("cp1252", "replace") if line else ""
    number = before.count(b"\n") + 1
    return InputError(f"line {number} ({shown!r}): {what}.", where=where, remedy=REMEDY)
