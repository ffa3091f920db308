"""Which scenes a split keeps apart, and which of those meet on the ground.

`rmtools validate` and `rmtools audit` both ask this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rmtools.splits.places import near

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmtools.splits.manifest import SplitManifest
    from rmtools.splits.places import Place

Sets = frozenset[str]
"""Names of the sets that a scene is in."""


@dataclass(frozen=True)
class Meeting:
    """Two scenes that a split keeps apart and that are near each other.

    Attributes
    ----------
    first, second
        Names of the scenes in alphabetical order.
    sets
        The sets they are in, such as ``"train+val/test"``.
    distance_m
        Between their squares: 0 when they touch or overlap.
    overlap
        Share of a square that the other covers, 0...1; 0 when they only touch.
    """

    first: str
    second: str
    sets: str
    distance_m: float
    overlap: float


def memberships(manifest: SplitManifest) -> dict[str, Sets]:
    """Sets that every scene is in, in the order of the manifest."""
    found: dict[str, set[str]] = {}
    for name, members in manifest.sets.items():
        for scene in members.scenes:
            found.setdefault(scene, set()).add(name)
    return {scene: frozenset(names) for scene, names in found.items()}


def kept_apart(a: Sets, b: Sets) -> bool:
    """Whether two different scenes in these sets must not have anything in common.

    So it is when each of them is in a set that the other is not in. Where one scene is in all
    sets of the other, those sets share a scene anyway, and what the two have in common adds
    nothing to that.
    """
    return not (a <= b or b <= a)


def sets_label(a: Sets, b: Sets) -> str:
    """Sets of two scenes in words, ``"train+val/test"``."""
    return "/".join(sorted("+".join(sorted(names)) for names in (a, b)))


def meetings(
    manifest: SplitManifest, squares: Sequence[Place], reach_m: float = 0.0
) -> list[Meeting]:
    """Pairs of scenes that a split keeps apart whose squares overlap or are within `reach_m`.

    Squares that touch are among them whatever the reach. Squares of different CRSs are taken to
    be far apart. The nearest pairs come first, those that overlap most before all others.
    """
    sets_of = memberships(manifest)
    known = [place for place in squares if place.name in sets_of]
    found = near(known, reach_m)
    result = []
    for i, j, gap in zip(found.first, found.second, found.distance_m, strict=True):
        a, b = sorted((known[i], known[j]), key=lambda place: place.name)
        in_a, in_b = sets_of[a.name], sets_of[b.name]
        if kept_apart(in_a, in_b):
            overlap = _overlap(a, b) if gap < 0 else 0.0
            label = sets_label(in_a, in_b)
            result.append(Meeting(a.name, b.name, label, max(gap, 0.0), overlap))
    return sorted(result, key=lambda m: (m.distance_m, -m.overlap, m.first, m.second))


def _overlap(a: Place, b: Place) -> float:
    """Share of the smaller of two squares that the other covers."""
    common = float(a.square.intersection(b.square).area)
    return common / min(a.size_m, b.size_m) ** 2
