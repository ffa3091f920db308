"""Tracks made elsewhere: from the files that a recipe names to the tracks of a scene.

docs/traffic.md says in words what is taken from a file and what is refused.
"""

from __future__ import annotations

import glob
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools.errors import InputError, RecipeError
from rmtools.files import sha256_file
from rmtools.traffic.config import PLACEHOLDER
from rmtools.traffic.fcd import Placing, read_fcd
from rmtools.traffic.track_csv import read_track_csv
from rmtools.traffic.track_files import Step, fail
from rmtools.traffic.tracks import FRAME_INTERVAL_S, MAX_SPEED_MPS, State, Tracks

if TYPE_CHECKING:
    from rmtools.grid import Grid
    from rmtools.scene import Scene
    from rmtools.traffic.config import TrackFiles, TrafficConfig
    from rmtools.types import BoolArray, FloatArray

MAX_GAP_S = 1.0
"""Longest time between two moments of a file that positions are interpolated over; SUMO's
default step."""

STANDING_MPS = 0.1
"""A vehicle up to this speed counts as waiting, as in SUMO."""

MAX_DISTANCE_M = 50_000.0
"""If all vehicles are farther than this from a tile, the coordinates are not what they seem."""

TIME_TOLERANCE_S = 1e-6
SPEED_TOLERANCE_MPS = 1e-3


# -- which files ---------------------------------------------------------------------------------


def identify_files(source: TrackFiles) -> dict[str, Any]:
    """Names and SHA-256 of all files that match, and of the net: for keys and provenance.

    Returns
    -------
    dict
        ``files``: digests by name, counted from the last folder that is the same for all;
        ``net``: name and digest, or None.

    Raises
    ------
    InputError
        No file matches, or the net is not there.
    """
    fixed, pieces = _split(source.files)
    pattern = "*".join(glob.escape(piece) for piece in pieces)
    found = sorted(path for path in glob.glob(pattern) if Path(path).is_file())  # noqa: PTH207 - absolute pattern
    if not found:
        raise InputError(
            "no file of tracks there.",
            where=source.files,
            remedy="Check traffic.tracks.files; {scene}, {index} and {trajectory} stand for the "
            "scene's name and the numbers.",
        )
    net = None if source.net is None else Path(source.net)
    if net is not None and not net.is_file():
        fail(net, "no such net.", "Give the .net.xml file that SUMO ran on.")
    return {
        "files": {
            Path(path).relative_to(fixed).as_posix(): sha256_file(Path(path)) for path in found
        },
        "net": None if net is None else {"name": net.name, "sha256": sha256_file(net)},
    }


def _split(files: str) -> tuple[Path, list[str]]:
    """Folder that all files of a pattern are in, and the text between the placeholders."""
    pieces = PLACEHOLDER.sub("\0", files).split("\0")
    return Path(pieces[0] + "x").parent, pieces


def file_of(source: TrackFiles, scene: str, index: int, trajectory: int) -> Path:
    """File of one trajectory of a scene."""
    values = {"scene": scene, "index": index, "trajectory": trajectory}
    return Path(
        PLACEHOLDER.sub(lambda m: f"{values[m[1]]:{m[2] + 'd' if m[2] else ''}}", source.files)
    )


# -- from files to tracks ------------------------------------------------------------------------


def import_tracks(scene: Scene, index: int, config: TrafficConfig) -> list[Tracks]:
    """Tracks of all trajectories of a scene from the files that the recipe names.

    Parameters
    ----------
    scene
        Vehicles are there while their centre is on its tile.
    index
        Number of the scene in the dataset, for ``{index}``.
    config
        With ``tracks`` set.

    Returns
    -------
    list of Tracks
        One for each trajectory, ``config.frames`` frames of ``config.vehicles`` slots. A vehicle
        keeps its slot; slots are given in the order in which vehicles appear on the tile.

    Raises
    ------
    InputError
        A file is missing, broken, too short, or not about this place.
    RecipeError
        More vehicles than slots (the message says how many are needed), or scene and tracks have
        no common ground.
    """
    source = config.tracks
    if source is None:
        msg = "config.tracks is not set"
        raise ValueError(msg)
    placing = None
    if source.kind == "fcd":
        placing = Placing(scene.frame, source, config.vehicle_length_m)
    files = [file_of(source, scene.name, index, t) for t in range(config.trajectories)]
    found: list[Tracks] = []
    for path in dict.fromkeys(files):
        steps, windows = _read(path, files.count(path), scene, config, source, placing)
        found += [_tracks(path, steps, times, scene.grid, config) for times in windows]
    slots = [tracks.x.shape[1] for tracks in found]
    if max(slots) > config.vehicles:
        raise RecipeError(
            f"{max(slots)} vehicles come onto the tile of {scene.name} in trajectory "
            f"{slots.index(max(slots))}, there are {config.vehicles} slots.",
            where="traffic.vehicles",
            remedy=f"Set traffic.vehicles={max(slots)} or more.",
        )
    return [_with_slots(tracks, config.vehicles) for tracks in found]


