"""What the report counts, gathered one sequence at a time.

What a sequence (all frames of a scene, trajectory and transmitter) adds is kept, not the sequence.
Very large datasets are sampled evenly; the statistics say how many sequences they rest on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rmtools.report.series import MAX_LAG, moving_pixels, partial_autocorrelation
from rmtools.traffic.tracks import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmtools.report.reader import Reader
    from rmtools.types import FloatArray, IntArray
    from rmtools.units import GreyScale

Index = tuple[int, int, int]
"""Scene, trajectory, transmitter."""

MAX_SEQUENCES = 1000
"""Sequences looked at; more are sampled evenly."""

_OF_TRACKS = ("speed", "state")
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

    def add(self, values: FloatArray, times: int = 1) -> None:
        """Count finite values of any shape, each so many times."""
        bins = len(self.counts)
        flat = np.ravel(values)
        width = (self.high - self.low) / bins
        index = np.clip((flat - self.low) / width, 0, bins - 1).astype(np.intp)
        self.counts += times * np.bincount(index, minlength=bins)

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

    def add(self, values: FloatArray, count: int, times: int = 1) -> None:
        """Take in values of any shape, so many times, of `count` values whose rest are zero."""
        self.squares += times * float(np.sum(np.square(values, dtype=np.float64)))
        self.count += count

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
    memory, memory_size
        Partial autocorrelation at lags 1, 2, ...: mean over the pixels of a sequence that change
        and over all sequences, and the same of its magnitude.
    remembering
        Sequences in that mean: those in which any pixel changes.
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
    memory: FloatArray = field(default_factory=lambda: np.zeros(0))
    memory_size: FloatArray = field(default_factory=lambda: np.zeros(0))
    remembering: int = 0
    repeat_context: int = 0
    repeat_targets: tuple[int, int] = (0, 0)
    repeat_error: Moment = field(default_factory=Moment)
    target_power: Moment = field(default_factory=Moment)
    clipped: int = 0
    vehicles: list[int] = field(default_factory=list)
    speed: Histogram = field(default_factory=lambda: Histogram.empty(0.0, 20.0, 40))
    building_share: list[float] = field(default_factory=list)

    @classmethod
    def begin(cls, reader: Reader, most: int) -> Statistics:
        """Those of scenes and traffic; at most `most` trajectories are looked at."""
        sizes = reader.sizes
        lags = np.zeros(max(min(sizes.frame - 1, MAX_LAG), 0))
        found = cls(
            from_first=[Moment() for _ in range(sizes.frame)],
            memory=lags,
            memory_size=lags.copy(),
            building_share=[float(reader.buildings(s).mean()) for s in range(sizes.scene)],
        )
        if reader.store.has("vehicles"):
            for unit in sampled(sizes.scene * sizes.traj, most):
                index = divmod(unit, sizes.traj)
                speed, state = (reader.block(f"track_{what}", *index) for what in _OF_TRACKS)
                found.vehicles.append(int((state != State.ABSENT).any(axis=0).sum()))
                found.speed.add(speed[state > State.SEEDED])
        found.available = sizes.scene * reader.trajectories * sizes.tx
        if window := target_window(reader.frames):
            found.repeat_context, found.repeat_targets = window
        return found

    def add(self, pathloss_db: FloatArray, scale: GreyScale) -> None:
        """Take in a sequence, shape (frame, n, n), NaN where not computed.

        Most pixels never change; they are counted once and multiplied.
        """
        self.sequences += 1
        frames = len(pathloss_db)
        values = pathloss_db.reshape(frames, -1)
        still = (values == values[0]).all(axis=0) & np.isfinite(values[0])
        others = values[:, ~still]
        others = others[:, np.isfinite(others).any(axis=0)]
        rest = values[0, still]
        if not rest.size and not others.size:
            self.empty += 1
            return
        low, high = -scale.gain_max_db, -scale.gain_min_db
        computed = others[np.isfinite(others)]
        for part, times in ((rest, frames), (computed, 1)):
            self.loss.add(part, times)
            self.clipped += times * int(((part < low) | (part > high)).sum())
        self._add_steps(others, rest.size)
        self._add_memory(others[:, np.isfinite(others).all(axis=0)])
        first, last = self.repeat_targets
        if last:
            context = self.repeat_context
            levels = scale.encode(others[context : last + 1]) / 255.0
            targets = levels[first - context :]
            everywhere = len(targets) * values.shape[1]
            self.repeat_error.add(targets - levels[0], everywhere)
            self.target_power.add(targets, everywhere)
            self.target_power.add(scale.encode(rest) / 255.0, 0, times=len(targets))

    def _add_steps(self, values: FloatArray, still: int) -> None:
        """Changes from frame to frame, shape (frame, pixels), and of so many pixels that rest."""
        for f in range(1, len(values)):
            step, whole = (_finite(values[f] - values[before]) for before in (f - 1, 0))
            moved = step[np.abs(step) > _UNCHANGED_DB]
            self.compared += step.size + still
            self.changed += moved.size
            self.change.add(moved)
            self.consecutive.add(step, step.size + still)
            self.from_first[f].add(whole, whole.size + still)

    def _add_memory(self, values: FloatArray) -> None:
        """Partial autocorrelation of pixels that have a value in all frames."""
        if not len(self.memory) or not values.size:
            return
        series = moving_pixels(values)
        if series.shape[1]:
            lags = partial_autocorrelation(series, len(self.memory))
            self.memory += lags.mean(axis=1)
            self.memory_size += np.abs(lags).mean(axis=1)
            self.remembering += 1


def _finite(values: FloatArray) -> FloatArray:
    return values[np.isfinite(values)]


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
    if most < 2:
        return [total // 2] * most
    return np.linspace(0, total - 1, most).round().astype(int).tolist()


def chosen_sequences(
    reader: Reader, shown: Sequence[Index] = (), most: int = MAX_SEQUENCES
) -> list[Index]:
    """The sequences to look at, in order; a map without vehicles is one of trajectory 0.

    Parameters
    ----------
    reader
        The dataset.
    shown
        Sequences that are read anyway, spread evenly over the dataset; they are taken first.
    most
        How many; the rest is spread evenly, too.
    """
    shape = reader.sizes.scene, reader.trajectories, reader.sizes.tx
    total = math.prod(shape)
    taken = {shown[i] for i in sampled(len(shown), most)} if total > most else set()
    for i in sampled(total, max(most - len(taken), 0)):
        s, t, k = np.unravel_index(i, shape)
        taken.add((int(s), int(t), int(k)))
    return sorted(taken)
