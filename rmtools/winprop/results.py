"""Reading WinProp's results from text files: area results and trajectories.

docs/winprop.md says what of the format was seen in true files. Binary results (.fpl, .fpp) are
not documented and not read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import InputError, from_os_error
from rmtools.winprop.area import SPARE, check_size, read_area
from rmtools.winprop.header import (
    MAX_HEADER_BYTES,
    REMEDY,
    Header,
    Kind,
    Quantity,
    ResultGrid,
    Sign,
    split_header,
)
from rmtools.winprop.track import TRACK_COLUMNS, read_track

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.types import FloatArray

MAX_TRACK_BYTES = 256 * 2**20
_HEAD_BYTES = 16 * 1024


@dataclass(frozen=True)
class Result:
    """One result file.

    Attributes
    ----------
    header
        What stands in front of the values.
    kind
        ``"area"`` or ``"trajectory"``.
    quantity
        Path loss or power; None when neither the file's name nor its title tells.
    unit
        dB, dBm or W.
    values
        As in the file, NaN where not computed. Area: float32, shape (time steps, n, m), row 0
        north. Trajectory: float64, shape (points,).
    heights_m
        Height of the receivers for each time step: z of the rows, or else the header's HEIGHT.
        The two differ in true files, and z is what was computed. Empty when neither is there.
    track
        Points of a trajectory, shape (points, 10), see
        :data:`rmtools.winprop.track.TRACK_COLUMNS`; None for an area.
    """

    header: Header
    kind: Kind
    quantity: Quantity | None
    unit: str
    values: FloatArray
    heights_m: tuple[float, ...]
    track: FloatArray | None = None

    @property
    def grid(self) -> ResultGrid:
        """Pixels of the area."""
        return self.header.grid

    @property
    def time_steps_s(self) -> tuple[float, ...]:
        """Times of the time steps."""
        return self.header.time_steps_s

    def pathloss_db(self) -> tuple[FloatArray, Sign]:
        """Path loss in dB, positive, and which sign the file has.

        Power is taken from the transmitted power. "Path Loss" files have been seen with negative
        values, which are gains; the values themselves decide.

        Raises
        ------
        InputError
            It is not known what the values are, they have both signs, or the power is missing.
        """
        known = self.values[~np.isnan(self.values)]
        if self.quantity == "power":
            if self.header.power_dbm is None:
                raise InputError("received power, but the header has no POWER.", remedy=REMEDY)
            return self.header.power_dbm - self._dbm(), "gain"
        if self.quantity is None:
            raise InputError(
                "neither the name of the file nor its title says what the values are.",
                remedy='Let the name end in "Path Loss.txt" or "Power.txt", as WinProp does.',
            )
        if (known >= 0).all():
            return self.values, "loss"
        if (known <= 0).all():
            return -self.values, "gain"
        raise InputError(
            f"path losses of both signs, from {known.min():g} to {known.max():g} dB.",
            remedy="This is no path loss; compare the file with its header and its name.",
        )

    def _dbm(self) -> FloatArray:
        """Received power in dBm."""
        if self.unit == "dBm":
            return self.values
        if (self.values <= 0).any():
            raise InputError("a received power of 0 W or less.", remedy=REMEDY)
        return 10.0 * np.log10(self.values) + (30.0 if self.unit == "W" else 0.0)


def read_result(path: Path, quantity: Quantity | None = None) -> Result:
    """Read one text result of WinProp.

    Rows may have 3 or 4 columns and any order; every pixel must be there once for each time step.

    Parameters
    ----------
    path
        Such as ``"Site  1 Antenna 1 Path Loss.txt"``.
    quantity
        What the values of an area result are; by default the file's name says it.

    Raises
    ------
    InputError
        Not such a file, damaged, cut off, or of another size than its header declares.
    """
    try:
        with path.open("rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            head = handle.read(_HEAD_BYTES)
            if b"BEGIN_DATA" not in head and b"\nTrajectory\t" not in head:
                head += handle.read(MAX_HEADER_BYTES - _HEAD_BYTES)
            header, kind, start = split_header(head, path)
            if kind == "area":
                check_size(header.grid, header.steps, size - start)
            elif size > MAX_TRACK_BYTES:
                raise InputError(f"{size:,} bytes are more than a trajectory can need.")
            handle.seek(0)
            text = np.empty(size + SPARE, np.uint8)
            text[size:] = 0
            size = handle.readinto(text.data[:size])
    except InputError as error:
        raise InputError(error.what, where=path, remedy=error.remedy or REMEDY) from error
    except OSError as error:
        raise from_os_error(error) from error
    if kind == "trajectory":
        return _along_track(text[start:size].tobytes(), header, path)
    named = path.stem.lower()
    if quantity is None:
        quantity = "pathloss" if "path loss" in named else "power" if "power" in named else None
    values, heights = read_area(text, start, size, header.grid, header.steps, path)
    unit = "dBm" if quantity == "power" else "dB"
    return Result(header, "area", quantity, unit, values, heights or header.heights_m)


def _along_track(body: bytes, header: Header, where: Path) -> Result:
    """A result along a trajectory."""
    quantity, unit, table = read_track(body, where)
    heights = tuple(np.unique(table[:, TRACK_COLUMNS.index("z")]).tolist())
    return Result(header, "trajectory", quantity, unit, table[:, -1], heights, table[:, :-1])
