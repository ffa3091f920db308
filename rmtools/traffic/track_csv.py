"""Tracks as a table, one line per frame and vehicle: what the motion layout has as tracks.csv."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING

import numpy as np

from rmtools.traffic.track_files import MAX_VEHICLES_PER_STEP, Step, TrackStream, fail
from rmtools.traffic.tracks import FRAME_INTERVAL_S, State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEEDED = ("vehicle", "x_m", "y_m", "heading_deg")
OPTIONAL = ("frame", "time_s", "speed_mps", "state")
MAX_LINE_BYTES = 4096
TIME_TOLERANCE_S = 1e-6

_STATES = {state.name.lower(): int(state) for state in State if state is not State.ABSENT}


def read_track_csv(path: Path) -> Iterator[Step]:
    """Moments of a track table in order.

    Parameters
    ----------
    path
        ``.csv`` or ``.csv.gz``, UTF-8, with the columns of docs/traffic.md in any order.

    Yields
    ------
    Step
        Centres in local metres; speeds and states when the table has them.

    Raises
    ------
    InputError
        A column is missing, or a line is wrong; the message names it.
    """
    lines = _lines(path)
    table = csv.reader(lines, strict=True)
    place: dict[str, int] = {}
    at: float | None = None
    rows: dict[str, tuple[float, ...]] = {}
    try:
        for cells in table:
            number = table.line_num
            if not place:
                place = _header(path, cells)
                continue
            if len(cells) != len(place):
                fail(path, f"{len(cells)} cells, not {len(place)}.", _ONE_LINE, number)
            time_s, name, row = _row(path, place, cells, number)
            if at is None or time_s > at + TIME_TOLERANCE_S:
                if at is not None:
                    yield _step(at, rows, place)
                at, rows = time_s, {}
            elif time_s < at - TIME_TOLERANCE_S:
                fail(
                    path,
                    f"time {time_s:g} s comes after {at:g} s.",
                    "Sort the table by frame (or time).",
                    number,
                )
            if name in rows:
                fail(
                    path,
                    f"vehicle {name!r:.60} stands twice at {at:g} s.",
                    "Give every vehicle one line per frame.",
                    number,
                )
            if len(rows) >= MAX_VEHICLES_PER_STEP:
                fail(path, "too many vehicles in one frame.", "Split the table.", number)
            rows[name] = row
    except csv.Error as error:
        fail(path, f"not CSV ({error}).", _ONE_LINE, table.line_num)
    if not place:
        fail(path, "the file is empty.", f"Begin with the columns {','.join(NEEDED)}.")
    if at is not None:
        yield _step(at, rows, place)


_ONE_LINE = "Write one line per frame and vehicle, cells separated by commas."


def _lines(path: Path) -> Iterator[str]:
    """Lines of a text file, none longer than :data:`MAX_LINE_BYTES`."""
    with TrackStream(path) as stream:
        number = 0
        while data := stream.readline(MAX_LINE_BYTES):
            number += 1
            if len(data) == MAX_LINE_BYTES:
                fail(path, f"longer than {MAX_LINE_BYTES} bytes.", _ONE_LINE, number)
            try:
                yield data.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                fail(path, f"not UTF-8 text ({error.reason}).", _ONE_LINE, number)


def _header(path: Path, cells: list[str]) -> dict[str, int]:
    """Columns by name."""
    names = [cell.strip() for cell in cells]
    missing = [name for name in NEEDED if name not in names]
    if not {"frame", "time_s"} & set(names):
        missing.insert(0, "frame (or time_s)")
    if missing or len(set(names)) != len(names):
        problem = f"no column {', '.join(missing)}" if missing else "a column stands twice"
        fail(
            path,
            f"{problem}.",
            f"A track table has frame or time_s, {', '.join(NEEDED)}, and optionally speed_mps "
            "and state.",
            1,
        )
    return {name: k for k, name in enumerate(names)}


def _row(
    path: Path, place: dict[str, int], cells: list[str], line: int
) -> tuple[float, str, tuple[float, ...]]:
    """Time, vehicle, and ``(line, x, y, heading[, speed][, state])`` of a line."""

    def number(name: str) -> float:
        try:
            value = float(cells[place[name]])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            fail(
                path,
                f"{name} is {cells[place[name]]!r:.40}, not a finite number.",
                "Leave the line out where a vehicle is absent.",
                line,
            )
        return value

    name = cells[place["vehicle"]].strip()
    if not name:
        fail(path, "vehicle is empty.", "Give every vehicle a name or number.", line)
    row = [float(line), number("x_m"), number("y_m"), number("heading_deg")]
    if "speed_mps" in place:
        row.append(number("speed_mps"))
    if "state" in place:
        state = cells[place["state"]].strip()
        if state not in _STATES:
            fail(
                path,
                f"unknown state {state!r:.40}.",
                f"Use {', '.join(_STATES)}, or leave the column out.",
                line,
            )
        row.append(_STATES[state])
    if "frame" not in place:
        return number("time_s"), name, tuple(row)
    frame = number("frame")
    time_s = round(frame * FRAME_INTERVAL_S, 6)
    if frame != int(frame) or frame < 0:
        fail(path, f"frame {frame:g} is no whole number from 0.", "Count frames from 0.", line)
    if "time_s" in place and abs(number("time_s") - time_s) > TIME_TOLERANCE_S:
        fail(
            path,
            f"frame {frame:g} is {time_s:g} s, time_s says {number('time_s'):g}.",
            f"Frames are {FRAME_INTERVAL_S:g} s apart; leave one of the two columns out.",
            line,
        )
    return time_s, name, tuple(row)


def _step(time_s: float, rows: dict[str, tuple[float, ...]], place: dict[str, int]) -> Step:
    lines, x, y, heading, *more = np.array(list(rows.values()), float).T
    speed = more.pop(0) if "speed_mps" in place else None
    state = more.pop(0).astype(np.int8) if "state" in place else None
    names, numbers, framed = list(rows), lines.astype(int).tolist(), "frame" in place
    return Step(time_s, names, numbers, x, y, heading, speed, state, framed)
