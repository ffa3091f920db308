"""The header of WinProp's text results: who was calculated where, and on which grid."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rmtools.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

MAX_HEADER_BYTES = 2**20
"""A header has a dozen lines; HEIGHT and TIME_STEP have a value for every time step."""

MAX_SIDE = 8192
MAX_STEPS = 100_000
REMEDY = "Export the result from WinProp again (ASCII output), or run its job again."

_ENCODING = "cp1252"
_GRID_TOLERANCE = 1e-3  # pixels; WinProp computes the corner in single precision
_POWER = re.compile(r"([-+]?[0-9.]+(?:[eE][-+]?\d+)?)\s*(dBm|dBW|mW|W|kW)\b\s*(\w*)")
_WATT_DBM = {"mW": 0.0, "W": 30.0, "kW": 60.0}
_ERP_DB = 2.15  # ERP is relative to a half-wave dipole

Kind = Literal["area", "trajectory"]
Quantity = Literal["pathloss", "power"]
Sign = Literal["loss", "gain"]


@dataclass(frozen=True)
class ResultGrid:
    """The pixels of a result: `west` and `south` are the corner of the area, in metres."""

    west: float
    south: float
    resolution_m: float
    columns: int
    rows: int


@dataclass(frozen=True)
class Header:
    """What stands in front of the values; None where the file does not say.

    Attributes
    ----------
    grid
        From ``LOWER_LEFT``, ``UPPER_RIGHT`` and ``RESOLUTION``.
    heights_m, time_steps_s
        One value for each time step.
    antenna, location
        Name and (x, y, z) of the one antenna.
    power_dbm
        Transmitted power; ERP is converted to EIRP. `power` has the words of the file.
    other
        Every key that is not named above.
    """

    grid: ResultGrid
    heights_m: tuple[float, ...] = ()
    time_steps_s: tuple[float, ...] = ()
    antenna: str | None = None
    location: tuple[float, float, float] | None = None
    frequency_mhz: float | None = None
    power_dbm: float | None = None
    power: str | None = None
    antenna_type: str | None = None
    version: str | None = None
    date: str | None = None
    other: dict[str, str] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Number of time steps (or heights), at least one."""
        return max(len(self.heights_m), len(self.time_steps_s), 1)


def split_header(head: bytes, where: Path) -> tuple[Header, Kind, int]:
    """Read the header at the beginning of a file.

    Parameters
    ----------
    head
        The first bytes of the file, up to :data:`MAX_HEADER_BYTES`.
    where
        For messages.

    Returns
    -------
    header, kind, start
        `start` is where the values begin: behind ``BEGIN_DATA``, or at the title line of a
        trajectory.

    Raises
    ------
    InputError
        No result of WinProp, or a line is missing or makes no sense.
    """
    begin = re.search(rb"^(?:BEGIN_DATA[ \t]*\r?$|Trajectory\t)", head, re.MULTILINE)
    if begin is None:
        raise InputError(
            "not a text result of WinProp: there is neither BEGIN_DATA nor a trajectory in it.",
            where=where,
            remedy=REMEDY,
        )
    lines = head[: begin.start()].decode(_ENCODING, "replace").splitlines()
    header = _Lines(lines, where).header()
    if begin.group().startswith(b"Trajectory"):
        return header, "trajectory", begin.start()
    return header, "area", min(begin.end() + 1, len(head))


def power_dbm(text: str, where: Path) -> float:
    """Transmitted power in dBm from words such as ``10.000 W Output``; ERP becomes EIRP.

    Raises
    ------
    InputError
        No power.
    """
    found = _POWER.match(text)
    try:
        value = float(found.group(1)) if found else math.nan
    except ValueError:
        value = math.nan
    unit, kind = (found.group(2), found.group(3)) if found else ("", "")
    if unit in _WATT_DBM:
        value = 10 * math.log10(value) + _WATT_DBM[unit] if value > 0 else math.nan
    elif unit == "dBW":
        value += 30.0
    if not abs(value) < 1e3:
        raise InputError(
            f"the power is {text[:60]!r}; a number in W or dBm was expected.",
            where=where,
            remedy=REMEDY,
        )
    return value + (_ERP_DB if kind.upper() == "ERP" else 0.0)


