"""The vehicle engine: the trajectory rules of RadioMapMotion (paper, section IV-B-1).

docs/traffic.md gives the rules in words and says which of them the paper leaves open; the rules
themselves are in :mod:`rmtools.traffic.motion` and :mod:`rmtools.traffic.seeding`. Trajectories
go through them in batches: all of a scene in one call of compiled code.
"""

from __future__ import annotations

from math import ceil, cos, hypot, radians, sin
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import maximum_filter

from rmtools.seeds import generator
from rmtools.traffic.drivable import drivable_field_of
from rmtools.traffic.motion import CELL, CLEAR, NARROW, NO_ROAD, RULES, VEHICLE, drive
from rmtools.traffic.seeding import seed as seed_vehicles
from rmtools.traffic.tracks import State, Tracks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from rmtools.grid import Grid
    from rmtools.scene import Scene
    from rmtools.traffic.config import TrafficConfig
    from rmtools.traffic.drivable import DrivableField
    from rmtools.types import FloatArray


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
        made here when not given. Making it takes many times as long as the motion, so keep it
        where a scene has several trajectories.

    Returns
    -------
    Tracks
        As from :func:`simulate`.
    """
    if field is None:
        field = drivable_field_of(scene, config)
    return simulate(field, config, generator(seed, "tracks", scene.name, trajectory))


def generate_scene(scene: Scene, config: TrafficConfig, seed: int) -> list[Tracks]:
    """Vehicle tracks of all ``config.trajectories`` of a scene, as from :func:`generate`."""
    field = drivable_field_of(scene, config)
    names = range(config.trajectories)
    rngs = [generator(seed, "tracks", scene.name, trajectory) for trajectory in names]
    return simulate_batch([field], config, [rngs])[0]


def simulate(field: DrivableField, config: TrafficConfig, rng: np.random.Generator) -> Tracks:
    """Vehicle tracks of one trajectory, see :func:`simulate_batch`."""
    return simulate_batch([field], config, [[rng]])[0][0]


def simulate_batch(
    fields: Iterable[DrivableField],
    config: TrafficConfig,
    rngs: Iterable[Sequence[np.random.Generator]],
) -> list[list[Tracks]]:
    """Vehicle tracks of any number of trajectories in any number of scenes.

    Parameters
    ----------
    fields
        The static scenes, prepared for `config`.
    config
        Parameters of the traffic.
    rngs
        For every scene one generator for each of its trajectories. They decide places and desired
        speeds; motion itself is not random.

    Returns
    -------
    list of list of Tracks
        For every scene and trajectory ``config.frames`` frames of ``config.vehicles`` slots. Slots
        for which the road had no room are absent (NaN). Frame 0 is always a start: state SEEDED,
        speed 0.

    Raises
    ------
    ValueError
        A field was prepared for vehicles of another width or look-ahead, or there are not as many
        sequences of generators as fields.
    """
    return [_drive(field, config, own) for field, own in zip(fields, rngs, strict=True)]


def _drive(
    field: DrivableField, config: TrafficConfig, rngs: Sequence[np.random.Generator]
) -> list[Tracks]:
    """All trajectories of one scene."""
    made_for = field.vehicle_width_m, field.lookahead_m
    if made_for != (config.vehicle_width_m, config.lookahead_m):
        msg = (
            f"the field was made for vehicle_width_m = {made_for[0]:g} and lookahead_m = "
            f"{made_for[1]:g}, not {config.vehicle_width_m:g} and {config.lookahead_m:g}"
        )
        raise ValueError(msg)
    poses = seed_vehicles(field, config, rngs)
    desired = np.reshape([desired_speeds(config, rng) for rng in rngs], poses.shape[1:])
    x, y, heading, speed = np.empty((4, len(rngs), config.frames, config.vehicles))
    state = np.empty(x.shape, np.int8)
    drive(
        cells_of(field, config),
        field.obstacle,
        rules_of(config, field.grid),
        fleet_of(poses, desired),
        config.warmup_frames,
        (x, y, heading, speed, state),
    )
    degrees = (np.rad2deg(heading) + 180.0) % 360.0 - 180.0
    tracks = zip(x, y, degrees, speed, state, strict=True)
    return [Tracks(*arrays, config.size) for arrays in tracks]


def desired_speeds(config: TrafficConfig, rng: np.random.Generator) -> FloatArray:
    """Random speeds in m/s that vehicles drive with nothing in the way, shape (V,)."""
    spread = config.speed_spread
    return config.speed_mps * rng.uniform(1 - spread, 1 + spread, config.vehicles)


def fleet_of(poses: FloatArray, desired: FloatArray) -> NDArray[np.void]:
    """Vehicles that have not moved yet.

    Parameters
    ----------
    poses
        x and y in metres and headings in radians, shape (3, ...), NaN in slots that are not used.
    desired
        Their desired speeds in m/s, shape (...).

    Returns
    -------
    ndarray of VEHICLE, shape (...)
    """
    fleet = np.zeros(desired.shape, VEHICLE)
    fleet["x"], fleet["y"], fleet["heading"] = poses
    # By the same functions as in compiled code; those of NumPy may differ in the last bit.
    fleet["cosine"] = np.reshape([cos(angle) for angle in poses[2].flat], desired.shape)
    fleet["sine"] = np.reshape([sin(angle) for angle in poses[2].flat], desired.shape)
    fleet["desired"] = desired
    absent = np.isnan(poses[0])
    fleet["speed"] = np.where(absent, np.nan, 0.0)
    fleet["state"] = np.where(absent, State.ABSENT, State.SEEDED)
    return fleet


def cells_of(field: DrivableField, config: TrafficConfig) -> NDArray[np.void]:
    """A field as the compiled rules take it, of type CELL, shape (n + 2 pad, n + 2 pad)."""
    half_diagonal = hypot(config.vehicle_length_m, config.vehicle_width_m) / 2
    # A hair more than a vehicle reaches, so that no rounding error makes a pixel clear.
    reach = ceil(half_diagonal / field.grid.resolution_m + 1e-6)
    tight = maximum_filter(field.obstacle, 2 * reach + 1, mode="constant", cval=1)
    cells = np.empty(field.nearest_lane.shape[1:], CELL)
    cells["lane_row"], cells["lane_col"] = field.nearest_lane
    cells["room"] = NO_ROAD
    tile = slice(field.pad, field.pad + field.grid.n)
    cells["room"][tile, tile][field.area] = np.where(tight, NARROW, CLEAR)[field.area]
    return cells


def rules_of(config: TrafficConfig, grid: Grid) -> np.void:
    """The parameters as the compiled rules take them, of type RULES."""
    side, wide = radians(config.probe_angle_deg), radians(config.wide_angle_deg)
    rules = np.zeros(1, RULES)
    rules["r"] = grid.resolution_m
    rules["length"] = config.vehicle_length_m
    rules["width"] = config.vehicle_width_m
    rules["lookahead"] = config.lookahead_m
    rules["search_radius"] = config.search_radius_m
    rules["probes"] = 0.0, side, -side, wide, -wide
    rules["stuck_frames"] = config.stuck_frames
    rules["least_turn"] = radians(config.probe_angle_deg / 2)
    rules["smoothing"] = config.smoothing
    return rules[0]
