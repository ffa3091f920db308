"""The table of a result along a trajectory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import InputError
from rmtools.winprop.header import REMEDY, Quantity

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.types import FloatArray

TRACK_COLUMNS = (
    "trajectory",
    "x",
    "y",
    "z",
    "yaw_deg",
    "pitch_deg",
    "roll_deg",
    "time_s",
    "velocity_mps",
    "distance_m",
)
"""Columns of the table; the value follows them."""

UNITS = ("dB", "dBm", "W", "mW")


def read_track(body: bytes, where: Path) -> tuple[Quantity, str, FloatArray]:
    """Read the title line and the rows of a trajectory.

    Parameters
    ----------
    body
        The file from the title line on.
    where
        For messages.

    Returns
    -------
    quantity, unit, table
        The table is float64, shape (points, 11): :data:`TRACK_COLUMNS` and the value, NaN where
        not computed.

    Raises
    ------
    InputError
        A row has not 11 numbers, the value is of an unknown kind, or the file was cut off.
    """
    title, *lines = body.decode("cp1252", "replace").split("\n")
    name = title.split("\t")[-1].strip()
    unit = name.partition("[")[2].partition("]")[0]
    words = name.lower()
    if unit not in UNITS or not words.startswith(("path loss", "power")):
        raise InputError(
            f"the last column is {name[:60]!r}; a path loss or a power was expected.",
            where=where,
            remedy=REMEDY,
        )
    columns = len(TRACK_COLUMNS) + 1
    if lines and lines.pop().strip():
        raise InputError("cut off: its last line does not end.", where=where, remedy=REMEDY)
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = [np.nan if word == "N.C." else float(word) for word in line.split()]
        except ValueError:
            row = []
        if len(row) != columns or not np.isfinite(row[:-1]).all() or np.isinf(row[-1]):
            raise InputError(
                f"row {number} ({line[:60].strip()!r}): {columns} numbers were expected.",
                where=where,
                remedy=REMEDY,
            )
        rows.append(row)
    table = np.array(rows, float).reshape(-1, columns)
    return "power" if words.startswith("power") else "pathloss", unit, table
