"""A dataset that may lie, read for many at once: what a request takes has bounds of its own.

They are narrower than those that every store is read within (:mod:`rmtools.store_guard`).
"""

from __future__ import annotations

import math
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools.errors import InputError
from rmtools.report.reader import Reader
from rmtools.serve.rules import Refused
from rmtools.store import Store
from rmtools.store_format import MAPS_NAME

if TYPE_CHECKING:
    from pathlib import Path

MAX_BLOCK_BYTES = 512 * 2**20
"""What may be unpacked at once: a sequence of maps or a layer of a scene."""

MAX_TABLE_BYTES = 2**20
"""The same for positions and tracks, which become text."""

MAX_FRAMES, MAX_TRANSMITTERS = 10_000, 10_000

_AT_ONCE = 2  # blocks that are unpacked at the same time
_LAYERS = frozenset(("buildings", "building_height", "roads", "vehicles"))


class BoundedReader(Reader):
    """A reader for requests: indices are checked, and so is what an array says of itself."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._turn = threading.Semaphore(_AT_ONCE)
        self.attributes = store.attributes
        self.names = store.scene_names

    def block(self, name: str, *index: int) -> Any:
        """Everything of an array at its leading indices, as a NumPy array.

        Raises
        ------
        Refused
            There is no such index.
        InputError
            The array is not what a store holds, or too large to be shown.
        """
        array = self.array(name)
        shape = array.shape
        if len(shape) <= len(index) or not all(
            0 <= i < length for i, length in zip(index, shape, strict=False)
        ):
            raise Refused(HTTPStatus.NOT_FOUND, "The dataset has no such scene or map.")
        large = name in _LAYERS or MAPS_NAME.fullmatch(name)
        most = MAX_BLOCK_BYTES if large else MAX_TABLE_BYTES
        items = max(math.prod(shape[len(index) :]), math.prod(array.chunks))
        if array.dtype.kind not in "biuf" or items * array.dtype.itemsize > most:
            raise InputError(
                f"{name} has blocks of {items:,} {array.dtype}, too large to be shown.",
                where=self.store.path,
                remedy="Read it with rmtools.store or xarray.",
            )
        if large and shape[-2:] != self.grid.shape:
            raise InputError(
                f"{name} does not have the shape of the grid.",
                where=self.store.path,
                remedy="Run `rmtools validate` on the dataset.",
            )
        with self._turn:
            return np.asarray(array[index])


def open_dataset(path: Path) -> tuple[Path, BoundedReader]:
    """Folder and reader of a dataset, or of a store alone.

    Raises
    ------
    InputError
        There is no rmtools store, its metadata or attributes make no sense, or it is a link that
        leads out of the folder.
    """
    root = path.resolve()
    store = Store.open(root)
    if store.place.remote is None and store.path.resolve() != store.path:
        raise InputError(
            "the store is a link that leads out of the dataset.",
            where=store.path,
            remedy=f"Serve {store.path.resolve()} itself.",
        )
    reader = BoundedReader(store)
    _check(reader)
    return root, reader


def _check(reader: BoundedReader) -> None:
    """Refuse a store that pages cannot be made from."""
    sizes = reader.sizes
    _ = reader.store.array_names  # the metadata of all arrays pass the guard of the store
    if not sizes.scene or sizes.frame > MAX_FRAMES or sizes.tx > MAX_TRANSMITTERS:
        raise InputError(
            f"it has {sizes.scene:,} scenes, {sizes.tx:,} transmitters and {sizes.frame:,} frames, "
            f"of which {MAX_TRANSMITTERS:,} and {MAX_FRAMES:,} can be shown.",
            where=reader.store.path,
            remedy="Run `rmtools validate` on the dataset.",
        )
