"""Scenes that are copies of each other: turned, mirrored, shifted, noisy, or cut side by side.

Nothing but the building rasters is used, so it also works where nobody knows where the scenes
lie. Every landmark of a scene looks for the landmarks of other scenes that look alike; such a
pair of landmarks proposes how one scene would have to be turned and shifted to lie on the other.
The proposals are tried on reduced rasters, the best of them on the full ones.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from rmtools.audit.alignment import Alignment, align, common, walls
from rmtools.audit.landmarks import (
    Landmarks,
    best_symmetry,
    find_landmarks,
    moved,
    reduced,
    symmetry,
    symmetry_name,
    without_specks,
)
from rmtools.errors import InputError
from rmtools.splits.separation import kept_apart, sets_label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scipy.spatial import cKDTree

    from rmtools.splits.separation import Sets
    from rmtools.types import BoolArray, FloatArray, IntArray

ALIKE = 0.25
"""Landmarks whose surroundings differ more than this are not alike. A landmark of a scene and of
its copy, turned, shifted by half a cell and with 3 % of its pixels wrong, differ by 0.16."""

NEIGHBOURS = 5
"""So many landmarks that look most alike are considered for each."""

DIMENSIONS = 16
"""Principal components that are searched instead of all samples."""

PROMISING = 0.5
"""Agreement on the reduced rasters from which the full ones are compared."""

TRIES = 2
"""Proposals of one pair of scenes that are compared in full."""

NARROW = 0.12
"""Scenes that overlap by a smaller share are not looked at: a landmark needs its surroundings."""

SMALL_M = 100.0
"""Below this side houses that are alike are too large a part of a scene: of 185 disjoint tiles of
64 m six were taken for copies."""

LEAST_WALLS = 1.5
MOST_DEMANDED, LEAST_DEMANDED, PER_WALLS = 0.95, 0.80, 0.02
"""Agreement that makes two scenes copies, by the length of the walls in their overlap: none below
`LEAST_WALLS` times the scene's side, then `MOST_DEMANDED`, and `PER_WALLS` less for every further
side. Cities repeat themselves: in 900 tiles of 128 to 256 m of nine cities, none of them
overlapping, single houses and courtyards agree up to 0.98, whole tiles up to 0.76; copies with 3 %
noise agree by 0.97 or more."""


@dataclass(frozen=True)
class Copy:
    """Two scenes that a split keeps apart and that show the same buildings.

    Attributes
    ----------
    first, second, sets
        Names of the scenes in alphabetical order, and the sets they are in.
    alignment
        How the second lies on the first.
    symmetry
        What was done to the second before it was shifted, in words; empty for nothing.
    """

    first: str
    second: str
    sets: str
    alignment: Alignment
    symmetry: str

    def in_words(self) -> str:
        """How the second lies on the first."""
        at = self.alignment
        moved_by = f"shifted by {at.row} rows and {at.col} columns" if at.row or at.col else ""
        how = ", ".join(part for part in (self.symmetry, moved_by) if part) or "as it is"
        return f"{how}: agreement {at.agreement:.2f} on {at.overlap:.0%} of the scene"


@dataclass(frozen=True)
class Comparison:
    """What a search for copies found.

    Attributes
    ----------
    copies
        Those that agree best first.
    compared
        Number of scenes that were compared.
    plain
        Scenes without a landmark: too few buildings to tell one from another.
    """

    copies: list[Copy]
    compared: int
    plain: list[str]


def find_copies(
    sets_of: Mapping[str, Sets], read_mask: Callable[[str], BoolArray], scenes: Sequence[str]
) -> Comparison:
    """Find copies among scenes that a split keeps apart.

    Parameters
    ----------
    sets_of
        Sets that every scene is in.
    read_mask
        Building raster of a scene, bool, shape (n, n), the same n for all.
    scenes
        Names of the scenes to compare.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        The rasters differ in size.
    """
    if not scenes:
        return Comparison([], 0, [])
    survey = _survey(scenes, read_mask)
    proposals = _proposals(survey, [sets_of[name] for name in scenes])
    read = lru_cache(maxsize=256)(lambda i: without_specks(read_mask(scenes[i]), survey.factor))
    found: dict[tuple[int, int], tuple[Alignment, int]] = {}
    for first, second, number, row, col in proposals.tolist():
        turned = symmetry(read(second), number)
        reach = survey.factor + 1
        result = align(read(first), turned, row * survey.factor, col * survey.factor, reach)
        pair = first, second
        if (pair not in found or result.agreement > found[pair][0].agreement) and is_copy(
            read(first), turned, result
        ):
            found[pair] = result, number
    copies = [
        Copy(
            scenes[first],
            scenes[second],
            sets_label(sets_of[scenes[first]], sets_of[scenes[second]]),
            result,
            symmetry_name(number),
        )
        for (first, second), (result, number) in found.items()
    ]
    copies.sort(key=lambda copy: (-copy.alignment.agreement, copy.first, copy.second))
    has_landmark = np.bincount(survey.scene, minlength=len(scenes)) > 0
    plain = [name for name, has in zip(scenes, has_landmark, strict=True) if not has]
    return Comparison(copies, len(scenes), plain)


def is_copy(a: BoolArray, b: BoolArray, alignment: Alignment) -> bool:
    """Whether two rasters, `b` after its symmetry, show the same buildings where they overlap."""
    parts = common(a, b, alignment.row, alignment.col)
    length = min(walls(part) for part in parts) / len(a)
    demanded = MOST_DEMANDED - PER_WALLS * (length - LEAST_WALLS)
    return (
        length >= LEAST_WALLS
        and alignment.overlap >= NARROW
        and alignment.agreement >= max(demanded, LEAST_DEMANDED)
    )


@dataclass(frozen=True)
class _Survey:
    """What is kept of all scenes: landmarks, which scene each is of, and reduced rasters."""

    landmarks: Landmarks
    scene: IntArray
    rasters: BoolArray
    factor: int


def _survey(scenes: Sequence[str], read_mask: Callable[[str], BoolArray]) -> _Survey:
    def look(name: str) -> tuple[Landmarks, BoolArray, int]:
        cells, factor = reduced(read_mask(name))
        return find_landmarks(cells), cells >= 0.5, factor

    with ThreadPoolExecutor() as pool:
        seen = list(pool.map(look, scenes))
    if len({raster.shape for _, raster, _ in seen}) > 1:
        raise InputError(
            "the scenes have building rasters of different sizes.",
            remedy="Audit scenes of one size at a time.",
        )
    found = [landmarks for landmarks, _, _ in seen]
    return _Survey(
        Landmarks(
            np.concatenate([landmarks.at for landmarks in found]),
            np.concatenate([landmarks.samples for landmarks in found]),
        ),
        np.repeat(np.arange(len(found)), [len(landmarks) for landmarks in found]),
        np.stack([raster for _, raster, _ in seen]),
        seen[0][2],
    )


def _proposals(survey: _Survey, sets: Sequence[Sets]) -> IntArray:
    """Promising ways to lay scenes on each other: first, second, symmetry, row, col in cells."""
    groups: dict[Sets, list[int]] = defaultdict(list)
    for scene, names in enumerate(sets):
        groups[names].append(scene)
    points = _principal(survey.landmarks.invariants)
    trees: dict[Sets, tuple[IntArray, cKDTree]] = {}
    kept = []
    for a, b in combinations(groups, 2):
        if kept_apart(a, b):
            few, many = sorted((a, b), key=lambda names: len(groups[names]))
            for names in (few, many):
                if names not in trees:
                    trees[names] = _tree(points, np.isin(survey.scene, groups[names]))
            kept.append(_between(survey, points, trees[few][0], trees[many]))
    found = np.concatenate(kept) if kept else np.empty((0, 5), np.int64)
    return found[np.lexsort(found.T[::-1])]


def _principal(values: FloatArray) -> FloatArray:
    """The values along the axes on which they differ most, shape (k, DIMENSIONS)."""
    centred = values - values.mean(axis=0) if len(values) else values
    _, axes = np.linalg.eigh(centred.T @ centred)
    return centred @ axes[:, -DIMENSIONS:]


def _tree(points: FloatArray, chosen: BoolArray) -> tuple[IntArray, cKDTree]:
    from scipy.spatial import cKDTree

    index = np.flatnonzero(chosen)
    return index, cKDTree(points[index])


def _between(
    survey: _Survey, points: FloatArray, few: IntArray, many: tuple[IntArray, cKDTree]
) -> IntArray:
    """Promising proposals between the landmarks `few` and those of a tree."""
    index, tree = many
    if not len(few) or not len(index):
        return np.empty((0, 5), np.int64)
    distance, nearest = tree.query(
        points[few], k=NEIGHBOURS, distance_upper_bound=ALIKE, workers=-1
    )
    alike = np.isfinite(distance)
    here = np.broadcast_to(few[:, None], alike.shape)[alike]
    there = index[nearest[alike]]
    marks = survey.landmarks
    ordered = survey.scene[here] < survey.scene[there]
    first, second = np.where(ordered, here, there), np.where(ordered, there, here)
    at = Landmarks(marks.at[first], marks.samples[first])
    other = Landmarks(marks.at[second], marks.samples[second])
    number, differ = best_symmetry(at, other)
    shift = at.at - moved(other.at, number, survey.rasters.shape[1])
    scenes = survey.scene[first], survey.scene[second]
    proposals = np.column_stack([*scenes, number, shift]).astype(np.int64)
    proposals = np.unique(proposals[differ <= ALIKE], axis=0)
    agreement = np.array([_agreement(survey, *proposal) for proposal in proposals.tolist()])
    return _best_of_each_pair(proposals, agreement)


def _agreement(survey: _Survey, first: int, second: int, number: int, row: int, col: int) -> float:
    """Of the reduced rasters; 0 where they overlap too little to be called copies."""
    rasters = survey.rasters
    n = rasters.shape[1]
    if max(n - abs(row), 0) * max(n - abs(col), 0) < NARROW * n * n:
        return 0.0
    return align(rasters[first], symmetry(rasters[second], number), row, col).agreement


def _best_of_each_pair(proposals: IntArray, agreement: FloatArray) -> IntArray:
    """The `TRIES` best of the promising proposals of every pair of scenes."""
    order = np.lexsort([-agreement, proposals[:, 1], proposals[:, 0]])
    order = order[agreement[order] >= PROMISING]
    sorted_ = proposals[order]
    starts = np.ones(len(sorted_), bool)
    starts[1:] = (sorted_[1:, :2] != sorted_[:-1, :2]).any(axis=1)
    first = np.maximum.accumulate(np.where(starts, np.arange(len(sorted_)), 0))
    return sorted_[np.arange(len(sorted_)) - first < TRIES]
