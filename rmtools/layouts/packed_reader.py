"""Reading packed caches: arrays mapped into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools.errors import InputError
from rmtools.files import read_model, sha256_file
from rmtools.grid import Grid
from rmtools.layouts import packed_format as fmt
from rmtools.layouts.maps import ALL, Kind, MapSource, image_scale
from rmtools.units import SCALES

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.layouts.maps import ScaleName
    from rmtools.layouts.packed_format import PackedArray
    from rmtools.types import BoolArray, ByteArray, FloatArray, IntArray

_REMEDY = "Write it again with `rmtools pack`."


class PackedMaps(MapSource):
    """A packed cache, open for reading.

    Opening checks names, types, shapes and lengths of all files against ``packed.json``;
    :meth:`verify` also reads them.

    Attributes
    ----------
    description
        Content of ``packed.json``.
    arrays
        The arrays by name, mapped read-only.
    """

    layout = "packed"
    signs = fmt.DESCRIPTION_NAME

    def __init__(self, path: Path, scale: ScaleName | None = None) -> None:
        self.path = path
        about = read_model(
            path / fmt.DESCRIPTION_NAME, fmt.PackedDescription, "a packed cache", _REMEDY
        )
        self.description = about
        self.title, self.licence, self.attribution = about.title, about.licence, about.attribution
        self.grid = Grid(about.n, about.resolution_m)
        self.scale = SCALES[about.scale.name]
        if about.values == "uint8":
            image_scale(self, scale)
        elif scale is not None:
            self.scale = SCALES[scale]
        self.scene_names = about.scenes
        self.kinds = {name: Kind(**kind.model_dump()) for name, kind in about.kinds.items()}
        expected = self._expected()
        if wrong := [name for name in about.arrays if name not in expected] or [
            name for name in self.kinds if name not in about.arrays
        ]:
            raise InputError(
                f"its arrays do not fit its kinds ({wrong[0]!r}).",
                where=path / fmt.DESCRIPTION_NAME,
                remedy=_REMEDY,
            )
        self.arrays = {
            name: _mapped(path / array.file, array, *expected[name])
            for name, array in about.arrays.items()
        }

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether a packed cache lies at a path."""
        return (path / fmt.DESCRIPTION_NAME).is_file()

    def _opened_by(self) -> tuple[Any, ...]:
        return (self.path, self.scale.name)

    def _expected(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and type that each array must have."""
        scenes, image = len(self.scene_names), self.grid.shape
        expected: dict[str, tuple[tuple[int, ...], str]] = {
            name: ((scenes, kind.traj, kind.tx, kind.frame, *image), self.description.values)
            for name, kind in self.kinds.items()
        }
        transmitters = max(kind.tx for kind in self.kinds.values())
        expected |= dict.fromkeys((fmt.BUILDINGS, fmt.ROADS), ((scenes, *image), "uint8"))
        expected[fmt.HEIGHT] = ((scenes, *image), "float32")
        expected[fmt.TRANSMITTERS] = ((scenes, transmitters, 2), "int32")
        moving = {(kind.traj, kind.frame) for kind in self.kinds.values() if kind.vehicles}
        if len(moving) == 1:
            expected[fmt.VEHICLES] = ((scenes, *moving.pop(), *image), "uint8")
        return expected

    def verify(self) -> list[str]:
        """Names of the files whose content is not what was written; reads everything."""
        about = self.description.arrays.values()
        return [a.file for a in about if sha256_file(self.path / a.file) != a.sha256]

    # -- maps --------------------------------------------------------------------------------

    def grey(self, kind: str, scene: int, traj: int, tx: int, frames: slice = ALL) -> ByteArray:
        """Grey levels, see :meth:`MapSource.grey`; a view of the file where it holds them."""
        if self.description.values != "uint8":
            return super().grey(kind, scene, traj, tx, frames)
        return self.arrays[kind][scene, traj, tx, frames]

    def pathloss_db(
        self, kind: str, scene: int, traj: int, tx: int, frames: slice = ALL
    ) -> FloatArray:
        """Path loss in dB, see :meth:`MapSource.pathloss_db`."""
        if self.description.values == "uint8":
            return super().pathloss_db(kind, scene, traj, tx, frames)
        return self.arrays[kind][scene, traj, tx, frames].astype(np.float32)

    # -- what belongs to scenes --------------------------------------------------------------

    def buildings(self, scene: int) -> BoolArray:
        """See :meth:`MapSource.buildings`."""
        return self._layer(fmt.BUILDINGS)[scene].astype(bool)

    def building_height(self, scene: int) -> FloatArray:
        """See :meth:`MapSource.building_height`."""
        return self._layer(fmt.HEIGHT)[scene]

    def roads(self, scene: int) -> BoolArray:
        """See :meth:`MapSource.roads`."""
        return self._layer(fmt.ROADS)[scene].astype(bool)

    def vehicles(self, scene: int, traj: int) -> BoolArray:
        """See :meth:`MapSource.vehicles`."""
        return self._layer(fmt.VEHICLES)[scene, traj].astype(bool)

    def transmitter_pixels(self, scene: int) -> IntArray:
        """See :meth:`MapSource.transmitter_pixels`."""
        return self._layer(fmt.TRANSMITTERS)[scene].astype(np.int64)

    def _layer(self, name: str) -> np.ndarray[Any, Any]:
        if name not in self.arrays:
            raise self.lacks(name.replace("_", " "))
        return self.arrays[name]


def _mapped(
    path: Path, array: PackedArray, shape: tuple[int, ...], dtype: str
) -> np.ndarray[Any, Any]:
    """Map one array into memory after checking that it is what it must be."""
    try:
        if tuple(array.shape) != shape or array.dtype != dtype:
            raise ValueError(f"{array.dtype} {tuple(array.shape)}, expected {dtype} {shape}")
        if path.stat().st_size != array.size:
            raise ValueError(f"{path.stat().st_size:,} bytes, expected {array.size:,}")
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if mapped.shape != shape or mapped.dtype != dtype or not mapped.flags.c_contiguous:
            raise ValueError(f"{mapped.dtype} {mapped.shape}, expected {dtype} {shape}")
    except (OSError, ValueError, EOFError, SyntaxError, MemoryError) as error:
        raise InputError(
            f"not the array that {fmt.DESCRIPTION_NAME} promises ({error}).",
            where=path,
            remedy=_REMEDY,
        ) from error
    return np.asarray(mapped)  # slices of a plain array are cheaper
