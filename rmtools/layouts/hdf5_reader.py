"""Reading HDF5 files in our layout: checked against the format before anything is read."""

from __future__ import annotations

import json
import math
import zlib
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools.errors import InputError
from rmtools.grid import Grid
from rmtools.layouts.hdf5 import (
    FILE_NAME,
    FORMAT,
    JSON_ATTRIBUTES,
    LAYOUT,
    LAYOUT_ATTRIBUTE,
    SCENES,
)
from rmtools.layouts.maps import ALL, Kind, MapSource, ScaleName, not_computed
from rmtools.names import check_name
from rmtools.radio.receivers import inside_buildings
from rmtools.store_format import MAPS_NAME, MAX_CHUNK_BYTES, MAX_LENGTHS, STATIC, spec_of
from rmtools.units import MOTION_SCALE, SCALES

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.types import BoolArray, FloatArray, IntArray

MAX_TEXT = 2**20
MAX_TEXTS = 2**26
"""Characters about one scene, and about all."""

_TEXT_BYTES = 16
"""What HDF5 takes in an array for a text, which lies elsewhere."""

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_REMEDY = "The file is damaged or not of this layout; write it again with `rmtools package`."
_BROKEN = (
    *(OSError, RuntimeError, KeyError, IndexError, ValueError, TypeError, zlib.error),
    *(MemoryError, RecursionError),
)
"""What h5py raises at damaged files."""

Array = np.ndarray[Any, Any]


