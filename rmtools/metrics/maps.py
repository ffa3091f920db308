"""Where maps to be evaluated come from: folders of images or arrays, a store, a layout.

Every map has an id. Two sources belong together when they use the same ids, whatever the files
are called: ``env_003/traj_00/tx_01/12`` in trees of the RadioMapMotion layout and in stores,
``<map>_<tx>`` in RadioMapSeer's, else the path without its suffix.
"""

from __future__ import annotations

import functools
import json
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rmtools.errors import InputError
from rmtools.files import walk_files
from rmtools.images import png_size, read_grey_image
from rmtools.layouts.npz import read_npz
from rmtools.metrics.surroundings import MotionSurroundings, SeerSurroundings, StoreSurroundings
from rmtools.store import Store
from rmtools.store_place import StorePlace
from rmtools.units import MOTION_SCALE, SCALES, SEER_SCALE, GreyScale

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rmtools.metrics.surroundings import Surroundings
    from rmtools.types import FloatArray

SUFFIXES = (".png", ".npy", ".npz")
PATHLOSS = "pathloss_db"
MAX_ARCHIVE_BYTES = 2 * 2**30
"""An npz archive cannot be read piece by piece; npy files may be of any size."""

_SEQUENCE = re.compile(r"(?:.*/)?env_(\d+)/traj_(\d+)/tx_(\d+)/(?:frame_)?(\d+)")
_SEER = re.compile(r"(?:.*/)?(\d+)_(\d+)")
_WHICH = "Give a folder of PNG, npy or npz files, a store, or a layout."


class Place(NamedTuple):
    """Which map of a dataset an id means; None where a dataset has no such thing."""

    scene: int
    traj: int | None
    tx: int
    frame: int | None


def parse_id(map_id: str) -> Place | None:
    """What an id says about scene, trajectory, transmitter and frame; None if nothing."""
    if match := _SEQUENCE.fullmatch(map_id):
        scene, traj, tx, frame = (int(number) for number in match.groups())
        return Place(scene, traj, tx, frame)
    if match := _SEER.fullmatch(map_id):
        return Place(int(match[1]), None, int(match[2]), None)
    return None


def sequence_id(scene: int, traj: int, tx: int, frame: int) -> str:
    """Id of a frame in stores and in the RadioMapMotion layout."""
    return f"env_{scene:03d}/traj_{traj:02d}/tx_{tx:02d}/{frame:02d}"


class Maps(ABC):
    """Maps of one source, in [0, 1] on its grey scale.

    Attributes
    ----------
    path
        Where they lie.
    ids
        Ids of all maps in natural order (2 before 10).
    scale
        Their grey scale, None when nothing says which.
    surroundings
        Buildings and transmitters, None when there are none.
    scene_names
        Names of the scenes by index, as splits may name them; empty when there are none.
    """

    path: Path
    ids: Sequence[str]
    scale: GreyScale | None = None
    surroundings: Surroundings | None = None
    scene_names: Sequence[str] = ()

    @abstractmethod
    def read(self, map_id: str, shape: tuple[int, int] | None = None) -> FloatArray:
        """One map, float64, which must have `shape` if one is given.

        Raises
        ------
        InputError
            It cannot be read or has another shape.
        """

    def names_of(self, scene: int) -> set[str]:
        """All names under which a split may mean a scene."""
        names = {f"env_{scene:03d}", str(scene), f"map_{scene}"}
        if self.scene_names:
            names = {f"env_{scene:03d}", *self.scene_names[scene : scene + 1]}
        return names


