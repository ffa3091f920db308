"""The vehicle engine without any shortcut: the oracle of the compiled one.

One vehicle after the other, one rule after the other, in plain Python. The compiled engine must
give the same bits; therefore sines and cosines are those of :mod:`math` in both, never of NumPy,
whose vectorised ones may differ in the last bit.
"""

from __future__ import annotations

from math import atan2, cos, floor, pi, radians, remainder, sin
from typing import NamedTuple

import numpy as np

from rmtools.traffic.drivable import MIN_ANISOTROPY
from rmtools.traffic.tracks import FRAME_INTERVAL_S, State, Tracks

BRAKING = (1.0, 0.5, 0.25)


class Pose(NamedTuple):
    """Centre in local metres and direction of travel in radians, counter-clockwise from east."""

    x: float
    y: float
    heading: float


# -- the scene ---------------------------------------------------------------------------------


def pixel(field, x, y):
    """Row and column of the pixel that holds a point."""
    r = field.grid.resolution_m
    return field.grid.n - 1 - floor(y / r), floor(x / r)


def holds(field, x, y):
    """Whether a point of the plane lies in a drivable pixel."""
    row, col = pixel(field, x, y)
    n = field.grid.n
    return 0 <= row < n and 0 <= col < n and bool(field.area[row, col])


def nearest(field, x, y):
    """The point itself if it is on the lane, else the centre of the nearest lane pixel, or None."""
    if not field.lane.any():
        return None
    row, col = pixel(field, x, y)
    near = field.nearest_lane[:, row + field.pad, col + field.pad]
    if tuple(near) == (row, col):
        return x, y
    r, n = field.grid.resolution_m, field.grid.n
    return (float(near[1]) + 0.5) * r, (n - float(near[0]) - 0.5) * r


# -- overlaps ----------------------------------------------------------------------------------


def half_box(heading, size):
    c, s = abs(cos(heading)), abs(sin(heading))
    half_length, half_width = size.length_m / 2, size.width_m / 2
    return half_length * c + half_width * s, half_length * s + half_width * c


def leaves_tile(pose, size, grid):
    half_x, half_y = half_box(pose.heading, size)
    return (
        min(pose.x - half_x, pose.y - half_y) < 0
        or max(pose.x + half_x, pose.y + half_y) > grid.size_m
    )


def hits_pixels(pose, size, obstacle, grid):
    """Whether a vehicle overlaps the square of any pixel of `obstacle`, shape (n, n)."""
    half_x, half_y = half_box(pose.heading, size)
    r = grid.resolution_m
    row0 = max(grid.n - 1 - floor((pose.y + half_y) / r), 0)
    row1 = max(grid.n - floor((pose.y - half_y) / r), 0)
    col0 = max(floor((pose.x - half_x) / r), 0)
    col1 = max(floor((pose.x + half_x) / r) + 1, 0)
    rows, cols = np.nonzero(obstacle[row0:row1, col0:col1])
    if not rows.size:
        return False
    x, y = grid.centre(rows + row0, cols + col0)
    dx, dy = x - pose.x, y - pose.y
    c, s = cos(pose.heading), sin(pose.heading)
    half_square = r / 2 * (abs(c) + abs(s))
    return bool(
        np.any(
            (np.abs(dx) < half_x + r / 2)
            & (np.abs(dy) < half_y + r / 2)
            & (np.abs(dx * c + dy * s) < size.length_m / 2 + half_square)
            & (np.abs(dy * c - dx * s) < size.width_m / 2 + half_square)
        )
    )


def hits_vehicle(pose, other, size):
    dx, dy = other.x - pose.x, other.y - pose.y
    turned = other.heading - pose.heading
    c, s = abs(cos(turned)), abs(sin(turned))
    along = (size.length_m * (1 + c) + size.width_m * s) / 2
    across = (size.width_m * (1 + c) + size.length_m * s) / 2
    for axis in (pose.heading, other.heading):
        if abs(dx * cos(axis) + dy * sin(axis)) >= along:
            return False
        if abs(dy * cos(axis) - dx * sin(axis)) >= across:
            return False
    return True


# -- where vehicles start ----------------------------------------------------------------------


def clockwise_heading(x, y, street, centre):
    turn = (x - centre) * sin(street) - (y - centre) * cos(street)
    return street if turn <= 0 else atan2(-sin(street), -cos(street))


def seed(field, config, rng):
    """Random start poses on the road, at most ``config.vehicles``."""
    grid, size, centre = field.grid, config.size, field.grid.size_m / 2
    rows, cols = np.nonzero(field.area)
    undirected = field.anisotropy[rows, cols] < MIN_ANISOTROPY
    order = rng.permutation(rows.size)
    order = order[np.argsort(undirected[order], kind="stable")]
    xs, ys = grid.centre(rows, cols)
    taken = np.zeros(rows.size, bool)
    poses = []
    for i in order:
        if len(poses) == config.vehicles:
            break
        if taken[i]:
            continue
        x, y = float(xs[i]), float(ys[i])
        street = float(field.street[rows[i], cols[i]])
        if undirected[i]:
            street = atan2(centre - x, y - centre)
        pose = Pose(x, y, clockwise_heading(x, y, street, centre))
        if (
            leaves_tile(pose, size, grid)
            or hits_pixels(pose, size, field.obstacle, grid)
            or any(hits_vehicle(pose, other, size) for other in poses)
        ):
            continue
        poses.append(pose)
        taken |= (xs - x) ** 2 + (ys - y) ** 2 < config.min_spacing_m**2
    return poses


