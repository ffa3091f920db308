"""What there is of the dataset that a split is for: all of it, a part, or nothing."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from rmtools.errors import InputError
from rmtools.images import png_size, read_grey_png
from rmtools.splits.published import scene_number, scenes_by_number

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.layouts.maps import MapSource
    from rmtools.splits.inventory import Inventory
    from rmtools.splits.manifest import SplitManifest
    from rmtools.splits.places import Place
    from rmtools.types import BoolArray

SEER_BUILDINGS = "png/buildings_complete"


class Evidence:
    """The scenes of a split as far as a dataset has them.

    Parameters
    ----------
    manifest
        The split. The scenes of a published one are found by their number, as in
        :func:`rmtools.splits.published.restrict`.
    inventory
        What the dataset has; None without a dataset.

    Attributes
    ----------
    present, missing
        Scenes of the split that the dataset has and does not have, by the split's names.
    """

    def __init__(self, manifest: SplitManifest, inventory: Inventory | None) -> None:
        self.manifest, self.inventory = manifest, inventory
        scenes = list(dict.fromkeys(s for each in manifest.sets.values() for s in each.scenes))
        self._names = {} if inventory is None else _names(manifest, inventory, scenes)
        self.present = [scene for scene in scenes if scene in self._names]
        self.missing = [scene for scene in scenes if scene not in self._names]

    @property
    def places(self) -> list[Place]:
        """Squares of the scenes, under the split's names, as far as their place is known."""
        if self.inventory is None:
            return []
        from dataclasses import replace

        known = {place.name: place for place in self.inventory.places}
        return [
            replace(known[name], name=scene) for scene, name in self._names.items() if name in known
        ]

    @property
    def sizes(self) -> tuple[int, int]:
        """Trajectories and transmitters of a scene, from the split where there is no dataset."""
        if self.inventory is not None:
            return max(1, self.inventory.trajectories), max(1, self.inventory.transmitters)
        sets = list(self.manifest.sets.values())
        named = [index for each in sets for index in each.trajectories or ()]
        trajectories = max(named, default=0) + 1
        transmitters = max((index for each in sets for index in each.transmitters or ()), default=0)
        for each in sets:
            if each.transmitters is None:
                per_scene = each.sequences // len(each.scenes)
                per_scene //= len(each.trajectories or range(trajectories))
                transmitters = max(transmitters, per_scene - 1)
        return trajectories, transmitters + 1

    @cached_property
    def maps(self) -> MapSource:
        """The radio maps.

        Raises
        ------
        InputError
            There are none.
        """
        from rmtools.layouts.maps import open_maps

        if self.inventory is None:
            raise InputError("no dataset was given.", remedy="Give the folder of the dataset.")
        return open_maps(self.inventory.where)

    def index(self, scene: str) -> int:
        """Position of a scene of the split among those of :attr:`maps`."""
        return self.maps.scene_indices([self._names[scene]])[0]

    def buildings(self, scene: str) -> BoolArray:
        """Building raster of a present scene, shape (n, n).

        Raises
        ------
        InputError
            The dataset has none.
        """
        seer = self._seer
        if seer is None:
            return self.maps.buildings(self.index(scene))
        path = seer / f"{self._names[scene]}.png"
        rows, columns = png_size(path)
        if rows != columns or not 8 <= rows <= 8192:
            raise InputError(
                f"the image has {rows} x {columns} pixels, not a square of 8 to 8192.",
                where=path,
                remedy="It is no building image of RadioMapSeer; replace it.",
            )
        return read_grey_png(path, (rows, columns)) > 127

    @property
    def size_m(self) -> float:
        """Side of a scene in metres, a pixel of RadioMapSeer being one."""
        if self._seer is None:
            return self.maps.grid.size_m
        return float(len(self.buildings(self.with_buildings[0])))

    @cached_property
    def with_buildings(self) -> list[str]:
        """Present scenes with a building raster."""
        seer = self._seer
        if seer is not None:
            return [s for s in self.present if (seer / f"{self._names[s]}.png").is_file()]
        try:
            if self.present:
                self.buildings(self.present[0])
        except InputError:
            return []
        return self.present

    @cached_property
    def _seer(self) -> Path | None:
        """Folder of the building images of a tree in RadioMapSeer layout."""
        if self.inventory is None:
            return None
        folder = self.inventory.where / SEER_BUILDINGS
        return folder if folder.is_dir() else None


def _names(manifest: SplitManifest, inventory: Inventory, scenes: list[str]) -> dict[str, str]:
    """The dataset's name of every scene of the split that it has."""
    known = set(inventory.names)
    names = {scene: scene for scene in scenes if scene in known}
    if manifest.method == "published" and not names:
        by_number = scenes_by_number(manifest.dataset, inventory)
        found = {scene: by_number.get(scene_number(scene)) for scene in scenes}
        names = {scene: name for scene, name in found.items() if name is not None}
    return names
