"""The vehicle engine: the trajectory rules of RadioMapMotion (paper, section IV-B-1).

Written for clarity: one vehicle after the other, one rule after the other. docs/traffic.md gives
the rules in words and says which of them the paper leaves open.
"""

from __future__ import annotations

from math import atan2, cos, hypot, pi, radians, remainder, sin
from typing import TYPE_CHECKING

import numpy as np

from rmtools.seeds import generator
from rmtools.traffic.drivable import drivable_field_of
from rmtools.traffic.overlap import Pose, hits_pixels, hits_vehicles, leaves_tile
from rmtools.traffic.seeding import seed as seed_vehicles
from rmtools.traffic.tracks import FRAME_INTERVAL_S, State, Tracks

if TYPE_CHECKING:
    from rmtools.scene import Scene
    from rmtools.traffic.config import TrafficConfig
    from rmtools.traffic.drivable import DrivableField

BRAKING = (1.0, 0.5, 0.25)
"""Parts of a step that are tried before a vehicle stops."""


def generate(
    scene: Scene,
    config: TrafficConfig,
    seed: int,
    trajectory: int,
    field: DrivableField | None = None,
) -> Tracks:
    """Vehicle tracks of one trajectory of a scene.

    Parameters
    ----------
    scene
        Its roads, as far as they keep clear of buildings, are the drivable surface.
    config
        Parameters of the traffic.
    seed
        The recipe's seed; the scene's name and `trajectory` are mixed in.
    trajectory
        Number of the trajectory, from 0.
    field
        What :func:`~rmtools.traffic.drivable.drivable_field_of` made of this scene and `config`;
        made here when not given. Making it takes several times as long as the motion, so keep it
        where a scene has several trajectories.

    Returns
    -------
    Tracks
        As from :func:`simulate`.
    """
    rng = generator(seed, "tracks", scene.name, trajectory)
    if field is None:
        field = drivable_field_of(scene, config)
    return simulate(field, config, rng)


def simulate(field: DrivableField, config: TrafficConfig, rng: np.random.Generator) -> Tracks:
    """Vehicle tracks of one trajectory.

    Parameters
    ----------
    field
        The static scene, prepared for `config`.
    config
        Parameters of the traffic.
    rng
        Decides places and desired speeds; motion itself is not random.

    Returns
    -------
    Tracks
        ``config.frames`` frames of ``config.vehicles`` slots. Slots for which the road had no
        room are absent (NaN). Frame 0 is always a start: state SEEDED, speed 0.

    Raises
    ------
    ValueError
        The field was prepared for vehicles of another width or look-ahead.
    """
    made_for = field.vehicle_width_m, field.lookahead_m
    if made_for != (config.vehicle_width_m, config.lookahead_m):
        msg = (
            f"the field was made for vehicle_width_m = {made_for[0]:g} and lookahead_m = "
            f"{made_for[1]:g}, not {config.vehicle_width_m:g} and {config.lookahead_m:g}"
        )
        raise ValueError(msg)
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
    """All vehicles of a scene at one moment.

    Parameters
    ----------
    field
        The static scene.
    config
        Parameters of the traffic.
    rng
        Decides places and desired speeds.
    """

    def __init__(
        self, field: DrivableField, config: TrafficConfig, rng: np.random.Generator
    ) -> None:
        self.field, self.config, self.size = field, config, config.size
        poses = seed_vehicles(field, config, rng)
        spread = config.speed_spread
        self.desired = config.speed_mps * rng.uniform(1 - spread, 1 + spread, config.vehicles)
        self.present = np.arange(config.vehicles) < len(poses)
        self.x = np.full(config.vehicles, np.nan)
        self.y = np.full(config.vehicles, np.nan)
        self.heading = np.full(config.vehicles, np.nan)  # radians
        for v, pose in enumerate(poses):
            self.x[v], self.y[v], self.heading[v] = pose
        self.speed = np.where(self.present, 0.0, np.nan)
        self.state = np.where(self.present, State.SEEDED, State.ABSENT).astype(np.int8)
        self.still = np.zeros(config.vehicles, int)  # frames without motion up to now

    def snapshot(self) -> tuple[np.ndarray, ...]:
        """Copies of x, y, heading in degrees, speed and state, as :class:`Tracks` stores them."""
        degrees = (np.rad2deg(self.heading) + 180.0) % 360.0 - 180.0
        return self.x.copy(), self.y.copy(), degrees, self.speed.copy(), self.state.copy()

    def advance(self) -> None:
        """One frame: every vehicle in slot order, against where all others are by then."""
        for v in np.flatnonzero(self.present):
            self._advance_vehicle(int(v))

    def _advance_vehicle(self, v: int) -> None:
        here = Pose(float(self.x[v]), float(self.y[v]), float(self.heading[v]))
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
                    self._put(v, pose, part * float(self.desired[v]), state)
                    return
        # No step is possible: turn on the spot, a stuck vehicle away from where it cannot go.
        if stuck:
            options = [t for t in turns if abs(t) >= radians(self.config.probe_angle_deg / 2)]
        for turn in options:
            pose = Pose(here.x, here.y, here.heading + self.config.smoothing * turn)
            if self.trial(v, pose) is State.MOVING:
                self._put(v, pose, 0.0, verdict)
                return
        self._put(v, here, 0.0, verdict)

    def turns(self, here: Pose, *, wide: bool) -> list[float]:
        """Where a vehicle could head for, best aligned first.

        Parameters
        ----------
        here
            Its pose.
        wide
            Whether the extra probes of a stuck vehicle are used.

        Returns
        -------
        list of float
            Angles from the present heading to the road pixels seen by the probes, radians in
            [-pi, pi], left positive; of two equally good ones the right turn comes first.
        """
        config = self.config
        angles = [0.0, config.probe_angle_deg, -config.probe_angle_deg]
        if wide:
            angles += [config.wide_angle_deg, -config.wide_angle_deg]
        found = []
        for angle in angles:
            bearing = here.heading + radians(angle)
            x = here.x + config.lookahead_m * cos(bearing)
            y = here.y + config.lookahead_m * sin(bearing)
            pixel = self.field.nearest(x, y)
            if pixel and hypot(pixel[0] - x, pixel[1] - y) <= config.search_radius_m:
                bearing = atan2(pixel[1] - here.y, pixel[0] - here.x)
                found.append(remainder(bearing - here.heading, 2 * pi))
        return sorted(found, key=lambda turn: (round(abs(turn), 9), turn))

    def trial(self, v: int, pose: Pose) -> State:
        """MOVING if vehicle `v` may take a pose, WAITING or BLOCKED for what is in the way."""
        if (
            not self.field.holds(pose.x, pose.y)
            or leaves_tile(pose, self.size, self.field.grid)
            or hits_pixels(pose, self.size, self.field.obstacle, self.field.grid)
        ):
            return State.BLOCKED
        others = np.arange(self.x.size) != v
        if hits_vehicles(pose, self.size, self.x[others], self.y[others], self.heading[others]):
            return State.WAITING
        return State.MOVING

    def _put(self, v: int, pose: Pose, speed: float, state: State) -> None:
        self.x[v], self.y[v] = pose.x, pose.y
        self.heading[v] = remainder(pose.heading, 2 * pi)
        self.speed[v], self.state[v] = speed, state
        self.still[v] = 0 if speed > 0 else self.still[v] + 1