# -- motion ------------------------------------------------------------------------------------


def simulate(field, config, rng):
    """Vehicle tracks of one trajectory."""
    traffic = Traffic(field, config, rng)
    for _ in range(config.warmup_frames):
        traffic.advance()
    traffic.state[traffic.present] = State.SEEDED
    traffic.speed[traffic.present] = 0.0
    frames = [traffic.snapshot()]
    for _ in range(config.frames - 1):
        traffic.advance()
        frames.append(traffic.snapshot())
    x, y, heading, speed, state = (np.stack(values) for values in zip(*frames, strict=True))
    return Tracks(x, y, heading, speed, state, config.size)


class Traffic:
    """All vehicles of a scene at one moment."""

    def __init__(self, field, config, rng):
        self.field, self.config, self.size = field, config, config.size
        poses = seed(field, config, rng)
        spread = config.speed_spread
        self.desired = config.speed_mps * rng.uniform(1 - spread, 1 + spread, config.vehicles)
        self.present = np.arange(config.vehicles) < len(poses)
        self.x, self.y, self.heading = np.full((3, config.vehicles), np.nan)
        for v, pose in enumerate(poses):
            self.x[v], self.y[v], self.heading[v] = pose
        self.speed = np.where(self.present, 0.0, np.nan)
        self.state = np.where(self.present, State.SEEDED, State.ABSENT).astype(np.int8)
        self.still = np.zeros(config.vehicles, int)  # frames without motion up to now

    def snapshot(self):
        """Copies of x, y, heading in degrees, speed and state, as :class:`Tracks` stores them."""
        degrees = (np.rad2deg(self.heading) + 180.0) % 360.0 - 180.0
        return self.x.copy(), self.y.copy(), degrees, self.speed.copy(), self.state.copy()

    def advance(self):
        """One frame: every vehicle in slot order, against where all others are by then."""
        for v in np.flatnonzero(self.present):
            self.advance_vehicle(int(v))

    def pose(self, v):
        return Pose(float(self.x[v]), float(self.y[v]), float(self.heading[v]))

    def advance_vehicle(self, v):
        here = self.pose(v)
        stuck = bool(self.still[v] > self.config.stuck_frames)
        turns = self.turns(here, wide=stuck)
        # Best aligned only; a stuck vehicle takes the best aligned of those that let it move.
        options = turns if stuck else turns[:1]
        step = float(self.desired[v]) * FRAME_INTERVAL_S
        verdict = State.BLOCKED
        for turn in options:
            heading = here.heading + self.config.smoothing * turn
            for part in BRAKING:
                pose = Pose(
                    here.x + part * step * cos(heading),
                    here.y + part * step * sin(heading),
                    heading,
                )
                verdict = self.trial(v, pose)
                if verdict is State.MOVING:
                    state = State.MOVING if part == BRAKING[0] else State.SLOWED
                    self.put(v, pose, part * float(self.desired[v]), state)
                    return
        # No step is possible: turn on the spot, a stuck vehicle away from where it cannot go.
        if stuck:
            options = [t for t in turns if abs(t) >= radians(self.config.probe_angle_deg / 2)]
        for turn in options:
            pose = Pose(here.x, here.y, here.heading + self.config.smoothing * turn)
            if self.trial(v, pose) is State.MOVING:
                self.put(v, pose, 0.0, verdict)
                return
        self.put(v, here, 0.0, verdict)

    def turns(self, here, *, wide):
        """Angles from the heading to the road pixels seen by the probes, best aligned first."""
        config = self.config
        angles = [0.0, config.probe_angle_deg, -config.probe_angle_deg]
        if wide:
            angles += [config.wide_angle_deg, -config.wide_angle_deg]
        found = []
        for angle in angles:
            bearing = here.heading + radians(angle)
            x = here.x + config.lookahead_m * cos(bearing)
            y = here.y + config.lookahead_m * sin(bearing)
            seen = nearest(self.field, x, y)
            if seen == (x, y):
                found.append(radians(angle))
            elif seen and squared(seen[0] - x, seen[1] - y) <= squared(config.search_radius_m):
                bearing = atan2(seen[1] - here.y, seen[0] - here.x)
                found.append(remainder(bearing - here.heading, 2 * pi))
        # Of two equally good ones straight ahead comes first, then the right one.
        return sorted(found, key=lambda turn: (round(abs(turn) * 1e9), turn != 0, turn))

    def trial(self, v, pose):
        """MOVING if vehicle `v` may take a pose, WAITING or BLOCKED for what is in the way."""
        if (
            not holds(self.field, pose.x, pose.y)
            or leaves_tile(pose, self.size, self.field.grid)
            or hits_pixels(pose, self.size, self.field.obstacle, self.field.grid)
        ):
            return State.BLOCKED
        reach = self.size.length_m + self.size.width_m
        near = (np.abs(self.x - pose.x) < reach) & (np.abs(self.y - pose.y) < reach)
        for other in np.flatnonzero(near):
            if other != v and hits_vehicle(pose, self.pose(other), self.size):
                return State.WAITING
        return State.MOVING

    def put(self, v, pose, speed, state):
        self.x[v], self.y[v] = pose.x, pose.y
        self.heading[v] = remainder(pose.heading, 2 * pi)
        self.speed[v], self.state[v] = speed, state
        self.still[v] = 0 if speed > 0 else self.still[v] + 1


def squared(*parts):
    """Sum of the squares."""
    return sum(part * part for part in parts)