class FileMaps(Maps):
    """Maps in files below a folder, or in one npy or npz file."""

    def __init__(
        self, path: Path, surroundings: Surroundings | None = None, scale: GreyScale | None = None
    ) -> None:
        self.path, self.surroundings = path, surroundings
        self._files = _list_file(path) if path.is_file() else _list_folder(path)
        if not self._files:
            raise InputError(
                f"there are no maps in it ({', '.join(SUFFIXES)}).", where=path, remedy=_WHICH
            )
        self.ids = sorted(self._files, key=_natural)
        self.scale = _stated_scale(self._files[self.ids[0]][0]) or scale
        if isinstance(surroundings, MotionSurroundings):
            self.scene_names = surroundings.scene_names

    @functools.cached_property
    def _image_shape(self) -> tuple[int, int]:
        """Shape of all images: that of the first."""
        return png_size(self._files[self.ids[0]][0])

    def read(self, map_id: str, shape: tuple[int, int] | None = None) -> FloatArray:
        """One map, see :meth:`Maps.read`."""
        path, inner = self._files[map_id]
        if path.suffix == ".png":
            return read_grey_image(path, shape or self._image_shape).levels / 255.0
        array = _load_npy(path) if path.suffix == ".npy" else self._from_archive(path, inner)
        if isinstance(inner, int):
            array = array[inner]
        array = _unit(np.squeeze(array, axis=0) if array.ndim == 3 else array, path)
        if array.ndim != 2 or (shape is not None and array.shape != shape):
            expected = "two axes" if shape is None else f"{shape[0]} x {shape[1]}"
            raise InputError(
                f"the map {map_id} has the shape {array.shape}, expected {expected}.",
                where=path,
                remedy="Write the maps again; one map of that size belongs there.",
            )
        return array

    def _from_archive(self, path: Path, inner: int | str | None) -> np.ndarray[Any, Any]:
        archive = _load_npz(path)
        if PATHLOSS in archive:
            if self.scale is None:
                raise InputError(
                    "path loss in dB needs a grey scale.", where=path, remedy="Give --scale."
                )
            return self.scale.normalise(archive[PATHLOSS])
        if isinstance(inner, str):
            return archive[inner]
        if len(archive) != 1:
            raise InputError(
                f"{len(archive)} arrays in it, expected one map.",
                where=path,
                remedy="Give one array in each file of a folder.",
            )
        return next(iter(archive.values()))


class StoreMaps(Maps):
    """Maps of a store, on the grey scale of a layout."""

    def __init__(self, path: Path, scale: GreyScale | None = None, *, levels: bool) -> None:
        self._store = Store.open(path)
        self.path, self.scale, self._levels = path, scale or MOTION_SCALE, levels
        sizes = self._store.sizes
        if not self._store.has("pathloss"):
            raise InputError(
                "the store has no path loss yet.", where=path, remedy="Run `rmtools simulate`."
            )
        self.ids = [
            sequence_id(*index)
            for index in np.ndindex(sizes.scene, sizes.traj, sizes.tx, sizes.frame)
        ]
        self.surroundings = StoreSurroundings(self._store)
        self.scene_names = self._store.scene_names
        self._sequence = functools.lru_cache(maxsize=4)(self._store.pathloss)

    def read(self, map_id: str, shape: tuple[int, int] | None = None) -> FloatArray:
        """One map: the layout's levels / 255, or the path loss on its scale without rounding."""
        place = parse_id(map_id)
        if place is None or place.traj is None or place.frame is None:
            raise KeyError(map_id)
        pathloss_db = self._sequence(place.scene, place.traj, place.tx)[place.frame]
        if shape is not None and pathloss_db.shape != shape:
            raise InputError(
                f"the map {map_id} has the shape {pathloss_db.shape}, expected {shape}.",
                where=self.path,
                remedy="Compare stores on equal grids.",
            )
        scale = self.scale or MOTION_SCALE
        return scale.encode(pathloss_db) / 255.0 if self._levels else scale.normalise(pathloss_db)


