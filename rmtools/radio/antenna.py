"""Antenna patterns: gain of a transmitter by direction.

A pattern is two cuts, horizontal and vertical, as antenna makers publish them in MSI Planet files.
The gain in any direction is that of the boresight less the attenuation in both cuts,

    G(azimuth, elevation) = G_max - A_h(azimuth) - A_v(elevation)

the usual first approximation, exact on the two cuts themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.types import FloatArray

MAX_BYTES = 1 << 20
MAX_DB = 200.0
"""No antenna has more gain or attenuation; a larger number is a mistake."""

DBD_TO_DBI = 2.15
"""Gain of a half-wave dipole over an isotropic antenna in dB."""


@dataclass(frozen=True, eq=False)
class Antenna:
    """A pattern and how it is mounted.

    Attributes
    ----------
    name
        Of the pattern.
    gain_dbi
        Gain at boresight.
    horizontal_db
        Attenuation by degrees clockwise from boresight, shape (360,).
    vertical_db
        Attenuation by degrees below the horizon (90 straight down, 270 straight up), shape (360,).
    azimuth_deg
        Direction of the boresight, clockwise from north.
    downtilt_deg
        Mechanical tilt of the boresight below the horizon.
    """

    name: str
    gain_dbi: float
    horizontal_db: FloatArray
    vertical_db: FloatArray
    azimuth_deg: float = 0.0
    downtilt_deg: float = 0.0

    def __post_init__(self) -> None:
        for cut, name in ((self.horizontal_db, "horizontal"), (self.vertical_db, "vertical")):
            if cut.shape != (360,) or not np.isfinite(cut).all():
                raise InputError(
                    f"the {name} cut has shape {cut.shape} or is not finite.",
                    where=f"antenna {self.name}",
                    remedy="Give one attenuation in dB for each of 360 degrees.",
                )
        largest = max(abs(self.gain_dbi), *np.abs([self.horizontal_db, self.vertical_db]).ravel())
        if not largest <= MAX_DB:
            raise InputError(
                f"a gain or attenuation of {largest:g} dB is beyond {MAX_DB:g} dB.",
                where=f"antenna {self.name}",
                remedy="Repair the pattern.",
            )

    @property
    def max_gain_dbi(self) -> float:
        """What no direction exceeds, however the antenna is mounted."""
        return float(self.gain_dbi - self.horizontal_db.min() - self.vertical_db.min())

    @cached_property
    def table(self) -> FloatArray:
        """Gain in dB, shape (360, 181): azimuth clockwise from north, elevation -90 to 90 degrees.

        Tilt is taken in the vertical plane of the boresight: the direction is turned about the
        horizontal axis across it, so that a tilted beam looks down in front and up behind.
        """
        azimuth = np.radians(np.arange(360.0)[:, None] - self.azimuth_deg)
        elevation = np.radians(np.arange(-90.0, 91.0)[None, :])
        ahead, right, up = np.broadcast_arrays(
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        )
        tilt = np.radians(self.downtilt_deg)
        ahead, up = (
            ahead * np.cos(tilt) - up * np.sin(tilt),
            ahead * np.sin(tilt) + up * np.cos(tilt),
        )
        around = np.degrees(np.arctan2(right, ahead)) % 360
        below = np.degrees(np.arcsin(np.clip(-up, -1, 1)))
        horizontal, vertical = (
            np.interp(angle, np.arange(361.0), np.append(cut, cut[0]))
            for angle, cut in ((around, self.horizontal_db), (below % 360, self.vertical_db))
        )
        return np.ascontiguousarray(self.gain_dbi - horizontal - vertical)


def read_msi(path: Path, azimuth_deg: float = 0.0, downtilt_deg: float = 0.0) -> Antenna:
    """Read a pattern in MSI Planet format.

    Parameters
    ----------
    path
        Text with ``NAME``, ``GAIN`` (in dBd unless it says dBi) and the tables ``HORIZONTAL 360``
        and ``VERTICAL 360`` of degrees and attenuations in dB.
    azimuth_deg, downtilt_deg
        How it is mounted, see :class:`Antenna`.

    Raises
    ------
    InputError
        Something is missing, out of range or not a number.
    """
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise InputError(
            "no such pattern, or not a text of at most 1 MB.",
            where=path,
            remedy="Give a file in MSI Planet format, or leave the pattern out: isotropic.",
        )
    lines = path.read_text(encoding="latin-1").splitlines()
    name, gain = path.stem, 0.0
    cuts: dict[str, FloatArray] = {}
    i = 0
    while i < len(lines):
        words = lines[i].split()
        i += 1
        key = words[0].upper() if words else ""
        if key == "NAME":
            name = " ".join(words[1:]) or name
        elif key == "GAIN":
            gain = _number(words, 1, path, i)
            gain += _over_isotropic(words, path, i)
        elif key in {"HORIZONTAL", "VERTICAL"}:
            cuts[key], i = _cut(lines, i, path)
    for key in ("HORIZONTAL", "VERTICAL"):
        if key not in cuts:
            raise InputError(
                f"there is no {key} table.",
                where=path,
                remedy="Give a complete file in MSI Planet format.",
            )
    return Antenna(name, gain, cuts["HORIZONTAL"], cuts["VERTICAL"], azimuth_deg, downtilt_deg)


def _cut(lines: list[str], i: int, path: Path) -> tuple[FloatArray, int]:
    """Attenuations of 360 degrees from line `i` on, and the line after them."""
    cut = np.full(360, np.nan)
    for _ in range(360):
        words = lines[i].split() if i < len(lines) else []
        i += 1
        degree = _number(words, 0, path, i)
        if degree not in range(360):
            raise InputError(
                f"{degree:g} is not a whole degree from 0 to 359.",
                where=f"{path}, line {i}",
                remedy="Give one line for each of 360 degrees.",
            )
        cut[int(degree)] = _number(words, 1, path, i)
    if np.isnan(cut).any():
        raise InputError(
            f"degree {int(np.argmax(np.isnan(cut)))} is missing.",
            where=path,
            remedy="Give one line for each of 360 degrees.",
        )
    return cut, i


def _over_isotropic(words: list[str], path: Path, line: int) -> float:
    """What the unit of a GAIN line adds to make it dBi."""
    unit = words[2].lower() if len(words) > 2 else "dbd"
    if unit not in {"dbd", "dbi"}:
        raise InputError(
            f"{words[2]!r} is no unit of gain.",
            where=f"{path}, line {line}",
            remedy="Write dBd or dBi.",
        )
    return 0.0 if unit == "dbi" else DBD_TO_DBI


def _number(words: list[str], k: int, path: Path, line: int) -> float:
    try:
        value = float(words[k])
    except (IndexError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise InputError(
            "a number is missing.", where=f"{path}, line {line}", remedy="Repair the pattern."
        )
    return value
