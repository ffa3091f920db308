"""What the report counts, gathered one sequence at a time.

Only one sequence (all frames of a scene, trajectory and transmitter) is ever in memory. Very
large datasets are sampled evenly; the statistics say how many sequences they rest on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rmtools.traffic.tracks import State
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from rmtools.store import Store
    from rmtools.types import FloatArray, IntArray
    from rmtools.units import GreyScale

MAX_SEQUENCES = 1000
"""Sequences looked at; more are sampled evenly."""

_UNCHANGED_DB = 1.0 / 256.0  # half of the store's step


@dataclass
class Histogram:
    """Counts of values in equal bins; values outside are counted in the first or last bin."""

    low: float
    high: float
    counts: IntArray

    @classmethod
    def empty(cls, low: float, high: float, bins: int) -> Histogram:
        """A histogram without values."""
        return cls(low, high, np.zeros(bins, np.int64))

    def add(self, values: FloatArray) -> None:
        """Count finite values of any shape."""
        bins = len(self.counts)
        flat = np.ravel(values)
        width = (self.high - self.low) / bins
        index = np.clip((flat - self.low) / width, 0, bins - 1).astype(np.intp)
        self.counts += np.bincount(index, minlength=bins)

    @property
    def edges(self) -> FloatArray:
        """Bin edges, shape (bins + 1,)."""
        return np.linspace(self.low, self.high, len(self.counts) + 1)

    @property
    def total(self) -> int:
        """Number of values."""
        return int(self.counts.sum())


@dataclass
class Moment:
    """Sum of squares and number of values."""

    squares: float = 0.0
    count: int = 0

    def add(self, values: FloatArray) -> None:
        """Take in values of any shape."""
        self.squares += float(np.sum(np.square(values, dtype=np.float64)))
        self.count += values.size

    @property
    def mean_square(self) -> float | None:
        """Mean of the squares; None without values."""
        return self.squares / self.count if self.count else None

    @property
    def rms(self) -> float | None:
        """Root of the mean square; None without values."""
        return None if self.mean_square is None else self.mean_square**0.5


@dataclass
class Statistics:
    """Everything the report says in numbers.

    Attributes
    ----------
    sequences, available, empty
        Sequences looked at, in the store, and among the first those without any value.
    loss, change
        Path loss, and change of path loss from each frame to the next where it changed, in dB.
    changed, compared
        Pixels that changed from a frame to the next, and pixels compared.
    from_first
        RMS change in dB between the first frame and each later one.
    repeat_context, repeat_targets
        Frame that Last-Frame Repeat would repeat, and the frames it would be compared with.
    repeat_error, target_power
        Error of that repetition and value of the target frames, normalised to 0...1 by the grey
        scale over all pixels, buildings (0) included, as the papers compute them.
    clipped
        Computed pixels outside the grey scale.
    vehicles, speed
        Vehicles per trajectory; their speeds in m/s in all frames but those they appear in.
    building_share
        Share of building pixels of each scene.
    """

    sequences: int = 0
    available: int = 0
    empty: int = 0
    loss: Histogram = field(default_factory=lambda: Histogram.empty(0.0, 250.0, 250))
    change: Histogram = field(default_factory=lambda: Histogram.empty(-20.0, 20.0, 80))
    changed: int = 0
    compared: int = 0
    consecutive: Moment = field(default_factory=Moment)
    from_first: list[Moment] = field(default_factory=list)
    repeat_context: int = 0
    repeat_targets: tuple[int, int] = (0, 0)
    repeat_error: Moment = field(default_factory=Moment)
    target_power: Moment = field(default_factory=Moment)
    clipped: int = 0
    vehicles: list[int] = field(default_factory=list)
    speed: Histogram = field(default_factory=lambda: Histogram.empty(0.0, 20.0, 40))
    building_share: list[float] = field(default_factory=list)


def target_window(frames: int) -> tuple[int, tuple[int, int]] | None:
    """Last context frame, and first and last target frame.

    Fifteen frames or more: frame 9 and frames 10 to 14, as in RadioMapMotion. Fewer: the last
    third are targets. None for a single frame.
    """
    if frames < 2:
        return None
    if frames >= 15:
        return 9, (10, 14)
    first = max(frames - max(frames // 3, 1), 1)
    return first - 1, (first, frames - 1)


def sampled(total: int, most: int) -> list[int]:
    """At most `most` of ``range(total)``, evenly spaced, first and last among them."""
    if total <= most:
        return list(range(total))
    return np.linspace(0, total - 1, most).round().astype(int).tolist()


def collect(
    store: Store, scale: GreyScale = MOTION_SCALE, max_sequences: int = MAX_SEQUENCES
) -> Statistics:
    """Gather the statistics of a store, whatever stages have run.

    Parameters
    ----------
    scale
        Normalises path loss for the comparison with published figures.
    max_sequences
        Bound on the sequences looked at.
    """
    sizes = store.sizes
    found = Statistics(from_first=[Moment() for _ in range(sizes.frame)])
    found.building_share = [float(store.buildings(s).mean()) for s in range(sizes.scene)]
    if store.has("vehicles"):
        for unit in sampled(sizes.scene * sizes.traj, max_sequences):
            tracks = store.tracks(*divmod(unit, sizes.traj))
            found.vehicles.append(int(tracks.present.sum()))
            found.speed.add(tracks.speed_mps[tracks.state > State.SEEDED])
    if not store.has("pathloss"):
        _add_static_maps(found, store, scale, max_sequences)
        return found
    window = target_window(sizes.frame)
    if window:
        found.repeat_context, found.repeat_targets = window
    per_scene = sizes.traj * sizes.tx
    found.available = sizes.scene * per_scene
    for sequence in sampled(found.available, max_sequences):
        s, rest = divmod(sequence, per_scene)
        t, k = divmod(rest, sizes.tx)
        _add_sequence(found, store.pathloss(s, t, k), scale)
    return found


def _add_static_maps(found: Statistics, store: Store, scale: GreyScale, max_maps: int) -> None:
    """Maps of a dataset without trajectories, each a sequence of one frame."""
    if store.has("pathloss_static"):
        found.available = store.sizes.scene * store.sizes.tx
        for chosen in sampled(found.available, max_maps):
            _add_sequence(found, store.static_map(*divmod(chosen, store.sizes.tx))[None], scale)


def _add_sequence(found: Statistics, pathloss_db: FloatArray, scale: GreyScale) -> None:
    found.sequences += 1
    finite = np.isfinite(pathloss_db)
    if not finite.any():
        found.empty += 1
        return
    values = pathloss_db[finite]
    found.loss.add(values)
    found.clipped += int(((values > -scale.gain_min_db) | (values < -scale.gain_max_db)).sum())
    for f in range(1, len(pathloss_db)):
        step = pathloss_db[f] - pathloss_db[f - 1]
        step = step[np.isfinite(step)]
        moved = step[np.abs(step) > _UNCHANGED_DB]
        found.compared += step.size
        found.changed += moved.size
        found.change.add(moved)
        found.consecutive.add(step)
        whole = pathloss_db[f] - pathloss_db[0]
        found.from_first[f].add(whole[np.isfinite(whole)])
    first, last = found.repeat_targets
    if last:
        levels = scale.encode(pathloss_db[found.repeat_context : last + 1]) / 255.0
        targets = levels[first - found.repeat_context :]
        found.repeat_error.add(targets - levels[0])
        found.target_power.add(targets)
