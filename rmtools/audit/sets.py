"""What the sets of a split share by name: scenes, transmitters, trajectories, sequences."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from rmtools.audit.model import EXAMPLES, Level, LevelName, Pair, found, passed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmtools.splits.manifest import SplitManifest

VALIDATION, TEST = "val", "test"
"""How the names of sets begin that models are chosen by, and that they are tested on."""


@dataclass(frozen=True)
class Shared:
    """What two sets have in common."""

    first: str
    second: str
    scenes: list[str]
    trajectories: int
    transmitters: int

    @property
    def label(self) -> str:
        """The two sets in words."""
        return f"{self.first}/{self.second}"

    def count(self, name: LevelName) -> int:
        """Transmitters, trajectories or sequences that every shared scene has in both sets."""
        if name == "sequences":
            return self.trajectories * self.transmitters
        return self.transmitters if name == "transmitters" else self.trajectories


def shared_by_sets(manifest: SplitManifest, sizes: tuple[int, int]) -> list[Shared]:
    """What every two sets have in common, those that share no scene left out.

    `sizes` are the trajectories and transmitters of a scene, for sets that have all.
    """
    result = []
    for (name_a, a), (name_b, b) in combinations(manifest.sets.items(), 2):
        in_b = set(b.scenes)
        scenes = [scene for scene in a.scenes if scene in in_b]
        if scenes:
            common = (
                len(set(one or range(size)) & set(other or range(size)))
                for one, other, size in (
                    (a.trajectories, b.trajectories, sizes[0]),
                    (a.transmitters, b.transmitters, sizes[1]),
                )
            )
            result.append(Shared(name_a, name_b, scenes, *common))
    return result


def check_sets(manifest: SplitManifest, sizes: tuple[int, int]) -> list[Level]:
    """The levels that follow from the names alone.

    All of them are declared when the split calls itself leaky.
    """
    shared = shared_by_sets(manifest, sizes)
    return [
        _scenes(manifest, shared),
        _parts(manifest, shared, "transmitters"),
        _parts(manifest, shared, "trajectories")
        if sizes[0] > 1
        else passed("trajectories", "a scene has one trajectory or none"),
        _parts(manifest, shared, "sequences"),
        _selection(manifest, shared),
    ]


def _scenes(manifest: SplitManifest, shared: Sequence[Shared]) -> Level:
    if not shared:
        return passed("scenes", "no two sets share a scene")
    pairs = [
        Pair(sets=each.label, first=scene, second=scene, distance_m=0.0, what="the same scene")
        for each in shared
        for scene in each.scenes
    ]
    figures = ", ".join(f"{each.label} {len(each.scenes)}" for each in shared)
    return found(
        "scenes",
        f"scenes in two sets: {figures}",
        pairs,
        share=_share(manifest, shared),
        declared=manifest.leaky,
    )


def _parts(manifest: SplitManifest, shared: Sequence[Shared], name: LevelName) -> Level:
    """Transmitters, trajectories or sequences of one scene in two sets."""
    offending = [each for each in shared if each.count(name)]
    if not offending:
        return passed(name, f"no two sets share {name} of a scene")
    pairs = [
        Pair(
            sets=each.label,
            first=scene,
            second=scene,
            distance_m=0.0,
            what=f"{each.count(name)} of its {name}",
        )
        for each in offending
        for scene in each.scenes[:EXAMPLES]
    ]
    counts = {each.label: len(each.scenes) * each.count(name) for each in offending}
    return found(
        name,
        f"{name} in two sets: {', '.join(f'{label} {n}' for label, n in counts.items())}",
        pairs,
        count=sum(counts.values()),
        share=_share(manifest, offending),
        declared=manifest.leaky,
    )


def _selection(manifest: SplitManifest, shared: Sequence[Shared]) -> Level:
    offending = [
        each
        for each in shared
        if each.count("sequences") and {_role(each.first), _role(each.second)} == {VALIDATION, TEST}
    ]
    if not offending:
        return passed("selection", "no set to choose a model by holds anything of a test set")
    pairs = [
        Pair(sets=each.label, first=scene, second=scene, distance_m=0.0, what="the same scene")
        for each in offending
        for scene in each.scenes
    ]
    figures = ", ".join(
        f"{len(each.scenes)} of the {len(manifest.sets[name].scenes)} scenes of {name} are in "
        f"{(each.first if each.second == name else each.second)}"
        for each in offending
        for name in (each.first, each.second)
        if _role(name) == VALIDATION
    )
    return found(
        "selection",
        f"a model is chosen by what it is tested on: {figures}",
        pairs,
        share=_share(manifest, offending),
        declared=manifest.leaky,
    )


def _role(name: str) -> str:
    return next((role for role in (VALIDATION, TEST) if name.lower().startswith(role)), name)


def _share(manifest: SplitManifest, shared: Sequence[Shared]) -> float:
    """Share of all scenes of the split that are among the shared ones."""
    everything = {scene for members in manifest.sets.values() for scene in members.scenes}
    return len({scene for each in shared for scene in each.scenes}) / len(everything)
