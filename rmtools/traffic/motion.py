"""The compiled part of the vehicle engine: one vehicle after the other, one rule after the other.

docs/traffic.md gives the rules in words. tests/traffic_reference.py has the same rules without
the shortcuts that are taken here; both give the same bits.
"""

from __future__ import annotations

from math import atan2, cos, floor, pi, sin
from typing import TYPE_CHECKING

import numpy as np

from rmtools.kernel import hot_kernel
from rmtools.traffic.overlap import (
    Pose,
    hits_pixels,
    hits_vehicle,
    leaves_tile,
    pose_at,
)
from rmtools.traffic.tracks import FRAME_INTERVAL_S, State

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from numpy.typing import NDArray

    from rmtools.types import BoolArray, FloatArray, IntArray

    Array: TypeAlias = NDArray[np.void]
    Record: TypeAlias = Any  # an element; in compiled code its fields are attributes

BRAKING = (1.0, 0.5, 0.25)
"""Parts of a step that are tried before a vehicle stops."""

ABSENT, SEEDED, MOVING, SLOWED, WAITING, BLOCKED = map(int, State)

NO_ROAD, NARROW, CLEAR = range(3)
"""What a vehicle finds with its centre on a pixel, see CELL."""

SAME_ANGLE = 1e9
"""Angles that round to the same multiple of 1e-9 radians count as equal."""

FRONT, ALL = 3, 5
"""Probes of a vehicle, and of a stuck one."""

VEHICLE = np.dtype(
    [
        ("x", np.float64),  # centre in metres
        ("y", np.float64),
        ("heading", np.float64),  # in radians, with its cosine and sine
        ("cosine", np.float64),
        ("sine", np.float64),
        ("desired", np.float64),  # speed in m/s with nothing in the way
        ("speed", np.float64),  # in the step that led here
        ("state", np.int64),  # what the vehicle did in that step
        ("still", np.int64),  # frames without motion up to now
        ("turns", np.float64, (ALL,)),  # room for the answers of its probes
    ],
    align=True,
)
"""A vehicle at one moment; in slots that are not used the numbers are NaN."""

RULES = np.dtype(
    [
        ("r", np.float64),  # side of a pixel in metres
        ("length", np.float64),  # of a vehicle in metres
        ("width", np.float64),
        ("lookahead", np.float64),  # distance of the probes in metres
        ("search_radius", np.float64),  # of a road pixel from the probe that sees it, in metres
        ("probes", np.float64, (ALL,)),  # angles from the heading in radians, straight ahead first
        ("stuck_frames", np.int64),  # a vehicle still for more frames than this is stuck
        ("least_turn", np.float64),  # smallest angle by which a stuck vehicle turns on the spot
        ("smoothing", np.float64),  # share of the way to the target heading per frame
    ],
    align=True,
)
"""Parameters of the motion."""

CELL = np.dtype(
    [
        ("lane_row", np.int16),  # of the nearest lane pixel
        ("lane_col", np.int16),
        ("room", np.int16),  # NO_ROAD, NARROW or CLEAR
    ],
    align=True,
)
"""A pixel of the ground, as small as can be because vehicles look them up all the time.

A road is NARROW where some headings are impossible, because of an obstacle or the edge of the
tile, and CLEAR elsewhere.
"""


@hot_kernel
def drive(
    cells: Array,
    obstacle: BoolArray,
    rules: Record,
    fleets: Array,
    warmup: int,
    record: tuple[FloatArray, FloatArray, FloatArray, FloatArray, IntArray],
) -> None:
    """All trajectories of a scene.

    Parameters
    ----------
    cells
        The ground, type CELL, shape (n + 2 pad, n + 2 pad): the tile and a margin around it that
        no probe leaves.
    obstacle
        Pixels that a vehicle may not overlap, shape (n, n).
    rules
        Of type RULES.
    fleets
        The vehicles of every trajectory at their start, type VEHICLE, shape (T, V); they move.
    warmup
        Frames that are driven before the first one is recorded.
    record
        Where to write x, y, heading in radians, speed and state, shape (T, F, V) each.
    """
    x, y, heading, speed, state = record
    for t in range(fleets.shape[0]):
        fleet = fleets[t]
        for _ in range(warmup):
            advance(cells, obstacle, rules, fleet)
        for frame in range(x.shape[1]):
            if frame > 0:
                advance(cells, obstacle, rules, fleet)
            for v in range(fleet.size):
                vehicle = fleet[v]
                if frame == 0 and vehicle.state != ABSENT:
                    vehicle.speed, vehicle.state = 0.0, SEEDED
                x[t, frame, v], y[t, frame, v] = vehicle.x, vehicle.y
                heading[t, frame, v], speed[t, frame, v] = vehicle.heading, vehicle.speed
                state[t, frame, v] = vehicle.state


@hot_kernel
def advance(cells: Array, obstacle: BoolArray, rules: Record, fleet: Array) -> None:
    """One frame: every vehicle in slot order, against where all others are by then."""
    for v in range(fleet.size):
        if fleet[v].state != ABSENT:
            advance_vehicle(cells, obstacle, rules, fleet, v)


