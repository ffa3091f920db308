"""The HDF5 layout: the whole store in one file that explains itself.

The file has the arrays of the store under their names, with their types, attributes and chunks,
deflated, and the dimensions as HDF5 dimension scales: it is a netCDF-4 file as well, which xarray,
MATLAB and h5py read without rmtools. Nothing is rounded. :mod:`rmtools.layouts.hdf5_reader` reads
it back.
"""

from __future__ import annotations

import json
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools.errors import InputError
from rmtools.files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from rmtools.store import Store

FILE_NAME = "dataset.h5"
LAYOUT_ATTRIBUTE, LAYOUT, FORMAT = "rmtools_layout", "hdf5", 1
SCENES = "scenes_json"
"""One JSON text for each scene: its name, place, source, licence and notes."""

JSON_ATTRIBUTES = "json_attributes"
"""Attribute that names those whose value is JSON text."""

LEVEL = 1
"""zlib's fastest; see rmtools.layouts.npz."""

_VERSIONS = ("v110", "v110")
"""Since HDF5 1.10 (2016): keeps attributes of more than 64 KiB, such as a list of tracks."""

_WORKERS = 4

Array = np.ndarray[Any, Any]


def write_hdf5(
    store: Store, path: Path, *, progress: Callable[[int, int], None] | None = None
) -> list[str]:
    """Write a store as one HDF5 file; it appears when it is complete.

    The same store gives the same bytes with the same versions of HDF5 and zlib.

    Parameters
    ----------
    store
        A store with path loss.
    path
        The file to make or replace.
    progress
        Called with the number of scenes done and their total.

    Returns
    -------
    list of str
        Name of the file.

    Raises
    ------
    InputError
        There is no path loss.
    """
    import h5py

    if not store.map_arrays:
        raise InputError(
            "there is no path loss in the store.",
            where=store.path,
            remedy="Run `rmtools simulate` first.",
        )
    attributes = store.attributes
    scenes = [json.dumps(scene, ensure_ascii=False) for scene in attributes.pop("scenes")]
    names = sorted(store.array_names, key=lambda name: _dims(store, name) != (name,))
    with replacing(path) as partial, h5py.File(partial, "w", libver=_VERSIONS) as file:
        _set_attributes(file, {LAYOUT_ATTRIBUTE: LAYOUT, "format": FORMAT, **attributes})
        for name in names:
            _create(file, store, name)
        texts = file.create_dataset(SCENES, (len(scenes),), h5py.string_dtype())
        texts[:] = scenes
        texts.dims[0].attach_scale(file["scene"])
        _set_attributes(texts, {"long_name": "what each scene is, where it lies, its source"})
        with ThreadPoolExecutor(min(_WORKERS, os.cpu_count() or 1)) as pool:
            for scene in range(len(scenes)):
                for name in names:
                    if _is_by_scene(store, name):
                        _copy_scene(file[name], store.array(name), scene, pool)
                if progress is not None:
                    progress(scene + 1, len(scenes))
    return [path.name]


def _dims(store: Store, name: str) -> tuple[str, ...]:
    return tuple(store.array(name).metadata.dimension_names)


def _create(file: Any, store: Store, name: str) -> None:
    """Make one array; those that do not belong to single scenes are written at once."""
    array, dims, by_scene = store.array(name), _dims(store, name), _is_by_scene(store, name)
    options: dict[str, Any] = {"data": np.asarray(array[:])}
    if by_scene:
        options = {"chunks": array.chunks, "shuffle": True, "compression": "gzip"}
        options |= {"compression_opts": LEVEL, "fillvalue": array.fill_value}
    made = file.create_dataset(name, array.shape, array.dtype, **options)
    _set_attributes(made, dict(array.attrs))
    if dims == (name,):
        made.make_scale(name)
    else:
        for axis, dim in enumerate(dims):
            made.dims[axis].attach_scale(file[dim])


def _is_by_scene(store: Store, name: str) -> bool:
    """Whether an array is cut into chunks that each belong to one scene."""
    array = store.array(name)
    return array.size > 0 and array.ndim > 1 and array.chunks[0] == 1


def _copy_scene(made: Any, array: Any, scene: int, pool: ThreadPoolExecutor) -> None:
    """Copy the chunks of one scene; threads read and deflate them."""
    shape, chunks = array.shape, array.chunks
    steps = (range(0, n, c) for n, c in zip(shape[1:], chunks[1:], strict=True))

    def load(start: tuple[int, ...]) -> tuple[tuple[int, ...], bytes]:
        where = tuple(slice(a, a + c) for a, c in zip(start, chunks, strict=True))
        return start, _deflated(np.asarray(array[where]))

    for start, data in pool.map(load, product([scene], *steps)):
        made.id.write_direct_chunk(start, data)


def _deflated(chunk: Array) -> bytes:
    """A chunk as HDF5's filters shuffle and deflate leave it."""
    flat = np.ascontiguousarray(chunk).view(np.uint8).reshape(-1, chunk.itemsize)
    return zlib.compress(np.ascontiguousarray(flat.T).data, LEVEL)


def _set_attributes(node: Any, values: Mapping[str, Any]) -> None:
    """Attributes: text, numbers and lists of them as they are, all else as JSON text."""
    as_json = [key for key, value in values.items() if not _is_plain(value)]
    for key, value in values.items():
        node.attrs[key] = json.dumps(value, ensure_ascii=False) if key in as_json else value
    if as_json:
        node.attrs[JSON_ATTRIBUTES] = sorted(as_json)


def _is_plain(value: Any) -> bool:
    """Whether HDF5 gives a value back as it was."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(v, str) for v in value)
    return isinstance(value, str | int | float) and not isinstance(value, bool)
