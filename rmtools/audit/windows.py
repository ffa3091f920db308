"""Sliding windows: a piece of JSON that says which frames of a sequence each set looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rmtools.audit.model import Level, Pair, found, passed
from rmtools.audit.sets import shared_by_sets
from rmtools.errors import InputError
from rmtools.files import read_model

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.splits.manifest import SplitManifest


class SetWindows(BaseModel):
    """Where the windows of one set begin."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first_frame: int = Field(default=0, ge=0, description="First frame of the first window")
    last_frame: int | None = Field(
        default=None, ge=0, description="Last frame of the last window, null for that of a sequence"
    )
    stride: int = Field(default=1, ge=1, description="Frames from one window to the next")
    starts: list[int] | None = Field(
        default=None, min_length=1, description="First frames one by one, instead of a range"
    )


class Windows(BaseModel):
    """How sequences are cut into windows of context and horizon.

    RadioMapMotion's released code has context 8 and horizon 5 and begins at frame 2, its paper
    context 10 and horizon 5.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["windows"] = "windows"
    format: Literal[1] = 1
    context: int = Field(ge=1, description="Frames that a model is given")
    horizon: int = Field(ge=0, description="Frames that it predicts")
    frames: int = Field(ge=1, description="Frames of a sequence")
    sets: dict[str, SetWindows] = Field(
        default_factory=dict, description="Sets that do not use every window of a sequence"
    )

    @model_validator(mode="after")
    def _fits(self) -> Windows:
        for name in self.sets:
            if not self.covered(name) or max(self.covered(name)) >= self.frames:
                raise ValueError(f"the windows of {name!r} do not fit into {self.frames} frames")
        return self

    def covered(self, name: str) -> set[int]:
        """Frames of a sequence that the windows of a set hold."""
        rule, length = self.sets.get(name, SetWindows()), self.context + self.horizon
        last = self.frames - 1 if rule.last_frame is None else rule.last_frame
        starts = rule.starts or range(rule.first_frame, last - length + 2, rule.stride)
        return {frame for start in starts for frame in range(start, start + length)}


def read_windows(path: Path) -> Windows:
    """Read a description of windows.

    Raises
    ------
    InputError
        Missing, not JSON, or a member is missing or wrong.
    """
    return read_model(
        path, Windows, "a description of windows", "docs/audit.md shows what it looks like."
    )


def check_windows(
    manifest: SplitManifest, sizes: tuple[int, int], windows: Windows | None
) -> Level:
    """Look for frames that are in windows of two sets.

    Raises
    ------
    InputError
        The windows are of a set that the split does not have.
    """
    if windows is not None and (unknown := set(windows.sets) - set(manifest.sets)):
        raise InputError(
            f"there are windows of the set {min(unknown)!r}, which the split does not have.",
            where=manifest.name,
            remedy=f"It has {', '.join(manifest.sets)}.",
        )
    shared = [each for each in shared_by_sets(manifest, sizes) if each.count("sequences")]
    if not shared:
        return passed("windows", "no sequence is cut: no two sets share one")
    pairs, words, count = [], [], 0
    for each in shared:
        sequences = len(each.scenes) * each.count("sequences")
        if windows is None:
            what = "all frames of their common sequences"
            count += sequences
        else:
            frames = windows.covered(each.first) & windows.covered(each.second)
            if not frames:
                continue
            what = f"frames {_ranges(frames)} of their common sequences"
            count += sequences * len(frames)
        words.append(f"{each.label} {what}")
        pairs += [
            Pair(sets=each.label, first=scene, second=scene, distance_m=0.0, what=what)
            for scene in each.scenes
        ]
    if not pairs:
        return passed("windows", "sets share sequences, but no window crosses from one to another")
    return found(
        "windows",
        "; ".join(words),
        pairs,
        count=count,
        declared=manifest.leaky and windows is None,
    )


def _ranges(frames: set[int]) -> str:
    """Numbers in words, ``"3-7, 9"``."""
    runs: list[list[int]] = []
    for frame in sorted(frames):
        if runs and frame == runs[-1][-1] + 1:
            runs[-1].append(frame)
        else:
            runs.append([frame])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
