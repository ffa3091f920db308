"""What a split needs to know of a dataset: its scenes, where and in which city they lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rmtools.errors import InputError
from rmtools.splits.manifest import SplitSet, dataset_digest
from rmtools.splits.places import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from rmtools.splits.places import Place
    from rmtools.store import Store


@dataclass(frozen=True)
class SceneEntry:
    """One scene.

    Attributes
    ----------
    name
        As in manifests.
    city
        The source that the scene was cut from, such as ``"london.osm.pbf"`` or
        ``"place:Kallio, Helsinki"``; None when not known (RadioMapSeer does not say).
    place
        Its square on the ground, None when not known.
    """

    name: str
    city: str | None = None
    place: Place | None = None


@dataclass(frozen=True)
class Inventory:
    """The scenes of a dataset, and how many trajectories and transmitters each has.

    `where` is its folder, `sha256` the digest of :func:`rmtools.splits.manifest.dataset_digest`
    where it has one. A stage that has not run yet has 0 trajectories or transmitters.
    """

    title: str
    where: Path
    scenes: tuple[SceneEntry, ...]
    trajectories: int
    transmitters: int
    sha256: str | None = None

    @property
    def names(self) -> list[str]:
        """Names of the scenes in order."""
        return [scene.name for scene in self.scenes]

    @property
    def places(self) -> list[Place]:
        """Squares of those scenes whose place is known, in order."""
        return [scene.place for scene in self.scenes if scene.place is not None]

    def whole(self, scenes: Iterable[str]) -> SplitSet:
        """A set of whole scenes, with all their trajectories and transmitters."""
        names = list(scenes)
        each = max(1, self.trajectories) * max(1, self.transmitters)
        return SplitSet(scenes=names, sequences=len(names) * each)


def inventory_of_store(store: Store) -> Inventory:
    """Take stock of a store."""
    sizes, attributes = store.sizes, store.attributes
    return Inventory(
        title=str(attributes.get("title", store.path.name)),
        where=store.path,
        scenes=tuple(_entry(scene, store.grid.size_m) for scene in attributes["scenes"]),
        trajectories=sizes.traj,
        transmitters=sizes.tx,
        sha256=dataset_digest(store),
    )


def inventory_of(path: Path) -> Inventory:
    """Take stock of a folder: a dataset or its store, a motion layout, or a RadioMapSeer tree.

    Raises
    ------
    InputError
        It is none of these.
    """
    from rmtools.layouts.motion_format import DESCRIPTION_NAME
    from rmtools.store import Store
    from rmtools.store_place import StorePlace

    if StorePlace.is_at(path):
        return inventory_of_store(Store.open(path))
    trees = (path, path / "gain", path / "png")
    if (path / DESCRIPTION_NAME).is_file() or any((tree / "env_000").is_dir() for tree in trees):
        return _of_motion(path)
    if any((path / folder).is_dir() for folder in ("gain", "png", "polygon")):
        return _of_seer(path)
    raise InputError(
        "no dataset that can be split.",
        where=path,
        remedy="Give the folder of a dataset or of its store.zarr, of a motion layout, or the "
        "folder of RadioMapSeer that holds gain, png and polygon.",
    )


def _of_motion(path: Path) -> Inventory:
    """A motion layout: with its description, or the published images alone."""
    from rmtools.layouts.motion_reader import MotionLayout

    layout = MotionLayout(path)
    about, sizes = layout.description, layout.sizes
    if about is None:
        scenes = tuple(SceneEntry(f"env_{env:03d}") for env in range(sizes.scene))
    else:
        found = (scene.model_dump() for scene in about.scenes)
        scenes = tuple(_entry(scene, layout.grid.size_m) for scene in found)
    title = path.resolve().name if about is None else about.title
    return Inventory(title, path, scenes, sizes.traj, sizes.tx)


def _of_seer(path: Path) -> Inventory:
    """A tree in RadioMapSeer layout; scenes are called by the number of their map."""
    from rmtools.city.seer import ANTENNAS, list_maps, read_transmitters

    scenes = tuple(SceneEntry(str(number)) for number in list_maps(path))
    listed = sorted((path / ANTENNAS).glob("*.json"))
    if listed and listed[0].stem.isdigit():
        transmitters = len(read_transmitters(path, int(listed[0].stem)))
    else:
        matches = (re.fullmatch(r"\d+_(\d{1,3})\.png", p.name) for p in path.glob("gain/*/*.png"))
        transmitters = 1 + max((int(match[1]) for match in matches if match), default=-1)
    if not transmitters:
        raise InputError(
            f"neither {ANTENNAS}/<map>.json nor gain/<simulator>/<map>_<tx>.png says how many "
            "transmitters a map has.",
            where=path,
            remedy="Give the folder with the antenna files or the gain maps.",
        )
    return Inventory(path.resolve().name, path, scenes, 1, transmitters)


def _entry(scene: Mapping[str, Any], size_m: float) -> SceneEntry:
    provenance = scene.get("provenance") or {}
    known = str(provenance.get("reader", "")).startswith("osm-")
    city = str(provenance.get("source")) if known else None
    return SceneEntry(scene["name"], city, place_of(scene, size_m))
