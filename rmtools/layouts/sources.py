"""The store and the image layouts as :class:`~rmtools.layouts.maps.MapSource`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmtools.city.seer import ATTRIBUTION as SEER_ATTRIBUTION
from rmtools.layouts.maps import (
    ALL,
    Kind,
    MapSource,
    ScaleName,
    image_scale,
    not_computed,
)
from rmtools.layouts.motion_format import DESCRIPTION_NAME, LAYOUT_NAME
from rmtools.layouts.motion_reader import MotionLayout
from rmtools.layouts.seer_description import read_description as read_seer_description
from rmtools.layouts.seer_format import LAYOUT_NAME as SEER_NAME
from rmtools.layouts.seer_format import has_cars
from rmtools.layouts.seer_reader import SeerLayout, is_layout
from rmtools.store import STORE_NAME, Store
from rmtools.store_place import StorePlace
from rmtools.units import MOTION_SCALE, SCALES, SEER_SCALE

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from rmtools.types import BoolArray, ByteArray, FloatArray, IntArray

MOVING_DIMS = ("scene", "traj", "tx", "frame", "y", "x")
STILL_DIMS = ("scene", "tx", "y", "x")
"""Dimensions of path loss with vehicles and without, in the store."""


class StoreMaps(MapSource):
    """A store: path loss in dB; kinds are its arrays ``pathloss``, ``pathloss_static``, ..."""

    layout = "store"
    signs = f"a folder {STORE_NAME} or zarr.json"

    def __init__(self, path: Path, scale: ScaleName | None = None) -> None:
        self.path = path
        self.scale = SCALES[scale or MOTION_SCALE.name]
        self.store = Store.open(path)
        attributes, sizes = self.store.attributes, self.store.sizes
        self.title = str(attributes.get("title", path.name))
        self.licence = list(attributes.get("licence", []))
        self.attribution = list(attributes.get("attribution", []))
        self.grid = self.store.grid
        self.scene_names = self.store.scene_names
        kinds_of = {
            MOVING_DIMS: Kind(sizes.traj, sizes.tx, sizes.frame, vehicles=True),
            STILL_DIMS: Kind(1, sizes.tx, 1, vehicles=False),
        }
        self.kinds = {
            name: kinds_of[dims]
            for name in self.store.array_names
            if name.startswith("pathloss")
            and (dims := self.store.array(name).metadata.dimension_names) in kinds_of
        }

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether a store lies at a path."""
        return StorePlace.is_at(path)

    def _opened_by(self) -> tuple[Any, ...]:
        return (self.path, self.scale.name)

    def pathloss_db(
        self, kind: str, scene: int, traj: int, tx: int, frames: slice = ALL
    ) -> FloatArray:
        """Path loss as stored, see :meth:`MapSource.pathloss_db`."""
        array = self.store.array(kind)
        if self.kinds[kind].vehicles:
            found = np.asarray(array[scene, traj, tx, frames])
        else:
            found = np.asarray(array[scene, tx])[None][frames]
        if np.isnan(found).all():
            raise not_computed(self, kind, scene, traj, tx)
        return found

    def buildings(self, scene: int) -> BoolArray:
        """See :meth:`MapSource.buildings`."""
        return self.store.buildings(scene)

    def building_height(self, scene: int) -> FloatArray:
        """See :meth:`MapSource.building_height`."""
        return self.store.building_height(scene)

    def inside_buildings(self, scene: int) -> BoolArray:
        """See :meth:`MapSource.inside_buildings`."""
        return self.store.inside_buildings(scene)

    def roads(self, scene: int) -> BoolArray:
        """See :meth:`MapSource.roads`."""
        return self.store.roads(scene)

    def vehicles(self, scene: int, traj: int) -> BoolArray:
        """See :meth:`MapSource.vehicles`."""
        return self.store.vehicle_masks(scene, traj)

    def transmitter_pixels(self, scene: int) -> IntArray:
        """See :meth:`MapSource.transmitter_pixels`."""
        x, y, _ = self.store.transmitters(scene).T
        return np.stack(self.grid.pixel(x, y), axis=-1)


