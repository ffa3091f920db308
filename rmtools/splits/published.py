"""Published splits by name: as they were published, or restricted to the scenes of a dataset."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, NamedTuple

from rmtools.errors import RecipeError
from rmtools.splits.catalogue import MOTION, PUBLISHED, SEER
from rmtools.splits.manifest import SplitSet, SplitSource, make_manifest
from rmtools.splits.motion import radiomapmotion_split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rmtools.splits.inventory import Inventory
    from rmtools.splits.manifest import SplitManifest

RADIOMAPMOTION, RADIODUN = "radiomapmotion", "radiodun"

RADIODUN_SIZES = {"train": 561, "val": 560, "test": 140}
"""Maps of which RadioDUN's stored lists hold images."""

RADIODUN_LEAK = (
    "the stored lists cut images, so train and val share 560 maps; the released loader ignores "
    "the lists and takes val and test from the files of train"
)


class Listed(NamedTuple):
    """One line of the list of published splits; `leak` is None for a split that does not leak."""

    name: str
    dataset: str
    sizes: dict[str, int]
    leak: str | None
    reproducible: bool


def list_published() -> Iterator[Listed]:
    """All published splits with the scenes of every set, whether they leak and how."""
    for name in [*PUBLISHED, RADIOMAPMOTION]:
        split = published_split(name)
        sizes = {key: len(members.scenes) for key, members in split.sets.items()}
        yield Listed(name, split.dataset, sizes, split.leaky_reason, reproducible=True)
    yield Listed(RADIODUN, SEER, RADIODUN_SIZES, RADIODUN_LEAK, reproducible=False)


def published_split(name: str) -> SplitManifest:
    """A published split with the ids of the published dataset, in the order of its loader.

    Scenes are called as in the files: ``"159"`` for ``159.png`` of RadioMapSeer,
    ``"env_000"`` in RadioMapMotion.

    Raises
    ------
    RecipeError
        There is no split of this name, or its ids cannot be known.
    """
    if name == RADIOMAPMOTION:
        return _radiomapmotion()
    if name == RADIODUN:
        raise RecipeError(
            "the ids of RadioDUN's released split cannot be computed: its lists "
            "(hnsytq/RadioDUN, data/RadioMapSeer_Indices_mix.pkl, commit 62ebc74) were drawn "
            "without a seed and image by image, and its loader (data/mix_dataloader.py) ignores "
            "them and takes the first 42,075, 2,805 and 11,200 files in the order in which the "
            "file system lists them. Known are the sizes and that it leaks.",
            where=RADIODUN,
            remedy="--name radiodun-paper cuts whole maps at the paper's ratios.",
        )
    if name not in PUBLISHED:
        names = [*PUBLISHED, RADIOMAPMOTION, RADIODUN]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f", did you mean {near[0]!r}?" if near else "."
        raise RecipeError(
            f"there is no published split {name!r}{hint}",
            remedy="`rmtools split --list` shows them all.",
        )
    return PUBLISHED[name].make(name)