@hot_kernel
def advance_vehicle(cells: Array, obstacle: BoolArray, rules: Record, fleet: Array, v: int) -> None:
    """One frame of vehicle `v`."""
    vehicle = fleet[v]
    turns = vehicle.turns
    here = pose_of(vehicle)
    stuck = vehicle.still > rules.stuck_frames
    # Best aligned only; a stuck vehicle takes the best aligned of those that let it move.
    options = look(cells, obstacle.shape[0], rules, here, ALL if stuck else FRONT, turns)
    if not stuck:
        options = min(options, 1)
    step = vehicle.desired * FRAME_INTERVAL_S
    verdict = BLOCKED
    for k in range(options):
        ahead = turned(here, rules.smoothing * turns[k])
        for part in BRAKING:
            pose = Pose(
                here.x + part * step * ahead.cosine,
                here.y + part * step * ahead.sine,
                ahead.heading,
                ahead.cosine,
                ahead.sine,
            )
            verdict = trial(cells, obstacle, rules, fleet, v, pose)
            if verdict == MOVING:
                put(vehicle, pose, part * vehicle.desired, MOVING if part == 1.0 else SLOWED)
                return
    # No step is possible: turn on the spot, a stuck vehicle away from where it cannot go.
    for k in range(options):
        if stuck and abs(turns[k]) < rules.least_turn:
            continue
        pose = turned(here, rules.smoothing * turns[k])
        if trial(cells, obstacle, rules, fleet, v, pose) == MOVING:
            put(vehicle, pose, 0.0, verdict)
            return
    put(vehicle, here, 0.0, verdict)


@hot_kernel
def look(cells: Array, n: int, rules: Record, here: Pose, probes: int, turns: FloatArray) -> int:
    """Where a vehicle could head for.

    Parameters
    ----------
    cells, rules
        As for :func:`drive`.
    n
        Pixels along the side of the tile.
    here
        Pose of the vehicle.
    probes
        How many are used, FRONT or ALL.
    turns
        Gets the angles from the present heading to the road seen by the probes, best aligned
        first, radians in [-pi, pi], left positive. Of equally good ones straight ahead comes
        first, then the right turn. With FRONT the list may end after the best one.

    Returns
    -------
    int
        The number of angles.
    """
    found = 0
    r, pad = rules.r, (cells.shape[0] - n) // 2
    for k in range(probes):
        cosine, sine = here.cosine, here.sine
        turn = rules.probes[k]
        if k > 0:
            cosine, sine = cos(here.heading + turn), sin(here.heading + turn)
        x, y = here.x + rules.lookahead * cosine, here.y + rules.lookahead * sine
        row, col = n - 1 - floor(y / r), floor(x / r)
        cell = cells[row + pad, col + pad]
        if cell.lane_row != row or cell.lane_col != col:
            near_x, near_y = (cell.lane_col + 0.5) * r, (n - cell.lane_row - 0.5) * r
            dx, dy = near_x - x, near_y - y
            if dx * dx + dy * dy > rules.search_radius * rules.search_radius:
                continue
            turn = wrapped(atan2(near_y - here.y, near_x - here.x) - here.heading)
        elif k == 0 and probes == FRONT:
            turns[0] = turn  # the road goes straight on: nothing is better aligned
            return 1
        i = found
        while i > 0 and better(turn, turns[i - 1]):
            turns[i] = turns[i - 1]
            i -= 1
        turns[i] = turn
        found += 1
    return found


@hot_kernel
def better(turn: float, other: float) -> bool:
    """Whether a vehicle prefers one turn, in radians, to another."""
    angle, than = np.rint(abs(turn) * SAME_ANGLE), np.rint(abs(other) * SAME_ANGLE)
    if angle != than:
        return bool(angle < than)
    if turn == 0.0 or other == 0.0:
        return turn == 0.0 and other != 0.0
    return turn < other


@hot_kernel
def turned(pose: Pose, turn: float) -> Pose:
    """Pose after a turn on the spot by an angle in radians."""
    return pose if turn == 0.0 else pose_at(pose.x, pose.y, pose.heading + turn)


@hot_kernel
def wrapped(angle: float) -> float:
    """An angle in [-3 pi, 3 pi] as the one in [-pi, pi], without any rounding error."""
    if angle > pi:
        return angle - 2 * pi
    return angle + 2 * pi if angle < -pi else angle


@hot_kernel
def trial(
    cells: Array, obstacle: BoolArray, rules: Record, fleet: Array, v: int, pose: Pose
) -> int:
    """MOVING if vehicle `v` may take a pose, WAITING or BLOCKED for what is in the way."""
    n, r, length, width = obstacle.shape[0], rules.r, rules.length, rules.width
    row, col = n - 1 - floor(pose.y / r), floor(pose.x / r)
    pad = (cells.shape[0] - n) // 2
    room = cells[row + pad, col + pad].room if 0 <= row < n and 0 <= col < n else NO_ROAD
    if room != CLEAR and (
        room == NO_ROAD
        or leaves_tile(pose, length, width, n * r)
        or hits_pixels(pose, length, width, obstacle, r)
    ):
        return BLOCKED
    for u in range(fleet.size):
        dx, dy = fleet[u].x - pose.x, fleet[u].y - pose.y
        # Written so that NaN counts as far away, and so that most calls end here.
        if (
            dx * dx + dy * dy < length * length + width * width
            and u != v
            and hits_vehicle(pose, pose_of(fleet[u]), length, width)
        ):
            return WAITING
    return MOVING


@hot_kernel
def pose_of(vehicle: Record) -> Pose:
    """Pose of a vehicle of type VEHICLE."""
    return Pose(vehicle.x, vehicle.y, vehicle.heading, vehicle.cosine, vehicle.sine)


@hot_kernel
def put(vehicle: Record, pose: Pose, speed: float, state: int) -> None:
    """Give a vehicle of type VEHICLE a new pose, speed in m/s and state."""
    heading = wrapped(pose.heading)
    if heading != pose.heading:
        pose = pose_at(pose.x, pose.y, heading)
    vehicle.x, vehicle.y, vehicle.heading = pose.x, pose.y, pose.heading
    vehicle.cosine, vehicle.sine = pose.cosine, pose.sine
    vehicle.speed, vehicle.state = speed, state
    vehicle.still = 0 if speed > 0 else vehicle.still + 1
