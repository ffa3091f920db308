"""The table of published splits: which positions of which order, and where they were read.

RadioUNet's loader, and most that follow it, shuffle the numbers 0 ... 699 with NumPy's legacy
generator under seed 42, take ranges of positions, and add 1 to get the number of a map; so maps
1 ... 700 are used and map 0 never. :func:`ordered_ids` is that rule, the table below names the
ranges and where they were read. Which code made a published table of results cannot be proven
from repositories: the splits are those of the released loaders.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, permutations
from typing import TYPE_CHECKING

import numpy as np

from rmtools.splits.manifest import SceneOrder, SplitSet, SplitSource, make_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rmtools.splits.manifest import SplitManifest

SEER, SEER_3D, LOC_SEER, MOTION = "RadioMapSeer", "RadioMap3DSeer", "RadioLocSeer", "RadioMapMotion"

SEER_MAPS = 701
"""RadioMapSeer has the maps 0 ... 700."""

IRT4_TRANSMITTERS = [0, 1]
"""IRT4 was simulated for two transmitters of each map."""


def ordered_ids(seed: int | None = 42, size: int = 700, add: int = 1) -> list[int]:
    """Ids of scenes in the order of which published splits are ranges.

    Parameters
    ----------
    seed
        Of NumPy's legacy generator, which shuffles 0 ... size - 1; None leaves them ascending.
    size
        How many values.
    add
        What the loader adds to a value to get an id.
    """
    values = np.arange(size)
    if seed is not None:
        np.random.RandomState(seed).shuffle(values)
    return [int(value) + add for value in values]


@dataclass(frozen=True)
class Published:
    """One split of released code or of a paper.

    Attributes
    ----------
    dataset
        Whose ids these are.
    positions
        First and last position of every set in the order, both included.
    source
        Where it was read.
    seed, size, add
        The order, see :func:`ordered_ids`.
    transmitters
        Transmitters that the loader uses; None for all.
    each
        Sequences of a map: how many transmitters it uses.
    leaks
        What leaks besides scenes in two sets, which are counted.
    notes
        What else one should know.
    """

    dataset: str
    positions: dict[str, tuple[int, int]]
    source: SplitSource
    seed: int | None = 42
    size: int = 700
    add: int = 1
    transmitters: list[int] | None = None
    each: int = 80
    leaks: str = ""
    notes: tuple[str, ...] = ()

    def make(self, name: str) -> SplitManifest:
        """The manifest."""
        ids = [str(number) for number in ordered_ids(self.seed, self.size, self.add)]
        members = {key: ids[first : last + 1] for key, (first, last) in self.positions.items()}
        sets = {
            key: SplitSet(
                scenes=scenes, transmitters=self.transmitters, sequences=len(scenes) * self.each
            )
            for key, scenes in members.items()
        }
        everything = {str(k) for k in range(SEER_MAPS)} if self.dataset == SEER else set(ids)
        used = {scene for scenes in members.values() for scene in scenes}
        reasons = [*shared_in_words(members), *([self.leaks] if self.leaks else [])]
        return make_manifest(
            sets,
            name=name,
            method="published",
            description=self._rule(),
            seed=self.seed,
            source=self.source,
            order=SceneOrder(
                size=self.size, seed=self.seed, add=self.add, positions=self.positions
            ),
            dataset=self.dataset,
            left_out=sorted(everything - used, key=int),
            leaky=bool(reasons),
            leaky_reason="; ".join(reasons) or None,
            notes=list(self.notes),
        )

    def _rule(self) -> str:
        last = self.size - 1
        order = (
            f"The numbers 0 ... {last} ascending"
            if self.seed is None
            else f"The numbers 0 ... {last} shuffled by NumPy's legacy generator "
            f"(RandomState({self.seed}).shuffle)"
        )
        plus = f" plus {self.add}" if self.add else ""
        ranges = ", ".join(f"{key} {a} ... {b}" for key, (a, b) in self.positions.items())
        return f"{order}; a map's id is the number{plus}; positions, both ends included: {ranges}."


def shared_in_words(members: Mapping[str, list[str]]) -> list[str]:
    """Which sets share scenes, as phrases; empty when none do."""
    phrases, inside = [], set()
    for inner, outer in permutations(members, 2):
        if set(members[inner]) <= set(members[outer]):
            phrases.append(f"all {len(members[inner])} scenes of {inner} are in {outer}")
            inside.add(frozenset((inner, outer)))
    sharing: dict[tuple[str, ...], list[str]] = {}
    for scene in dict.fromkeys(chain(*members.values())):
        holders = tuple(name for name, scenes in members.items() if scene in scenes)
        sharing.setdefault(holders, []).append(scene)
    for holders, scenes in sharing.items():
        if len(holders) > 1 and frozenset(holders) not in inside:
            *most, last = holders
            who = f"scene {scenes[0]} is" if len(scenes) == 1 else f"{len(scenes)} scenes are"
            phrases.append(f"{who} in {', '.join(most)} and {last}")
    return phrases


def _ranges(train: int, val: tuple[int, int], test: tuple[int, int]) -> dict[str, tuple[int, int]]:
    return {"train": (0, train), "val": val, "test": test}


_2024 = "cfd0069e93cf000f6a1fc966b78a72ff1205bbb2"
_2025 = "a4b16b145fff9f67f16cf0021937708e44987e69"
_RADIODIFF_K = "UNIC-Lab/RadioDiff-k lib/loaders.py"
_PATHFINDER = "61e0efb432d359598163949f444233e1827eb45e"


def _radiodiff(commit: str, what: str, *also: str) -> SplitSource:
    return SplitSource(
        repository="UNIC-Lab/RadioDiff",
        file="lib/loaders.py",
        commit=commit,
        what=what,
        also=list(also),
    )


def _pathfinder(what: str) -> SplitSource:
    return SplitSource(
        repository="EmorZz1G/PathFinder", file="datas/dataloader.py", commit=_PATHFINDER, what=what
    )


_OVERLAP_UNKNOWN = "Whether maps of RadioMapSeer overlap on the ground is unpublished."
_OUR_ORDER = (
    "The paper gives numbers only. Which maps they are is our choice: RadioUNet's order, as in "
    "the released loaders."
)
_FROM_TARGET = "the loader's input k2_neg_norm was computed from the target"


def _500_200(paper: str, code: str) -> Published:
    """The split that the RadioDiff and the RMDM paper state."""
    return Published(
        SEER,
        {"train": (0, 499), "test": (500, 699)},
        SplitSource(what=f"{paper} paper: 500 training and 200 test maps, no overlapping terrain"),
        notes=(
            _OUR_ORDER,
            f"The released code has other sets: {code}.",
            "No validation set is stated; do not choose a model by the test.",
            _OVERLAP_UNKNOWN,
        ),
    )


PUBLISHED: dict[str, Published] = {
    "radiounet": Published(
        SEER,
        _ranges(500, (501, 600), (601, 699)),
        SplitSource(
            repository="RonLevie/RadioUNet",
            file="lib/loaders.py",
            commit="ef9cae2be3ad85032129f5361bb57f28690ac676",
            what="all four classes",
            also=[
                "Hxxxz0/RMDM lib/loaders.py",
                "achinthaw/RME-GAN lib/loaders.py",
                "Hxxxz0/RadioFlow data_loaders/loaders.py, classes RadioUNet_*",
                "abman23/pmnet archive/dataloaders/loader_radio.py",
            ],
        ),
        notes=(
            "Classes for IRT4 use the same maps with transmitters 0 and 1 only.",
            _OVERLAP_UNKNOWN,
        ),
    ),
    "radiomamba": Published(
        SEER,
        _ranges(549, (550, 599), (600, 699)),
        SplitSource(
            repository="UNIC-Lab/RadioMamba",
            file="src/dataset.py",
            commit="7cf6f5451eee31e63d720ace04ac976ddb87be0d",
            what="class RadioMambaNetDataset; the paper calls 550 / 50 / 100 standard",
        ),
        notes=(
            "Against radiounet: 49 of its train maps and all 50 val maps are val maps there, and "
            "its test maps are those of radiounet and map 289, a val map there. Do not compare a "
            "model trained on one split with the test of the other.",
            _OVERLAP_UNKNOWN,
        ),
    ),
    "radiodiff-2024": Published(
        SEER,
        _ranges(500, (600, 650), (600, 699)),
        _radiodiff(_2024, "class RadioUNet_c, first release of December 2024"),
        notes=("The 99 maps at positions 501 ... 599 are unused.",),
    ),
    "radiodiff-2025": Published(
        SEER,
        _ranges(600, (600, 650), (600, 699)),
        _radiodiff(
            _2025,
            "classes RadioUNet_c (since July 2025) and RadioUNet_c_WithCar_NOK_or_K",
            f"{_RADIODIFF_K}, class RadioUNet_c_WithCar_NOK_or_K",
        ),
    ),
    "radiodiff-k2": Published(
        SEER,
        _ranges(500, (600, 650), (600, 699)),
        _radiodiff(_2025, "class RadioUNet_c_K2", f"{_RADIODIFF_K}, class RadioUNet_c_K2"),
        leaks=_FROM_TARGET,
    ),
    "radiodiff-irt4-2024": Published(
        SEER,
        _ranges(500, (501, 600), (601, 699)),
        _radiodiff(_2024, "class RadioUNet_c_sprseIRT4, December 2024"),
        transmitters=IRT4_TRANSMITTERS,
        each=2,
        notes=(_OVERLAP_UNKNOWN,),
    ),
    "radiodiff-irt4-2025": Published(
        SEER,
        _ranges(600, (501, 600), (600, 699)),
        _radiodiff(
            _2025,
            "classes RadioUNet_c_sprseIRT4 and RadioUNet_c_sprseIRT4_K2, since July 2025",
            f"{_RADIODIFF_K}, class RadioUNet_c_sprseIRT4_K2",
        ),
        transmitters=IRT4_TRANSMITTERS,
        each=2,
        notes=(f"With the class ..._K2, moreover, {_FROM_TARGET}.",),
    ),
    "radiodiff-s": Published(
        SEER,
        _ranges(200, (501, 520), (601, 699)),
        _radiodiff(_2025, "classes RadioUNet_s, RadioUNet_s_vertex, RadioUNet_s_random"),
        notes=("380 of the 700 maps are unused.", _OVERLAP_UNKNOWN),
    ),
    "radioflow-3dseer": Published(
        SEER_3D,
        _ranges(500, (501, 600), (0, 83)),
        SplitSource(
            repository="Hxxxz0/RadioFlow",
            file="data_loaders/loaders.py",
            commit="642b65b38f7d9f81b5482cff843c937e96047837",
            what="class RadioMap3Dset",
        ),
        add=0,
        notes=(
            "The class adds nothing to a value, unlike those for RadioMapSeer: maps 0 ... 699.",
            "The test range is that of the separate 84 maps of a challenge; it leaks when the "
            "class is pointed at the folder it trains on. The repository's test script does not "
            "use the class.",
        ),
    ),
    "pathfinder-3dseer": Published(
        SEER_3D,
        _ranges(499, (500, 599), (600, 699)),
        _pathfinder("class RadioMapTestset with the ranges of config/default_pathfinder.yaml"),
        seed=None,
        add=0,
        notes=(
            "Maps in the order of their numbers: neighbours in number may be of one city.",
            "config/default.yaml of the same repository has other ranges (600 / 29 / 69 maps).",
        ),
    ),
    "pathfinder-3dseer-random": Published(
        SEER_3D,
        _ranges(499, (500, 599), (600, 699)),
        _pathfinder("class RadioMapTestset with rnd_train switched on, the same ranges"),
        seed=2024,
        add=0,
        notes=("rnd_train is off in the released configurations.",),
    ),
    "locunet": Published(
        LOC_SEER,
        _ranges(68, (69, 83), (84, 98)),
        SplitSource(
            repository="CagkanYapar/LocUNet",
            file="lib/loader.py",
            commit="6b87708ad30ce3cb80f9c84eee0f021e187325c5",
            what="class locDL",
        ),
        size=99,
        add=0,
        each=1,
        notes=(
            "The loader draws 50 sets of 5 transmitters for each map from a file of its own; here "
            "a map counts as one sequence.",
        ),
    ),
    "radiodiff-paper": _500_200("RadioDiff", "radiodiff-2024 and radiodiff-2025"),
    "rmdm-paper": _500_200("RMDM", "radiounet"),
    "radiodun-paper": Published(
        SEER,
        _ranges(524, (525, 559), (560, 699)),
        SplitSource(what="RadioDUN paper: 0.75 : 0.05 : 0.2 for DPM and for IRT4"),
        notes=(
            _OUR_ORDER,
            "Whole maps, so that validation does not share maps with training; the released code "
            "cuts images. For IRT4 take transmitters 0 and 1.",
            _OVERLAP_UNKNOWN,
        ),
    ),
}
"""Splits whose ids follow from a rule, by name."""
