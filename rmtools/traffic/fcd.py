"""SUMO's floating car data (``--fcd-output``) and the place of its coordinates on the ground.

Read as SUMO 1.28 documents and writes it: x and y are the middle of the front bumper, angles are
clockwise from north in degrees, times in seconds. docs/traffic.md says what is taken from a file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rmtools.errors import InputError, RecipeError
from rmtools.traffic.track_files import MAX_VEHICLES_PER_STEP, Step, fail
from rmtools.traffic.xml_stream import elements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rmtools.scene import Frame
    from rmtools.traffic.config import TrackFiles
    from rmtools.types import FloatArray

GEOGRAPHIC = "EPSG:4326"
UNPROJECTED = "!"
"""What SUMO writes for a projection when a net has none."""

TURN_M = 10.0
"""Directions are carried from one projection to another by two points this far apart."""


@dataclass(frozen=True)
class NetLocation:
    """Where the coordinates of a SUMO net lie: element ``<location>`` of its file.

    Attributes
    ----------
    offset
        ``netOffset``: net coordinates are projected ones plus this, metres.
    projection
        ``projParameter``, a PROJ string; None when the net has no projection.
    degrees
        ``origBoundary`` (west, south, east, north); longitudes and latitudes for nets made of
        OpenStreetMap.
    """

    offset: tuple[float, float]
    projection: str | None
    degrees: tuple[float, float, float, float]


def read_net_location(path: Path) -> NetLocation:
    """Read the location of a SUMO net from its file.

    Raises
    ------
    InputError
        Not a net, or it has no usable ``<location>``.
    """
    for element in elements(path, "net"):
        if element.name != "location":
            continue
        try:
            east, north = _numbers(element.attributes["netOffset"], 2)
            west, south, right, top = _numbers(element.attributes["origBoundary"], 4)
            projection = element.attributes["projParameter"]
        except (KeyError, ValueError) as error:
            fail(
                path,
                f"<location> cannot be used ({type(error).__name__}: {error}).",
                "Write the net again with netconvert.",
                element.line,
            )
        return NetLocation(
            (east, north),
            None if projection in (UNPROJECTED, "-") else projection,
            (west, south, right, top),
        )
    raise InputError(
        "no <location> in it.", where=path, remedy="Give the .net.xml file that SUMO ran on."
    )


def read_fcd(path: Path) -> Iterator[Step]:
    """Time steps of an FCD file in order; what else stands in it is passed over.

    Parameters
    ----------
    path
        ``.xml`` or ``.xml.gz``.

    Yields
    ------
    Step
        With x, y as in the file and headings counter-clockwise from east. Persons and containers
        are left out.

    Raises
    ------
    InputError
        Damaged or not FCD; the message names the line.
    """
    time_s, line = -math.inf, 0
    rows: dict[str, tuple[float, ...]] = {}
    for element in elements(path, "fcd-export"):
        if element.depth == 1 and element.name == "timestep":
            if line:
                yield _step(time_s, rows)
            before, line = time_s, element.line
            rows = {}
            time_s = _time(path, element.attributes, line)
            if not time_s > before:
                fail(
                    path,
                    f"time {time_s:g} does not come after {before:g}.",
                    "Time steps must ascend; give one simulation per file.",
                    line,
                )
        elif element.depth == 2 and element.name == "vehicle":
            if not line:
                fail(path, "a vehicle outside of a time step.", _WRITE_AGAIN, element.line)
            name, row = _vehicle(path, element.attributes, element.line)
            if name in rows:
                fail(
                    path,
                    f"vehicle {name!r:.60} stands twice in time step {time_s:g}.",
                    _WRITE_AGAIN,
                    element.line,
                )
            if len(rows) >= MAX_VEHICLES_PER_STEP:
                fail(path, "too many vehicles in a time step.", _WRITE_AGAIN, element.line)
            rows[name] = row
    if not line:
        fail(path, "no time step in it.", "Run sumo with --fcd-output and a later end.")
    yield _step(time_s, rows)


_WRITE_AGAIN = "Write the file again with sumo --fcd-output."


def _time(path: Path, attributes: dict[str, str], line: int) -> float:
    try:
        (time_s,) = _numbers(attributes["time"], 1)
    except (KeyError, ValueError):
        fail(
            path,
            f"time {attributes.get('time')!r:.40} is no number of seconds.",
            "Run sumo without --human-readable-time.",
            line,
        )
    return time_s


def _vehicle(
    path: Path, attributes: dict[str, str], line: int
) -> tuple[str, tuple[float, float, float, float]]:
    try:
        x, y, angle = float(attributes["x"]), float(attributes["y"]), float(attributes["angle"])
        name = attributes["id"]
    except KeyError as error:
        fail(
            path,
            f"a vehicle without {error}.",
            "Let --fcd-output.attributes name at least id, x, y and angle.",
            line,
        )
    except ValueError as error:
        fail(path, f"a vehicle whose x, y or angle is no number ({error}).", _WRITE_AGAIN, line)
    if not math.isfinite(x + y + angle):
        fail(path, "a vehicle whose x, y or angle is not finite.", _WRITE_AGAIN, line)
    return name, (line, x, y, angle)


def _step(time_s: float, rows: dict[str, tuple[float, ...]]) -> Step:
    lines, x, y, angle = np.array(list(rows.values()), float).reshape(-1, 4).T
    return Step(time_s, list(rows), lines.astype(int).tolist(), x, y, 90.0 - angle)


def _numbers(text: str, count: int) -> list[float]:
    """Finite numbers separated by commas."""
    numbers = [float(part) for part in text.split(",")]
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        msg = f"{text!r:.60}, not {count} finite number{'s'[: count > 1]}"
        raise ValueError(msg)
    return numbers


class Placing:
    """Moves FCD coordinates to the tile of a scene, and from front bumpers to centres.

    Parameters
    ----------
    frame
        Raster frame of the scene with its place on the ground.
    source
        Says what the coordinates are.
    length_m
        Length of the vehicles: the centre is half of it behind the front bumper.

    Raises
    ------
    InputError
        The net file cannot be used.
    RecipeError
        Scene and coordinates have no common ground, or the CRS is unknown.
    """

    def __init__(self, frame: Frame, source: TrackFiles, length_m: float) -> None:
        from pathlib import Path

        self.net = None if source.net is None else read_net_location(Path(source.net))
        self.half_m = length_m / 2
        self.offset = (0.0, 0.0) if self.net is None else self.net.offset
        self.corner = np.array([[frame.easting_m or 0.0], [frame.northing_m or 0.0]])
        name = source.crs or GEOGRAPHIC if self.net is None else self.net.projection
        if (name is None) != (frame.crs is None):
            have = "no place on the ground" if frame.crs is None else f"the CRS {frame.crs}"
            theirs = "no projection" if name is None else name
            raise RecipeError(
                f"the scene has {have}, the tracks have {theirs}.",
                where="traffic.tracks",
                remedy="Use csv tracks in local metres, or a net that netconvert made with a "
                "projection (for a scene without: without one, in local metres).",
            )
        self.geographic = name == GEOGRAPHIC
        self.project = None if name is None else _projection(name, str(frame.crs))

    def __call__(self, path: Path, step: Step) -> Step:
        """The step with centres in local metres."""
        if not step.ids:
            return step
        self._check(path, step)
        front: FloatArray = np.stack([step.x - self.offset[0], step.y - self.offset[1]])
        heading = step.heading_deg
        if self.project is not None and self.geographic:
            front = self.project(front)
        elif self.project is not None:  # angles count from the north of the net's projection
            behind = self.project(front - TURN_M * _towards(heading))
            front = self.project(front)
            ahead = front - behind
            heading = np.rad2deg(np.arctan2(ahead[1], ahead[0]))
        x, y = front - self.half_m * _towards(heading) - self.corner
        somewhere = np.isfinite(x) & np.isfinite(y)
        if not somewhere.all():
            bad = int(np.argmin(somewhere))
            fail(
                path,
                f"x = {step.x[bad]:g}, y = {step.y[bad]:g} lie nowhere on the ground.",
                "Check traffic.tracks.net and traffic.tracks.crs.",
                step.lines[bad],
            )
        return Step(step.time_s, step.ids, step.lines, x, y, heading)

    def _check(self, path: Path, step: Step) -> None:
        """Refuse degrees where metres are expected, and the reverse."""
        if self.geographic:
            wrong = (np.abs(step.x) > 180) | (np.abs(step.y) > 90)
            if wrong.any():
                k = int(np.argmax(wrong))
                fail(
                    path,
                    f"x = {step.x[k]:g}, y = {step.y[k]:g} are no longitude and latitude.",
                    "Give the net they belong to (traffic.tracks.net), their CRS "
                    "(traffic.tracks.crs), or write them with sumo --fcd-output.geo.",
                    step.lines[k],
                )
        elif self.net is not None and self.net.projection is not None:
            west, south, east, north = self.net.degrees
            inside = (step.x >= west) & (step.x <= east) & (step.y >= south) & (step.y <= north)
            if inside.all() and max(abs(west), abs(east)) <= 180 and max(-south, north) <= 90:
                fail(
                    path,
                    f"x = {step.x[0]:g}, y = {step.y[0]:g} are longitude and latitude, not "
                    "coordinates of the net.",
                    "Leave traffic.tracks.net out.",
                    step.lines[0],
                )


def _towards(heading_deg: FloatArray) -> FloatArray:
    """Unit vectors, shape (2, V)."""
    angle = np.deg2rad(heading_deg)
    return np.stack([np.cos(angle), np.sin(angle)])


def _projection(source: str, target: str) -> Callable[[FloatArray], FloatArray]:
    """From one CRS to another, for points (x, y) of shape (2, V)."""
    from pyproj import CRS, Transformer
    from pyproj.exceptions import CRSError

    try:
        crs = CRS.from_user_input(source)
        if source != GEOGRAPHIC and not crs.is_projected:
            raise RecipeError(
                f"{source} is not a projected CRS in metres.",
                where="traffic.tracks.crs",
                remedy="Leave it out for longitude and latitude.",
            )
        transformer = Transformer.from_crs(crs, CRS.from_user_input(target), always_xy=True)
    except CRSError as error:
        raise RecipeError(
            f"{source!r} is no coordinate reference system ({error}).",
            where="traffic.tracks",
            remedy="Give for instance EPSG:32635.",
        ) from error
    return lambda points: np.stack(transformer.transform(points[0], points[1]))
