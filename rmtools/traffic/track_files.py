"""Files with tracks made elsewhere: what their readers have in common.

Files may be of any size and come from anywhere, so they are read piece by piece, packed or not,
and every bound is checked while reading.
"""

from __future__ import annotations

import contextlib
import gzip
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from rmtools.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rmtools.types import BoolArray, FloatArray, IntArray

MAX_TRACK_BYTES = 64 * 2**30
"""Unpacked; a day of ten thousand vehicles, ten times a second, is larger than anyone simulates
for frames of 0.1 s."""

MAX_VEHICLES_PER_STEP = 1_000_000
"""Vehicles at one moment of one file."""


@dataclass(frozen=True)
class Step:
    """All vehicles of a file at one moment, V of them.

    Attributes
    ----------
    time_s
        Time in the file.
    ids
        Names of the vehicles, each once, in the order of the file.
    lines
        Lines of the file they stand in, for messages.
    x, y, heading_deg
        Whatever the file holds, float64, shape (V,).
    speed_mps, state
        Shape (V,); None when the file does not state them.
    framed
        The file counts frames: nothing is between two steps, and a missing frame has no vehicles.
    """

    time_s: float
    ids: list[str]
    lines: list[int]
    x: FloatArray
    y: FloatArray
    heading_deg: FloatArray
    speed_mps: FloatArray | None = None
    state: IntArray | None = None
    framed: bool = False

    def chosen(self, which: BoolArray) -> Step:
        """The step with some of its vehicles only."""
        kept = np.flatnonzero(which).tolist()
        return replace(
            self,
            ids=[self.ids[k] for k in kept],
            lines=[self.lines[k] for k in kept],
            x=self.x[which],
            y=self.y[which],
            heading_deg=self.heading_deg[which],
            speed_mps=None if self.speed_mps is None else self.speed_mps[which],
            state=None if self.state is None else self.state[which],
        )


class TrackStream:
    """A file opened for reading, unpacked when its name ends in ``.gz``, and bounded in size.

    Use as a context manager.

    Raises
    ------
    InputError
        Missing, damaged, or longer than :data:`MAX_TRACK_BYTES`.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            fail(path, "no such file.", "Check traffic.tracks in the recipe.")
        self.path, self._count = path, 0
        packed = path.name.lower().endswith(".gz")
        self._handle = gzip.GzipFile(path) if packed else path.open("rb")

    def __enter__(self) -> TrackStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end."""
        with self._explained():
            return self._counted(self._handle.read(size))

    def readline(self, size: int) -> bytes:
        """One line, or its first `size` bytes; empty at the end."""
        with self._explained():
            return self._counted(self._handle.readline(size))

    def _counted(self, data: bytes) -> bytes:
        self._count += len(data)
        if self._count > MAX_TRACK_BYTES:
            fail(
                self.path,
                f"more than {MAX_TRACK_BYTES:,} bytes (unpacked).",
                "Write shorter simulations, or only the vehicles near the scenes.",
            )
        return data

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"cannot be unpacked ({error}).",
                where=self.path,
                remedy="The file is damaged or was cut off; write or copy it again.",
            ) from error


def fail(path: Path, what: str, remedy: str, line: int | None = None) -> NoReturn:
    """Raise an :class:`InputError` about a line of a file."""
    where = str(path) if line is None else f"{path}, line {line}"
    raise InputError(what, where=where, remedy=remedy)