def _read(
    path: Path,
    count: int,
    scene: Scene,
    config: TrafficConfig,
    source: TrackFiles,
    placing: Placing | None,
) -> tuple[list[Step], list[FloatArray]]:
    """Steps near a scene's tile, in local metres, and the times of frames of `count` windows."""
    begin = 0.0 if source.begin_s is None and placing is None else source.begin_s
    steps = read_track_csv(path) if placing is None else read_fcd(path)
    every = source.every_s or config.frames * FRAME_INTERVAL_S
    frames = np.arange(config.frames) * FRAME_INTERVAL_S
    near: list[Step] = []
    first = last = before = None
    nearest = np.inf
    for step in steps:
        begin = step.time_s if begin is None else begin
        first, last = step.time_s if first is None else first, step.time_s
        if step.time_s < begin - TIME_TOLERANCE_S:
            before = step  # frames lie between two steps, the first ones between this and the next
            continue
        for each in [before, step] if before else [step]:
            local = each if placing is None else placing(path, each)
            away = _distance(local, scene.grid)
            nearest = min(nearest, away.min(initial=np.inf))
            near.append(local.chosen(away <= MAX_SPEED_MPS * MAX_GAP_S))
        before = None
        if step.time_s >= begin + (count - 1) * every + frames[-1] - TIME_TOLERANCE_S:
            break
    windows = [(begin or 0.0) + k * every + frames for k in range(count)]
    if near and near[0].framed:
        _check_frames(windows)
    if first is not None and last is not None:
        _check_cover(path, (first, last), windows, whole=placing is not None)
    if MAX_DISTANCE_M < nearest < np.inf:
        fail(
            path,
            f"the nearest vehicle is {nearest / 1000:,.0f} km from the tile of {scene.name}.",
            "Check traffic.tracks.net and traffic.tracks.crs; csv has metres from the tile's "
            "south-west corner.",
        )
    return near, windows


def _check_frames(windows: list[FloatArray]) -> None:
    """Refuse windows that begin between the frames that a table counts."""
    for begin in (float(times[0]) for times in windows):
        if abs(begin - round(begin / FRAME_INTERVAL_S) * FRAME_INTERVAL_S) > TIME_TOLERANCE_S:
            raise RecipeError(
                f"{begin:g} s is no whole frame of {FRAME_INTERVAL_S:g} s.",
                where="traffic.tracks.begin_s or every_s",
                remedy="Give a multiple of it, or a table with time_s instead of frame.",
            )


def _distance(step: Step, grid: Grid) -> FloatArray:
    """How far vehicles are outside a tile along the worse axis, metres, 0 on it; shape (V,)."""
    beyond = [np.maximum(-v, v - grid.size_m) for v in (step.x, step.y)]
    return np.maximum(np.maximum(*beyond), 0.0)


def _check_cover(
    path: Path, covered: tuple[float, float], windows: list[FloatArray], *, whole: bool
) -> None:
    """Refuse a file that ends before a trajectory does (`whole`) or even begins."""
    first, last = covered
    for k, times in enumerate(windows):
        missing = times[-1] > last + TIME_TOLERANCE_S or times[0] < first - TIME_TOLERANCE_S
        if missing if whole else times[0] > last + TIME_TOLERANCE_S:
            fail(
                path,
                f"it covers {first:g} to {last:g} s; trajectory {k} of this file needs "
                f"{times[0]:g} to {times[-1]:g} s.",
                "Write a longer file, or change traffic.tracks.begin_s, traffic.tracks.every_s, "
                "traffic.frames or traffic.trajectories.",
            )


