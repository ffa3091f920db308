"""A dataset that may lie: nothing outside its folder is read, and nothing without bounds."""

from __future__ import annotations

import stat
import struct
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.storage import LocalStore, WrapperStore

from rmtools.errors import InputError, RmtoolsError
from rmtools.report.reader import Reader
from rmtools.serve.rules import Refused
from rmtools.store import STORE_NAME, Store
from rmtools.store_format import FORMAT, MAPS_NAME
from rmtools.store_place import StorePlace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

MAX_BLOCK_BYTES = 512 * 2**20
"""What may be unpacked at once: a sequence of maps or a layer of a scene."""

MAX_TABLE_BYTES = 2**20
"""The same for positions and tracks, which become text."""

MAX_METADATA_BYTES = 256 * 2**20
MAX_FRAMES, MAX_TRANSMITTERS = 10_000, 10_000

_AT_ONCE = 2  # blocks that are unpacked at the same time
_LAYERS = frozenset(("buildings", "building_height", "roads", "vehicles"))
_CODECS = frozenset(("sharding_indexed", "bytes", "crc32c", "blosc"))
_BLOSC_HEADER = struct.Struct("<4xIII")  # bytes unpacked, of a block, packed


class InsideStore(WrapperStore[LocalStore]):
    """Files of a Zarr store that are plain files inside its folder and say how much they hold."""

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a file or a part of one, as far as it may be read."""
        self._check(key, whole=byte_range is None)
        found = await super().get(key, prototype, byte_range)
        if found is not None and "/c/" in key:
            _check_packed(found)
        return found

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Read parts of files."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    def _check(self, key: str, *, whole: bool) -> None:
        root = self._store.root
        path = root / key
        try:
            if path.resolve(strict=True) != path:
                raise InputError(
                    "a part of the store is a link.",
                    where=path,
                    remedy="Put the file itself there.",
                )
            status = path.stat()
        except FileNotFoundError:
            return
        most = MAX_BLOCK_BYTES if "/c/" in key else MAX_METADATA_BYTES
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)) or (
            whole and status.st_size > most
        ):
            raise InputError(
                "not a file of a store, or larger than one can be.",
                where=path,
                remedy="Run `rmtools validate` on the dataset.",
            )


def _check_packed(found: Buffer) -> None:
    """Refuse a block that would unpack to more than any block has.

    A block of a store is packed by Blosc, whose header says how much it holds; it stands alone or,
    as the only one of a file, before the 20 bytes of the index.
    """
    size = len(found)
    if size < 16:
        return
    unpacked, _, packed = _BLOSC_HEADER.unpack(found[:16].to_bytes())
    if packed in (size, size - 20) and unpacked > MAX_BLOCK_BYTES:
        raise InputError(
            f"a block claims to hold {unpacked:,} bytes.",
            where="store.zarr",
            remedy="Run `rmtools validate` on the dataset.",
        )


class BoundedReader(Reader):
    """A reader for requests: indices are checked, and so is what an array says of itself."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._turn = threading.Semaphore(_AT_ONCE)
        self.attributes = store.attributes
        self.names = store.scene_names

    def array(self, name: str) -> Any:
        """An array of the store, made only of codecs whose size is known before unpacking."""
        found = super().array(name)
        if not set(_codecs(found.metadata.to_dict()["codecs"])) <= _CODECS:
            raise InputError(
                "the array is packed in another way than rmtools packs.",
                where=f"{self.store.path}/{name}",
                remedy="Copy the dataset with rmtools.",
            )
        return found

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
        items = max(_product(shape[len(index) :]), _product(array.chunks))
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


def _product(lengths: Iterable[int]) -> int:
    """Product of whole numbers of any size."""
    result = 1
    for length in lengths:
        result *= int(length)
    return result


def _codecs(codecs: Iterable[Any]) -> list[str]:
    """Names of codecs, those inside shards included."""
    names = []
    for codec in codecs:
        names.append(str(codec["name"]))
        inner = codec.get("configuration") or {}
        names += _codecs([*inner.get("codecs", ()), *inner.get("index_codecs", ())])
    return names


def open_dataset(path: Path) -> tuple[Path, BoundedReader]:
    """Folder and reader of a dataset, or of a store alone.

    Raises
    ------
    InputError
        There is no rmtools store, its metadata make no sense, or it is a link that leads out of
        the folder.
    """
    import zarr

    root = path.resolve()
    place = root / STORE_NAME if (root / STORE_NAME).is_dir() else root
    if place.resolve() != place:
        raise InputError(
            "the store is a link that leads out of the dataset.",
            where=place,
            remedy=f"Serve {place.resolve()} itself.",
        )
    try:
        # A group of a store that is only read; consolidated metadata is never trusted.
        group = zarr.open_group(
            InsideStore(LocalStore(place, read_only=True)),
            mode="r",
            zarr_format=3,
            use_consolidated=False,
        )
        found = group.attrs.get("rmtools_format")
        if found != FORMAT:
            raise InputError(
                f"the store has format {found!r}, this version reads format {FORMAT}.",
                where=place,
                remedy="Use the rmtools version that wrote it.",
            )
        reader = BoundedReader(Store(StorePlace(place), group))
        _check(reader)
    except RmtoolsError:
        raise
    except Exception as error:
        raise InputError(
            f"no rmtools store there ({type(error).__name__}).",
            where=path,
            remedy="Give the folder of a dataset or of its store.zarr.",
        ) from error
    return root, reader


def _check(reader: BoundedReader) -> None:
    """Refuse metadata that pages cannot be made from."""
    sizes, scenes = reader.sizes, reader.attributes["scenes"]
    fits = (
        isinstance(scenes, list)
        and all(isinstance(s, dict) and isinstance(s.get("name"), str) for s in scenes)
        and len(scenes) == sizes.scene > 0
        and sizes.frame <= MAX_FRAMES
        and sizes.tx <= MAX_TRANSMITTERS
    )
    if not fits:
        raise InputError(
            "the list of scenes and the sizes of the store make no sense.",
            where=reader.store.path,
            remedy="Run `rmtools validate` on the dataset.",
        )