class Hdf5File:
    """A file in the HDF5 layout, open for reading.

    Every member must be an array of the store's format with its type and the shape that the
    dimensions give it, held in the file itself (no links, no external or virtual data), and
    compressed by nothing but deflate.

    Attributes
    ----------
    path
        The file.
    attributes
        Root attributes as of the store, the list ``scenes`` included.
    lengths
        Length of each dimension.
    names
        Names of the arrays, sorted.
    """

    def __init__(self, path: Path) -> None:
        import h5py

        self.path = path
        self._checked: set[tuple[str, tuple[int, ...]]] = set()
        if not path.is_file():
            raise InputError("no such file.", where=path, remedy="Check the path.")
        try:
            self._file = h5py.File(path, "r", rdcc_nbytes=64 * 2**20)
            self._check()
        except _BROKEN as error:
            raise self._broken(error) from error

    def _check(self) -> None:
        root = _attributes(self._file)
        if (root.pop(LAYOUT_ATTRIBUTE, None), root.pop("format", None)) != (LAYOUT, FORMAT):
            raise ValueError(f"it does not call itself {LAYOUT}, format {FORMAT}")
        self.names = sorted(set(self._file) - {SCENES})
        specs = {name: spec_of(name) for name in self.names}
        if unknown := [name for name, spec in specs.items() if spec is None]:
            raise ValueError(f"unknown array {unknown[0]!r}")
        for name in self._file:
            self._check_storage(name)
        self.lengths = {}
        for name, spec in specs.items():
            if spec is not None and spec.dims == (name,):
                self.lengths[name] = self._file[name].shape[0]
                least = 0 if name == "vehicle" else 1
                if not least <= self.lengths[name] <= MAX_LENGTHS[name]:
                    raise ValueError(f"{self.lengths[name]} in the dimension {name!r}")
        for name, spec in specs.items():
            found = self._file[name]
            wanted = tuple(self.lengths[dim] for dim in spec.dims) if spec else ()
            if spec is None or found.shape != wanted or found.dtype != spec.dtype:
                raise ValueError(f"{name} is {found.dtype} {found.shape}, expected {wanted}")
        for spec in STATIC:
            if spec.name not in specs:
                raise ValueError(f"the array {spec.name} is missing")
        if self._file[SCENES].shape != (self.lengths["scene"],):
            raise ValueError(f"{SCENES} does not fit the dimension scene")
        self.grid = Grid(self.lengths["x"], float(root["resolution_m"]))
        if self.lengths["y"] != self.grid.n:
            raise ValueError(f"{self.lengths['y']} rows of {self.grid.n} columns")
        scenes = self._scenes()
        for scene in scenes:
            check_name(scene["name"])
        self.attributes: dict[str, Any] = {**root, "scenes": scenes}

    def _scenes(self) -> list[Any]:
        """What the file says of each scene; a text may stand for many scenes, so they are counted.

        Texts are read one by one: a million places may point to the same one.
        """
        found, total = [], 0
        self._check_chunks(SCENES)
        for k in range(self.lengths["scene"]):
            text = self._file[SCENES].asstr()[k]
            total += len(text)
            if total > MAX_TEXTS:
                raise ValueError(f"more than {MAX_TEXTS:,} characters about its scenes")
            found.append(_json(text))
        return found

    def _check_storage(self, name: str) -> None:
        """Refuse what is not plainly in the file."""
        import h5py

        link, found = self._file.get(name, getlink=True), self._file.get(name)
        if not isinstance(link, h5py.HardLink) or not isinstance(found, h5py.Dataset):
            raise TypeError(f"{name!r} is not an array of this file")
        plist = found.id.get_create_plist()
        filters = {plist.get_filter(k)[0] for k in range(plist.get_nfilters())}
        if found.external or found.is_virtual or filters - {h5py.h5z.FILTER_DEFLATE, 2}:
            raise ValueError(f"{name!r} is stored in a way that is not part of the layout")
        chunk = found.chunks or found.shape
        itemsize = _TEXT_BYTES if name == SCENES else found.dtype.itemsize
        if np.prod(chunk, dtype=float) * itemsize > MAX_CHUNK_BYTES:
            raise ValueError(f"{name!r} has chunks of {chunk}")

    def read(self, name: str, *index: int | slice) -> Array:
        """Part of an array."""
        try:
            self._check_chunks(name, index)
            return np.asarray(self._file[name][index])
        except _BROKEN as error:
            raise self._broken(error) from error

    def _check_chunks(self, name: str, index: tuple[int | slice, ...] = ()) -> None:
        """Refuse chunks that unpack to more than a chunk, which HDF5 would do without end."""
        found = self._file[name]
        if not found.chunks or not found.compression:
            return
        size = math.prod(found.chunks) * (_TEXT_BYTES if name == SCENES else found.dtype.itemsize)
        whole = [ALL] * (found.ndim - len(index))
        touched = (
            sorted({k // step for k in np.atleast_1d(np.arange(length)[each]).tolist()})
            for each, length, step in zip([*index, *whole], found.shape, found.chunks, strict=True)
        )
        for place in product(*touched):
            if (name, place) in self._checked:
                continue
            offset = tuple(k * step for k, step in zip(place, found.chunks, strict=True))
            about = found.id.get_chunk_info_by_coord(offset)
            if about.byte_offset is not None:
                if about.size > size + size // 64 + 64:
                    raise ValueError(f"a chunk of {name!r} takes {about.size:,} bytes")
                _, packed = found.id.read_direct_chunk(offset)
                if len(zlib.decompressobj().decompress(packed, size + 1)) > size:
                    raise ValueError(f"a chunk of {name!r} unpacks to more than {size:,} bytes")
            self._checked.add((name, place))

    def array_attributes(self, name: str) -> dict[str, Any]:
        """Attributes of an array as of the store; empty when it is not there."""
        if name not in self.names:
            return {}
        try:
            return _attributes(self._file[name])
        except _BROKEN as error:
            raise self._broken(error) from error

    def _broken(self, error: BaseException) -> InputError:
        return InputError(
            f"not a dataset in the HDF5 layout ({type(error).__name__}: {error}).",
            where=self.path,
            remedy=_REMEDY,
        )


_HDF5_OWN = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"}
"""Attributes by which HDF5 ties dimension scales to arrays."""


def _attributes(node: Any) -> dict[str, Any]:
    """Attributes as they were set, see :func:`rmtools.layouts.hdf5.write_hdf5`."""
    values = {key: _plain(node.attrs[key]) for key in node.attrs if key not in _HDF5_OWN}
    for key in values.pop(JSON_ATTRIBUTES, []):
        values[key] = _json(values[key])
    return values


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _json(text: str) -> Any:
    if len(text) > MAX_TEXT:
        raise ValueError(f"{len(text):,} characters in one text")
    return json.loads(text)


class Hdf5Maps(MapSource):
    """A file in the HDF5 layout as a source of maps; kinds are its arrays of path loss."""

    layout = LAYOUT
    signs = f"an HDF5 file, or {FILE_NAME} in a folder without store"

    def __init__(self, path: Path, scale: ScaleName | None = None) -> None:
        self.path = path
        self.scale = SCALES[scale or MOTION_SCALE.name]
        self.file = Hdf5File(path / FILE_NAME if path.is_dir() else path)
        attributes, lengths = self.file.attributes, self.file.lengths
        self.title = str(attributes.get("title", path.name))
        self.licence = list(attributes.get("licence", []))
        self.attribution = list(attributes.get("attribution", []))
        self.grid = self.file.grid
        self.scene_names = [scene["name"] for scene in attributes["scenes"]]
        self.kinds = {}
        for name in self.file.names:
            if match := MAPS_NAME.fullmatch(name):
                self.kinds[name] = (
                    Kind(1, lengths["tx"], 1, vehicles=False)
                    if match[1]
                    else Kind(lengths["traj"], lengths["tx"], lengths["frame"], vehicles=True)
                )

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether an HDF5 file lies at a path."""
        if path.is_dir():
            return (path / FILE_NAME).is_file() and not (path / "store.zarr").is_dir()
        if not path.is_file():
            return False
        with path.open("rb") as handle:
            return handle.read(len(_SIGNATURE)) == _SIGNATURE

    def _opened_by(self) -> tuple[Any, ...]:
        return (self.path, self.scale.name)

    def pathloss_db(
        self, kind: str, scene: int, traj: int, tx: int, frames: slice = ALL
    ) -> FloatArray:
        """Path loss as stored, see :meth:`MapSource.pathloss_db`."""
        if self.kinds[kind].vehicles:
            found = self.file.read(kind, scene, traj, tx, frames)
        else:
            found = self.file.read(kind, scene, tx)[None][frames]
        if np.isnan(found).all():
            raise not_computed(self, kind, scene, traj, tx)
        return found

    def buildings(self, scene: int) -> BoolArray:
        """See :meth:`MapSource.buildings`."""
        return self.file.read("buildings", scene).astype(bool)

    def building_height(self, scene: int) -> FloatArray:
        """See :meth:`MapSource.building_height`."""
        return self.file.read("building_height", scene)

    def inside_buildings(self, scene: int) -> BoolArray:
        """See :meth:`MapSource.inside_buildings`."""
        solvers = (self.file.array_attributes(kind).get("solver") for kind in self.kinds)
        solver = next((found for found in solvers if found), None)
        return inside_buildings(self.buildings(scene), self.building_height(scene), solver)

    def roads(self, scene: int) -> BoolArray:
        """See :meth:`MapSource.roads`."""
        return self.file.read("roads", scene).astype(bool)

    def vehicles(self, scene: int, traj: int) -> BoolArray:
        """See :meth:`MapSource.vehicles`."""
        if "vehicles" not in self.file.names:
            raise self.lacks("vehicle masks")
        return self.file.read("vehicles", scene, traj).astype(bool)

    def transmitter_pixels(self, scene: int) -> IntArray:
        """See :meth:`MapSource.transmitter_pixels`."""
        x, y = (self.file.read(f"tx_{axis}", scene) for axis in "xy")
        return np.stack(self.grid.pixel(x, y), axis=-1)