class MotionMaps(MapSource):
    """The RadioMapMotion layout: grey images, and path loss where the npz tree is there.

    The published folders hold images only: no buildings, no transmitters. They serve for
    forecasting.
    """

    layout = "motion"
    signs = f"{DESCRIPTION_NAME}, or folders env_000 in it, in gain/ or in png/"
    KIND = "pathloss"

    def __init__(self, path: Path, scale: ScaleName | None = None) -> None:
        self.path = path
        self.scale = MOTION_SCALE
        image_scale(self, scale)
        self.files = MotionLayout(path)
        sizes, about = self.files.sizes, self.files.description
        self.title = about.title if about else path.name
        self.licence = about.licence if about else []
        self.attribution = about.attribution if about else []
        self.grid = self.files.grid
        self.scene_names = (
            [scene.name for scene in about.scenes]
            if about
            else [f"env_{env:03d}" for env in range(sizes.scene)]
        )
        self.kinds = {self.KIND: Kind(sizes.traj, sizes.tx, sizes.frame, vehicles=True)}

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the layout lies at a path."""
        places = (path, path / LAYOUT_NAME)
        return any((place / DESCRIPTION_NAME).is_file() for place in places) or any(
            (place / tree / "env_000").is_dir() for place in places for tree in ("", "gain", "png")
        )

    def grey(self, kind: str, scene: int, traj: int, tx: int, frames: slice = ALL) -> ByteArray:
        """Grey levels as in the images, see :meth:`MapSource.grey`."""
        wanted = range(self.kinds[kind].frame)[frames]
        return np.stack([self.files.grey(scene, traj, tx, frame) for frame in wanted])

    def pathloss_db(
        self, kind: str, scene: int, traj: int, tx: int, frames: slice = ALL
    ) -> FloatArray:
        """Path loss of the npz, or decoded, see :meth:`MapSource.pathloss_db`."""
        wanted = range(self.kinds[kind].frame)[frames]
        return np.stack([self.files.pathloss_db(scene, traj, tx, frame) for frame in wanted])

    def buildings(self, scene: int) -> BoolArray:
        """See :meth:`MapSource.buildings`."""
        self._described("buildings")
        return self.files.buildings(scene)

    def building_height(self, scene: int) -> FloatArray:
        """See :meth:`MapSource.building_height`."""
        self._described("building heights")
        return self.files.building_height(scene)

    def inside_buildings(self, scene: int) -> BoolArray:
        """See :meth:`MapSource.inside_buildings`."""
        self._described("buildings")
        return self.files.inside_buildings(scene)

    def roads(self, scene: int) -> BoolArray:
        """See :meth:`MapSource.roads`."""
        self._described("roads")
        return self.files.roads(scene)

    def vehicles(self, scene: int, traj: int) -> BoolArray:
        """See :meth:`MapSource.vehicles`."""
        self._described("vehicle masks")
        frames = range(self.files.sizes.frame)
        return np.stack([self.files.vehicles(scene, traj, frame) for frame in frames])

    def transmitter_pixels(self, scene: int) -> IntArray:
        """See :meth:`MapSource.transmitter_pixels`."""
        self._described("transmitters")
        x, y, _ = self.files.transmitters(scene).T
        return np.stack(self.grid.pixel(x, y), axis=-1)

    def _described(self, what: str) -> None:
        if self.files.description is None:
            raise self.lacks(what)


class SeerMaps(MapSource):
    """The RadioMapSeer layout: grey images; kinds are its simulators ``DPM``, ``carsDPM``, ...

    Scenes are called as their files, such as ``"159"``. Of a part of the dataset a kind has as
    many transmitters as the highest number found; what is missing is named when it is read.
    """

    layout = "seer"
    signs = "gain/DPM or another simulator's folder"

    def __init__(self, path: Path, scale: ScaleName | None = None) -> None:
        self.path = path
        self.scale = SEER_SCALE
        image_scale(self, scale)
        self.files = SeerLayout(path)
        about = read_seer_description(self.files.root)
        self.title = about.title if about else "RadioMapSeer"
        self.licence = about.licence if about else []
        self.attribution = about.attribution if about else [SEER_ATTRIBUTION]
        self.grid = self.files.grid
        self.scene_names = [str(number) for number in self.files.maps]
        listed = {
            name: [tx for m in self.files.maps for tx in self.files.transmitters(name, m)[-1:]]
            for name in self.files.simulators
        }
        self.kinds = {
            name: Kind(1, max(last) + 1, 1, has_cars(name)) for name, last in listed.items() if last
        }

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the layout lies at a path."""
        return is_layout(path) or is_layout(path / SEER_NAME)

    def grey(
        self,
        kind: str,
        scene: int,
        traj: int,  # noqa: ARG002 - maps have one
        tx: int,
        frames: slice = ALL,
    ) -> ByteArray:
        """Grey levels as in the images, see :meth:`MapSource.grey`."""
        return self.files.grey(kind, self.files.maps[scene], tx)[None][frames]

    def pathloss_db(
        self,
        kind: str,
        scene: int,
        traj: int,  # noqa: ARG002 - maps have one
        tx: int,
        frames: slice = ALL,
    ) -> FloatArray:
        """Path loss decoded from the images, see :meth:`MapSource.pathloss_db`."""
        return self.files.pathloss_db(kind, self.files.maps[scene], tx)[None][frames]

    def buildings(self, scene: int) -> BoolArray:
        """Building image, half a pixel beside the pixels without gain (docs/seer.md)."""
        return self.files.buildings(self.files.maps[scene])

    def inside_buildings(self, scene: int) -> BoolArray:
        """Pixels whose centre is in a polygon; without polygons the building image."""
        inside = self.files.inside_buildings(self.files.maps[scene])
        return self.buildings(scene) if inside is None else inside

    def roads(self, scene: int) -> BoolArray:
        """Road image: centre lines, one pixel wide."""
        return self.files.roads(self.files.maps[scene])

    def vehicles(self, scene: int, traj: int) -> BoolArray:  # noqa: ARG002 - maps have one
        """See :meth:`MapSource.vehicles`."""
        return self.files.cars(self.files.maps[scene])[None]

    def transmitter_pixels(self, scene: int) -> IntArray:
        """See :meth:`MapSource.transmitter_pixels`."""
        return self.files.transmitter_pixels(self.files.maps[scene])
