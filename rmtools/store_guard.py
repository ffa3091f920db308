"""Opening a Zarr store that others made: nothing outside of it, nothing larger than it can be.

All that Zarr asks for passes here. In a folder a file must be a plain file that no link leads to.
Nowhere is more read than a file of its kind can have, and Zarr gets neither metadata nor chunks
that :mod:`rmtools.store_blocks` finds unsound.
"""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.metadata.v3 import ArrayV3Metadata
from zarr.storage import LocalStore, WrapperStore

from rmtools.errors import InputError
from rmtools.store_blocks import Blocks, check_array

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

MAX_METADATA_BYTES = 2**26

_METADATA = "zarr.json"
_REMEDY = "It was not written by rmtools, or changed; download it or build the dataset again."


class GuardedStore(WrapperStore[Store]):
    """A place that Zarr may read and write within bounds; what breaks them is an InputError.

    Parameters
    ----------
    store
        Zarr's store, in a folder or at a URL.
    where
        Its folder or URL, for messages.
    """

    def __init__(self, store: Store, where: str) -> None:
        super().__init__(store)
        self._where = where
        self._folder = os.path.realpath(store.root) if isinstance(store, LocalStore) else None
        self._blocks: dict[str, Blocks | None] = {}

    def _with_store(self, store: Store) -> GuardedStore:
        return GuardedStore(store, self._where)

    # -- what Zarr calls ---------------------------------------------------------------------

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """A file, or a part of one."""
        self._check_plain(self._place(key))
        name, is_chunk, _ = key.partition("/c/")
        if key == _METADATA or key.endswith("/" + _METADATA):
            found = await self._read(key, prototype, byte_range, MAX_METADATA_BYTES)
            if found is not None and key != _METADATA:
                name = key.removesuffix("/" + _METADATA)
                self._blocks[name] = self._blocks_in(name, found)
            return found
        if not is_chunk:
            return None  # such as metadata of Zarr's older format
        blocks = await self._blocks_of(name, prototype)
        if blocks is None:
            raise self._refusal(key, "not a file of an array.")
        found = await self._read(key, prototype, byte_range, blocks.file_bytes)
        if found is None:
            return None
        data = found.as_numpy_array().view(np.uint8)
        if isinstance(byte_range, SuffixByteRequest):
            if not blocks.is_index(data):
                raise self._refusal(key, "its index names chunks outside of the file.")
        elif not blocks.are_sound(data, whole=byte_range is None):
            raise self._refusal(
                key, "a packed chunk does not unpack to the size of its array's chunks."
            )
        return found

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Parts of files."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def set(self, key: str, value: Buffer) -> None:
        """Write a file."""
        self._place(key)
        await super().set(key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a file that is not there."""
        self._place(key)
        await super().set_if_not_exists(key, value)

    async def delete(self, key: str) -> None:
        """Remove a file."""
        self._place(key)
        await super().delete(key)

    async def delete_dir(self, prefix: str) -> None:
        """Remove a folder."""
        self._place(prefix)
        await super().delete_dir(prefix)

    # those of a wrapper go past it
    _get_many = Store._get_many  # noqa: SLF001 - of our base
    _set_many = Store._set_many  # noqa: SLF001

    # -- bounds ------------------------------------------------------------------------------

    def _place(self, key: str) -> str | None:
        """Path of a file, which no link may lead to; None where there are only URLs."""
        if key.endswith(_METADATA):  # read or written, what was known of it is old
            self._blocks.pop(key.removesuffix(_METADATA).rstrip("/"), None)
        if self._folder is None:
            return None
        path = os.path.normpath(os.path.join(self._folder, key))  # noqa: PTH118 - called for every chunk
        if os.path.realpath(path) != path:
            raise InputError(
                "a part of the store is a link.",
                where=f"{self._where}/{key}",
                remedy="Put the file or folder itself there; rmtools follows no link in a store.",
            )
        return path

    def _check_plain(self, path: str | None) -> None:
        """Refuse pipes and devices; Zarr knows what to do with folders and with nothing."""
        if path is None:
            return
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116 - called for every chunk
        except OSError:
            return
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise InputError("not a plain file.", where=path, remedy=_REMEDY)

    async def _read(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None, most: int
    ) -> Buffer | None:
        """A file or a part of it, which can have so many bytes at most."""
        match byte_range:
            case None:
                part: ByteRequest = RangeByteRequest(0, most + 1)
            case OffsetByteRequest(start):
                part = RangeByteRequest(min(start, most), most + 1)
            case SuffixByteRequest(length):
                part = SuffixByteRequest(min(length, most + 1))
            case RangeByteRequest(start, end):
                part = RangeByteRequest(min(start, most), max(min(end, most + 1), start))
        found = await super().get(key, prototype, part)
        if found is not None and len(found) > most:
            raise self._refusal(key, f"more than the {most:,} bytes that such a file can have.")
        return found

    async def _blocks_of(self, name: str, prototype: BufferPrototype) -> Blocks | None:
        """How an array is cut, after a check of its metadata; None for what is no array."""
        if name not in self._blocks:
            await self.get(f"{name}/{_METADATA}", prototype)
        return self._blocks.get(name)

    def _blocks_in(self, name: str, found: Buffer) -> Blocks | None:
        """The same from its metadata."""
        try:
            metadata: Any = json.loads(found.to_bytes(), parse_int=_whole_number)
            is_array = isinstance(metadata, dict) and metadata.get("node_type") == "array"
            blocks = check_array(name, metadata) if is_array else None
            if is_array:
                ArrayV3Metadata.from_dict(metadata)
        except Exception as error:  # what Zarr finds wrong it raises as anything
            said = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise self._refusal(
                f"{name}/{_METADATA}", f"the array {name!r} is none that rmtools can read ({said})."
            ) from error
        return blocks

    def _refusal(self, key: str, what: str) -> InputError:
        return InputError(what, where=f"{self._where}/{key}", remedy=_REMEDY)


def _whole_number(text: str) -> int:
    """Of JSON; of any size it would be slow to read, and more than anybody computes with."""
    if len(text) > 20:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)