def open_maps(path: Path, scale: GreyScale | None = None, *, truth: bool) -> Maps:
    """Open whatever holds maps.

    Parameters
    ----------
    path
        A dataset folder or store; the RadioMapMotion layout; one tree of RadioMapSeer, such as
        ``gain/DPM``; any folder with one PNG, npy or npz file for each map (or npy stacks of
        maps); one npy or npz file.
    scale
        Grey scale of the maps where nothing else says it.
    truth
        Whether path loss is rounded to the levels that a layout would publish.

    Raises
    ------
    InputError
        Nothing there, or nothing that holds maps.
    """
    if path.is_file() and path.suffix in SUFFIXES[1:]:
        return FileMaps(path, scale=scale)
    if not path.is_dir():
        what = "neither a folder nor an npy or npz file" if path.exists() else "no such folder"
        raise InputError(f"{what}.", where=path, remedy=_WHICH)
    if StorePlace.is_at(path):
        return StoreMaps(path, scale, levels=truth)
    for root in (path, path / "motion", path.parent):
        if MotionSurroundings.describes(root):
            surroundings = MotionSurroundings(root)
            tree = path if root == path.parent else root / surroundings.tree
            return FileMaps(tree, surroundings, scale or MOTION_SCALE)
    inner = path / "gain"
    if inner.is_dir():
        trees = sorted(folder for folder in inner.iterdir() if folder.is_dir())
        if trees and all(tree.name.startswith("env_") for tree in trees):
            return FileMaps(inner, scale=scale)
        if len(trees) != 1:
            raise InputError(
                f"maps of {len(trees)} kinds ({', '.join(tree.name for tree in trees)}).",
                where=inner,
                remedy=f"Give one of them, such as {inner / 'DPM'}.",
            )
        path = trees[0]
    if path.parent.name == "gain" and SeerSurroundings.describes(path.parent.parent):
        return FileMaps(path, SeerSurroundings(path.parent.parent), scale or SEER_SCALE)
    return FileMaps(path, scale=scale)


# -- files ---------------------------------------------------------------------------------------

_Files = dict[str, tuple["Path", int | str | None]]
"""For each id the file, and the index or name of the map in it."""


def _list_folder(root: Path) -> _Files:
    files: _Files = {}
    for path in walk_files(root):
        if path.suffix not in SUFFIXES:
            continue
        relative = path.relative_to(root).with_suffix("").as_posix()
        place = parse_id(relative)
        if place is not None and place.traj is not None and place.frame is not None:
            relative = sequence_id(place.scene, place.traj, place.tx, place.frame)
        inner: list[tuple[str, int | None]] = [(relative, None)]
        if path.suffix == ".npy":
            shape = _load_npy(path).shape
            if len(shape) > 2 and (len(shape) == 4 or shape[0] != 1):
                inner = [(f"{relative}/{k}", k) for k in range(shape[0])]
        for map_id, index in inner:
            if map_id in files:
                raise InputError(
                    f"{path} and {files[map_id][0]} are both the map {map_id}.",
                    where=root,
                    remedy="Give the folder of one of them.",
                )
            files[map_id] = (path, index)
    return files


def _list_file(path: Path) -> _Files:
    arrays = {"": _load_npy(path)} if path.suffix == ".npy" else _load_npz(path)
    if len(arrays) != 1:
        return {name: (path, name) for name in arrays}
    ((name, array),) = arrays.items()
    if array.ndim < 3:
        return {name or "0": (path, None)}
    return {str(k): (path, k) for k in range(len(array))}


def _load_npy(path: Path) -> np.ndarray[Any, Any]:
    """An npy file, mapped into memory and not read yet."""
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"not a readable npy file ({type(error).__name__}: {error}).",
            where=path,
            remedy="The file is damaged or holds Python objects; write it again.",
        ) from error


@functools.lru_cache(maxsize=4)
def _load_npz(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """All arrays of an archive; the last few are kept."""
    return read_npz(path, MAX_ARCHIVE_BYTES)


def _unit(array: np.ndarray[Any, Any], path: Path) -> FloatArray:
    """Values as float64; 8-bit levels are divided by 255 before anything else."""
    if array.dtype == np.uint8:
        return array / 255.0
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"the maps are of type {array.dtype}.",
            where=path,
            remedy="Write floats in [0, 1], or grey levels as uint8.",
        )
    return array.astype(np.float64)


def _stated_scale(path: Path) -> GreyScale | None:
    """The grey scale that a file names; our own files do."""
    if path.suffix == ".png":
        name = read_grey_image(path, png_size(path)).text.get("scale")
    elif path.suffix == ".npz":
        stated = _load_npz(path).get("scale")
        try:
            name = None if stated is None else json.loads(str(stated)).get("scale")
        except (ValueError, AttributeError):
            name = None
    else:
        name = None
    return SCALES.get(str(name))


def _natural(text: str) -> list[str | int]:
    """Sort key that puts 2 before 10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]