class _Lines:
    """The lines of a header by their keys."""

    def __init__(self, lines: list[str], where: Path) -> None:
        self.where = where
        self.values: dict[str, str] = {}
        antennas = set()
        for line in lines:
            key, _, value = line.partition("\t")
            key = key.strip()
            if not key or key.startswith("*"):
                continue
            if antenna := re.fullmatch(r"ANTENNA (\d+)", key):
                antennas.add(antenna.group(1))
                inner, _, value = value.partition("\t")
                key = f"ANTENNA {inner.strip()}"
            if key in self.values:
                raise self._error(f"{key} stands twice in the header")
            self.values[key] = value.strip()
        if len(antennas) > 1:
            raise self._error(f"a result of {len(antennas)} antennas together, not of one")

    def header(self) -> Header:
        """Everything the header says."""
        grid = self._grid()
        heights, steps = self._numbers("HEIGHT"), self._numbers("TIME_STEP")
        if len(heights) > 1 and len(steps) > 1 and len(heights) != len(steps):
            raise self._error(f"{len(heights)} heights, but {len(steps)} time steps")
        if max(len(heights), len(steps)) > MAX_STEPS:
            raise self._error(f"more than {MAX_STEPS:,} time steps")
        location = self._numbers("ANTENNA LOCATION")
        if location and len(location) != 3:
            raise self._error(f"ANTENNA LOCATION has {len(location)} numbers, not 3")
        frequency = self._numbers("ANTENNA FREQUENCY")
        power = self._text("ANTENNA POWER")
        return Header(
            grid=grid,
            heights_m=heights,
            time_steps_s=steps,
            antenna=self._text("ANTENNA NAME"),
            location=location or None,  # type: ignore[arg-type]  # three numbers, see above
            frequency_mhz=frequency[0] if frequency else None,
            power_dbm=None if power is None else power_dbm(power, self.where),
            power=power,
            antenna_type=self._text("ANTENNA ANTENNATYPE"),
            version=self._text("VERSION"),
            date=self._text("DATE"),
            other=dict(self.values),
        )

    def _grid(self) -> ResultGrid:
        corner, far = self._numbers("LOWER_LEFT"), self._numbers("UPPER_RIGHT")
        size = self._numbers("RESOLUTION")
        for key, numbers, count in (
            ("LOWER_LEFT", corner, 2),
            ("UPPER_RIGHT", far, 2),
            ("RESOLUTION", size, 1),
        ):
            if len(numbers) != count:
                raise self._error(f"{key} has {len(numbers)} numbers, not {count}")
        if not size[0] > 0:
            raise self._error(f"a resolution of {size[0]:g} m")
        counts = []
        for low, high in zip(corner, far, strict=True):
            exact = (high - low) / size[0]
            if not 0.5 < exact <= MAX_SIDE + 0.5:
                raise self._error(f"{exact:g} pixels of {size[0]:g} m from {low:g} to {high:g} m")
            if abs(exact - round(exact)) > max(_GRID_TOLERANCE, 1e-5 * exact):
                raise self._error(f"{high - low:g} m are no multiple of {size[0]:g} m")
            counts.append(round(exact))
        return ResultGrid(corner[0], corner[1], size[0], counts[0], counts[1])

    def _text(self, key: str) -> str | None:
        return self.values.pop(key, None)

    def _numbers(self, key: str) -> tuple[float, ...]:
        words = self.values.pop(key, "").replace(",", " ").split()
        try:
            numbers = tuple(float(word) for word in words)
        except ValueError:
            numbers = (math.nan,)
        if not all(math.isfinite(number) and abs(number) < 1e9 for number in numbers):
            raise self._error(f"{key} is {' '.join(words)[:60]!r}, which is no number")
        return numbers

    def _error(self, what: str) -> InputError:
        return InputError(f"{what}.", where=self.where, remedy=REMEDY)