def restrict(split: SplitManifest, inventory: Inventory) -> SplitManifest:
    """The part of a published split that a dataset has, with the dataset's names of the scenes.

    Scenes are found by their number: map 159 of RadioMapSeer is the scene ``159`` or
    ``map_159``, environment 7 of RadioMapMotion ``7`` or ``env_007``. The notes say how many
    scenes of every set are missing; a set of which nothing is there is left out, and that is
    said, too. A split that leaks stays marked.

    Raises
    ------
    RecipeError
        The dataset has none of the scenes, not the transmitters or trajectories that the split
        names, or two scenes with one number.
    """
    by_number = scenes_by_number(split.dataset, inventory)
    sets: dict[str, SplitSet] = {}
    notes = [
        *split.notes,
        f"Scenes were found by their number; that this dataset holds those of {split.dataset} is "
        "not checked.",
    ]
    for name, members in split.sets.items():
        found = [by_number.get(scene_number(scene)) for scene in members.scenes]
        present = [scene for scene in found if scene is not None]
        missing = [s for s, there in zip(members.scenes, found, strict=True) if there is None]
        if missing:
            notes.append(
                f"{name}: {len(missing)} of {len(found)} scenes are not in this dataset, the first "
                f"is {missing[0]}" + ("." if present else "; nothing is left of the set.")
            )
        if present:
            sets[name] = _counted(name, members, present, inventory)
    if not sets:
        raise RecipeError(
            f"none of the scenes of {split.name} is here; it is a split of {split.dataset}, whose "
            f"scenes are called like {next(iter(split.sets.values())).scenes[0]!r}, here the first "
            f"is {inventory.names[0]!r}.",
            where=inventory.where,
            remedy="Give a dataset made from those scenes, or make a new split with --kind.",
        )
    notes += [
        f"{name}: {here} sequences of each scene, {published} in {split.dataset}."
        for name, members in sets.items()
        if (here := members.sequences // len(members.scenes))
        != (published := split.sets[name].sequences // len(split.sets[name].scenes))
    ]
    used = {scene for members in sets.values() for scene in members.scenes}
    return make_manifest(
        sets,
        name=split.name,
        method=split.method,
        description=f"{split.description} Restricted to the scenes of one dataset.",
        seed=split.seed,
        source=split.source,
        order=split.order,
        dataset=inventory.title,
        dataset_sha256=inventory.sha256,
        left_out=[name for name in inventory.names if name not in used],
        leaky=split.leaky,
        leaky_reason=split.leaky_reason,
        notes=notes,
    )


def _radiomapmotion() -> SplitManifest:
    split = radiomapmotion_split(
        [f"env_{env:03d}" for env in range(300)], trajectories=5, transmitters=20, dataset=MOTION
    )
    source = SplitSource(
        repository="UNIC-Lab/RadioMapMotion",
        file="code/data_loader.py",
        commit="97f2c98aeb9c84c2f44094935df4722170a845c7",
        what="the table of the README, which is that of the paper",
    )
    notes = [
        "There is no scene-disjoint validation set: model choice sees the seen scenes.",
        "The environments are maps of RadioMapSeer, which ones is unpublished: pre-training on "
        "RadioMapSeer may have seen test_unseen.",
        "Windows differ: the paper gives a model 10 frames and predicts 5, the code gives it 8 "
        "from frame 2 on.",
    ]
    return split.model_copy(update={"source": source, "notes": notes})


_PREFIX = {MOTION: "env_"}


def scene_number(scene: str) -> int:
    """Number of a published scene."""
    return int(scene.rpartition("_")[2])


def scenes_by_number(dataset: str, inventory: Inventory) -> dict[int, str]:
    """Names of a dataset's scenes by the number that they have in a published dataset."""
    pattern = re.compile(rf"(?:{_PREFIX.get(dataset, 'map_')})?(\d{{1,9}})")
    found: dict[int, str] = {}
    for name in inventory.names:
        if match := pattern.fullmatch(name):
            number = int(match[1])
            if number in found:
                raise RecipeError(
                    f"the scenes {found[number]!r} and {name!r} have the same number.",
                    where=inventory.where,
                    remedy="Rename one of them, or split with --kind.",
                )
            found[number] = name
    return found


def _counted(name: str, members: SplitSet, scenes: list[str], inventory: Inventory) -> SplitSet:
    """The members of a set that are there, counted anew."""
    number = len(scenes)
    for word, chosen, size in (
        ("trajectory", members.trajectories, inventory.trajectories),
        ("transmitter", members.transmitters, inventory.transmitters),
    ):
        if chosen is not None and max(chosen) >= size:
            raise RecipeError(
                f"the set {name!r} has {word} {max(chosen)}, the dataset only {size}, counted from "
                "0.",
                where=inventory.where,
                remedy="Give a dataset with as many as the published one.",
            )
        number *= max(1, size) if chosen is None else len(chosen)
    return members.model_copy(update={"scenes": scenes, "sequences": number})