def _tracks(
    path: Path, steps: list[Step], times: FloatArray, grid: Grid, config: TrafficConfig
) -> Tracks:
    """Tracks at some times, with as many slots as there are vehicles."""
    moments = np.array([step.time_s for step in steps])
    frames = [_at(path, steps, moments, float(time)) for time in times]
    frames = [f and f.chosen(grid.contains(f.x, f.y)) for f in frames]
    names = dict.fromkeys(name for frame in frames if frame for name in frame.ids)
    slots = {name: k for k, name in enumerate(names)}
    shape = (len(times), len(slots))
    x, y, heading, speed = (np.full(shape, np.nan) for _ in range(4))
    state = np.full(shape, State.ABSENT, np.int8)
    for f, frame in enumerate(frames):
        if frame is None or not frame.ids:
            continue
        at = np.array([slots[name] for name in frame.ids])
        x[f, at], y[f, at], heading[f, at] = frame.x, frame.y, frame.heading_deg
        new = np.isnan(x[f - 1, at]) if f else np.ones(len(at), bool)
        step_m = np.hypot(x[f, at] - x[f - 1, at], y[f, at] - y[f - 1, at])
        moved = np.where(new, 0.0, step_m / FRAME_INTERVAL_S)
        _check_speed(path, frame, moved, new)
        did = np.where(moved > STANDING_MPS, State.MOVING, State.WAITING)
        if frame.speed_mps is not None:
            moved = np.where(new, 0.0, frame.speed_mps)
        if frame.state is not None:
            did = frame.state
        speed[f, at], state[f, at] = moved, np.where(new, State.SEEDED, did)
    return Tracks(x, y, heading, speed, state, config.size)


def _at(path: Path, steps: list[Step], moments: FloatArray, time: float) -> Step | None:
    """The vehicles at some time: as a step has them, or between two; None when there are none."""
    k = int(np.searchsorted(moments, time + TIME_TOLERANCE_S, "right")) - 1
    if k >= 0 and time - moments[k] <= TIME_TOLERANCE_S:
        step = steps[k]
        turned = (step.heading_deg + 180.0) % 360.0 - 180.0
        proper = (step.heading_deg >= -180.0) & (step.heading_deg < 180.0)
        return replace(step, heading_deg=np.where(proper, step.heading_deg, turned))
    if k < 0 or k + 1 == len(steps) or steps[k].framed:
        return None
    return _between(path, steps[k], steps[k + 1], time)


def _between(path: Path, before: Step, after: Step, time: float) -> Step:
    """The vehicles that two steps have in common, on the straight line between them."""
    known = set(after.ids)
    one = before.chosen(np.array([name in known for name in before.ids], bool))
    place = {name: k for k, name in enumerate(after.ids)}
    two = [place[name] for name in one.ids]
    gap = after.time_s - before.time_s
    if two and gap > MAX_GAP_S + TIME_TOLERANCE_S:
        fail(
            path,
            f"vehicle {one.ids[0]!r:.60} is known at {before.time_s:g} s and next at "
            f"{after.time_s:g} s.",
            f"Write a time step at least every {MAX_GAP_S:g} s.",
            after.lines[two[0]],
        )
    share = (time - before.time_s) / gap
    turn = (after.heading_deg[two] - one.heading_deg + 180.0) % 360.0 - 180.0
    return Step(
        time,
        one.ids,
        [after.lines[k] for k in two],
        one.x + share * (after.x[two] - one.x),
        one.y + share * (after.y[two] - one.y),
        (one.heading_deg + share * turn + 180.0) % 360.0 - 180.0,
    )


def _check_speed(path: Path, frame: Step, moved: FloatArray, new: BoolArray) -> None:
    """Refuse vehicles that did not drive, and speeds that are not those of the positions."""
    if (moved > MAX_SPEED_MPS).any():
        k = int(np.argmax(moved))
        fail(
            path,
            f"vehicle {frame.ids[k]!r:.60} moves {moved[k] * FRAME_INTERVAL_S:.1f} m in "
            f"{FRAME_INTERVAL_S:g} s.",
            "Give a vehicle that is set elsewhere a new name; sumo --time-to-teleport -1 avoids "
            "such jumps.",
            frame.lines[k],
        )
    if frame.speed_mps is None:
        return
    wrong = ~new & (np.abs(frame.speed_mps - moved) > SPEED_TOLERANCE_MPS)
    if wrong.any():
        k = int(np.argmax(wrong))
        fail(
            path,
            f"speed_mps is {frame.speed_mps[k]:g}, its way since the frame before says "
            f"{moved[k]:g}.",
            "Leave the column out: it is computed then.",
            frame.lines[k],
        )


def _with_slots(tracks: Tracks, vehicles: int) -> Tracks:
    """The tracks with more slots, which stay absent."""
    more = ((0, 0), (0, vehicles - tracks.x.shape[1]))
    fields = (tracks.x, tracks.y, tracks.heading_deg, tracks.speed_mps)
    x, y, heading, speed = (np.pad(field, more, constant_values=np.nan) for field in fields)
    state = np.pad(tracks.state, more, constant_values=State.ABSENT)
    return Tracks(x, y, heading, speed, state, tracks.size)
