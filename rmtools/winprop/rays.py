"""Reading WinProp's ray files (.str): the paths to every receiver, with their bends.

For a dominant path model that is an oracle: every path's loss follows from its geometry, see
:func:`rmtools.radio.dpm.equation.path_loss_db`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from rmtools.errors import InputError
from rmtools.files import read_bytes
from rmtools.winprop.header import MAX_SIDE, REMEDY, ResultGrid, power_dbm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_RAYS_BYTES = 512 * 2**20
KINDS = {"D": "diffraction", "R": "reflection", "T": "transmission", "S": "scattering"}
"""Letters of interactions. D is in true files, the documentation names R; T and S are a guess."""

_PATH_NUMBERS = 9  # delay, field, type, number, phase, four angles
_INTERACTION_WORDS = 6  # x, y, z, kind, object, material

_COLUMNS = {
    "VERSION": "2",
    "INTERACTION_TYPE": "1",
    "OBJECT_ID": "1",
    "MATERIAL_ID": "1",
    "PATHS": "YES",
    "PHASE": "YES",
    "ANGLES": "YES",
    "DOPPLER_SHIFT": "NO",
}
"""What decides which columns a file has, and the only values that were seen."""

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Interaction:
    """One bend, reflection or else of a path, in metres."""

    at: Point
    kind: str
    object_id: int
    material_id: int


@dataclass(frozen=True)
class RayPath:
    """One path from the transmitter to a receiver.

    Attributes
    ----------
    points
        Transmitter, interactions and receiver in order, local metres.
    delay_ns
        As in the file: length divided by the speed of light.
    field_dbuv_per_m
        Field strength at the receiver.
    empirical
        Whether the file calls the path empirical instead of deterministic.
    phase_rad, departure_rad, arrival_rad
        Phase; azimuth and elevation at both ends.
    interactions
        In the order they happen.
    """

    points: tuple[Point, ...]
    delay_ns: float
    field_dbuv_per_m: float
    empirical: bool
    phase_rad: float
    departure_rad: tuple[float, float]
    arrival_rad: tuple[float, float]
    interactions: tuple[Interaction, ...]

    @property
    def length_m(self) -> float:
        """Length of all straight pieces."""
        return sum(math.dist(a, b) for a, b in pairwise(self.points))

    @property
    def bends_deg(self) -> tuple[float, ...]:
        """Change of direction at every interaction, in space."""
        triples = zip(self.points, self.points[1:], self.points[2:], strict=False)
        return tuple(_turn_deg(*triple) for triple in triples)


@dataclass(frozen=True)
class Receiver:
    """A point and the paths to it, in the order of the file; none where nothing arrives."""

    index: int
    at: Point
    paths: tuple[RayPath, ...]


@dataclass(frozen=True)
class Rays:
    """A ray file."""

    grid: ResultGrid
    height_m: float
    transmitter: Point
    antenna: str
    power_dbm: float
    frequency_mhz: float
    receivers: tuple[Receiver, ...]

    def pathloss_db(self, path: RayPath) -> float:
        """Path loss of one path between isotropic antennas, from its field strength.

        With E in dBuV/m and f in MHz the received power is E - 77.2 - 20 log10 f in dBm
        (ITU-R P.525); the file gives E to 0.01 dB.
        """
        received_dbm = path.field_dbuv_per_m - 77.2 - 20.0 * math.log10(self.frequency_mhz)
        return self.power_dbm - received_dbm


def read_rays(path: Path) -> Rays:
    """Read a ray file.

    Raises
    ------
    InputError
        No ray file, damaged, or with columns that are in no known file.
    """
    text = read_bytes(path, MAX_RAYS_BYTES).decode("cp1252", "replace")
    return _RayFile(text, path).read()


class _RayFile:
    """The lines of a ray file, one after the other."""

    def __init__(self, text: str, where: Path) -> None:
        self.text, self.where = text, where
        self.number = 0

    def read(self) -> Rays:
        keys: dict[str, str] = {}
        receivers: list[Receiver] = []
        lines = self._lines()
        for line in lines:
            key, _, value = line.partition(" ")
            if key == "POINT_PLANE":
                break
            if key in keys:
                raise self._error(f"{key} stands twice")
            keys[key] = value.strip()
        else:
            line = ""
        grid, transmitter = self._grid(keys), self._point(keys.get("ANTENNA", ""))
        power = power_dbm(keys.get("POWER", ""), self.where)
        height, frequency = (self._number(keys.get(key, "")) for key in ("HEIGHT", "FREQUENCY"))
        if frequency <= 0:
            raise self._error(f"FREQUENCY is {frequency:g}")
        for key, wanted in _COLUMNS.items():
            if keys.get(key) != wanted:
                raise self._error(f"{key} is {keys.get(key)!r}; only {wanted!r} has been seen")
        if line:
            receivers.extend(self._receivers(line, lines, transmitter))
        antenna = keys.get("ANTENNA_PATTERN", "").strip('"')
        return Rays(grid, height, transmitter, antenna, power, frequency, tuple(receivers))

    def _lines(self) -> Iterator[str]:
        for number, line in enumerate(self.text.splitlines(), 1):
            self.number = number
            if (stripped := line.strip()) and not stripped.startswith("*"):
                yield stripped

    def _receivers(
        self, first: str, lines: Iterator[str], transmitter: Point
    ) -> Iterator[Receiver]:
        """All receivers; `first` is the line of the first."""
        head, paths = self._head(first), list[RayPath]()
        for line in lines:
            if line.startswith("PATH "):
                paths.append(self._path(line, transmitter, head[1]))
            else:
                yield Receiver(*head, tuple(paths))
                head, paths = self._head(line), []
        yield Receiver(*head, tuple(paths))

    def _head(self, line: str) -> tuple[int, Point]:
        """Index and place of a receiver."""
        key, *words = line.split()
        if key != "POINT_PLANE" or len(words) != 4:
            raise self._error(f"{line[:60]!r} is neither a receiver nor a path")
        return self._integer(words[3]), self._point(" ".join(words[:3]))

    def _path(self, line: str, transmitter: Point, receiver: Point) -> RayPath:
        words = line.split()[1:]
        if len(words) < _PATH_NUMBERS:
            raise self._error(f"a path has {len(words)} numbers, not {_PATH_NUMBERS} or more")
        delay, field, _, _, phase, *angles = (self._number(w) for w in words[:_PATH_NUMBERS])
        kind, count = self._integer(words[2]), self._integer(words[3])
        rest = words[_PATH_NUMBERS:]
        if len(rest) != _INTERACTION_WORDS * count:
            raise self._error(f"a path with {count} interactions has {len(words)} words")
        interactions = tuple(
            self._interaction(rest[k : k + _INTERACTION_WORDS])
            for k in range(0, len(rest), _INTERACTION_WORDS)
        )
        return RayPath(
            points=(transmitter, *(interaction.at for interaction in interactions), receiver),
            delay_ns=delay,
            field_dbuv_per_m=field,
            empirical=kind != 0,
            phase_rad=phase,
            departure_rad=(angles[0], angles[1]),
            arrival_rad=(angles[2], angles[3]),
            interactions=interactions,
        )

    def _interaction(self, words: list[str]) -> Interaction:
        *place, kind, thing, material = words
        if kind not in KINDS:
            raise self._error(f"an interaction of the unknown kind {kind[:20]!r}")
        return Interaction(
            self._point(" ".join(place)), kind, self._integer(thing), self._integer(material)
        )

    def _grid(self, keys: dict[str, str]) -> ResultGrid:
        corner = keys.get("LL_EDGE", "").replace(",", " ").split()
        if len(corner) != 2:
            raise self._error("no LL_EDGE with two numbers; is this a ray file (.str)?")
        west, south = (self._number(word) for word in corner)
        columns, rows = (self._integer(keys.get(key, "")) for key in ("COLUMNS", "LINES"))
        resolution = self._number(keys.get("RESOLUTION", ""))
        if not (0 < columns <= MAX_SIDE and 0 < rows <= MAX_SIDE and resolution > 0):
            raise self._error(f"{columns} x {rows} pixels of {resolution:g} m")
        return ResultGrid(west, south, resolution, columns, rows)

    def _point(self, text: str) -> Point:
        words = text.split()
        if len(words) != 3:
            raise self._error(f"{text[:60]!r} is no point; three numbers were expected")
        x, y, z = (self._number(word) for word in words)
        return x, y, z

    def _number(self, word: str) -> float:
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not abs(value) < 1e12:
            raise self._error(f"{word[:20]!r} is no number")
        return value

    def _integer(self, word: str) -> int:
        value = self._number(word)
        if not (value == int(value) and abs(value) < 2**31):
            raise self._error(f"{word[:20]!r} is no whole number")
        return int(value)

    def _error(self, what: str) -> InputError:
        return InputError(f"line {self.number}: {what}.", where=self.where, remedy=REMEDY)


def _turn_deg(a: Point, b: Point, c: Point) -> float:
    """Angle between the directions from a to b and from b to c; 0 where they have none."""
    u, v = ([q - p for p, q in zip(*pair, strict=True)] for pair in ((a, b), (b, c)))
    size = math.hypot(*u) * math.hypot(*v)
    if size == 0:
        return 0.0
    cosine = sum(p * q for p, q in zip(u, v, strict=True)) / size
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
