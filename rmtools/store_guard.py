"""Opening a Zarr store that others made: nothing outside of it, nothing larger than it can be.

Zarr believes what the metadata say, reads what links lead to, and unpacks what a chunk promises.
Here every file is looked at before Zarr gets it: it must be a plain file inside the store, of a
size that its array can have; the metadata of an array must fit the format of rmtools; and a
packed chunk must unpack to the size of a chunk.
"""

from __future__ import annotations

import json
import math
import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from zarr.storage import LocalStore

from rmtools.errors import InputError
from rmtools.store_format import (
    MAPS_NAME,
    MAX_CHUNK_BYTES,
    MAX_LENGTHS,
    MAX_MAPS,
    MAX_UNIT_BYTES,
    spec_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

    from rmtools.store_format import ArraySpec

MAX_CHUNKS_IN_FILE = 2**20
MAX_METADATA_BYTES = 2**26

_CODECS = {"bytes", "blosc", "crc32c", "sharding_indexed", "transpose", "zstd"}
_PACKERS = {"blosc", "zstd"}
_NO_CHUNK = 2**64 - 1
_SLACK_BYTES = 2**16
_REMEDY = "It was not written by rmtools, or changed; download it or build the dataset again."


class _Blocks(NamedTuple):
    """How an array is cut: bytes of a chunk and of a file, chunks of a file, whether packed."""

    chunk_bytes: int
    file_bytes: int
    chunks: int
    blosc: bool


class GuardedStore(LocalStore):
    """A folder that Zarr may read and write within bounds; what breaks them is an InputError."""

    def __init__(self, root: Path | str, *, read_only: bool = False) -> None:
        super().__init__(root, read_only=read_only)
        self._inside = os.path.realpath(self.root)
        self._blocks: dict[str, _Blocks | None] = {}

    # -- what Zarr calls ---------------------------------------------------------------------

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """A file, or a part of one."""
        self._look_at(key)
        return self._looked_into(key, await super().get(key, prototype, byte_range), byte_range)

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """The same for callers that do not wait."""
        self._look_at(key)
        found = super().get_sync(key, prototype=prototype, byte_range=byte_range)
        return self._looked_into(key, found, byte_range)

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

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write a file without waiting."""
        self._place(key)
        super().set_sync(key, value)

    async def delete(self, key: str) -> None:
        """Remove a file."""
        self._place(key)
        await super().delete(key)

    async def delete_dir(self, prefix: str) -> None:
        """Remove a folder."""
        self._place(prefix)
        await super().delete_dir(prefix)

    # -- before a file is read or written ----------------------------------------------------

    def _place(self, key: str) -> Path:
        """Path of a file, which must lie inside the store whatever links it has."""
        path = self.root / key
        real = os.path.realpath(path)
        if real != self._inside and not real.startswith(self._inside + os.sep):
            raise InputError(
                "a link leads out of the store.",
                where=path,
                remedy="Put the file or folder itself there; rmtools follows no link out of a "
                "dataset.",
            )
        if key.endswith("zarr.json"):
            self._blocks.pop(key.removesuffix("zarr.json").rstrip("/"), None)
        return path

    def _look_at(self, key: str) -> None:
        """Refuse what is no plain file, too large, or metadata that cannot be."""
        path = self._place(key)
        try:
            found = path.stat()
        except OSError:
            return  # Zarr knows what to do with files that are not there
        if stat.S_ISDIR(found.st_mode):
            return
        if not stat.S_ISREG(found.st_mode):
            raise InputError("not a plain file.", where=path, remedy=_REMEDY)
        name, _, rest = key.partition("/c/")
        if not rest:
            limit = MAX_METADATA_BYTES
        else:
            blocks = self._blocks_of(name)
            limit = blocks.file_bytes if blocks else 0
        if found.st_size > limit:
            raise InputError(
                f"the file has {found.st_size:,} bytes, more than the {limit:,} it can have.",
                where=path,
                remedy=_REMEDY,
            )
        if key.endswith("/zarr.json"):
            self._blocks_of(key.removesuffix("/zarr.json"))

    def _blocks_of(self, name: str) -> _Blocks | None:
        """How an array is cut, after a check of its metadata; None for groups."""
        if name not in self._blocks:
            path = self.root / name / "zarr.json"
            try:
                metadata = json.loads(path.read_bytes())
                is_array = isinstance(metadata, dict) and metadata.get("node_type") == "array"
                self._blocks[name] = check_array(name, metadata) if is_array else None
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                raise InputError(
                    f"the array {name!r} is none that rmtools can read ({_said(error)}).",
                    where=path,
                    remedy=_REMEDY,
                ) from error
            except OSError:
                return None
        return self._blocks[name]

    # -- after it was read -------------------------------------------------------------------

    def _looked_into(
        self, key: str, found: Buffer | None, byte_range: ByteRequest | None
    ) -> Buffer | None:
        """Refuse chunks that would unpack to more than a chunk."""
        name, _, rest = key.partition("/c/")
        blocks = self._blocks_of(name) if rest and found is not None else None
        if found is None or blocks is None or not blocks.blosc:
            return found
        data = found.as_numpy_array().view(np.uint8)
        if blocks.chunks == 0 or type(byte_range).__name__ == "RangeByteRequest":
            begins = np.zeros(1, np.int64)
        elif byte_range is None:
            begins = _begins(data, blocks.chunks)
        else:
            return found  # the index of a file
        if (_unpacked(data, begins) != blocks.chunk_bytes).any():
            raise InputError(
                "a packed chunk does not unpack to the size of its array's chunks.",
                where=self.root / key,
                remedy=_REMEDY,
            )
        return found


def check_array(name: str, metadata: dict[str, Any]) -> _Blocks:
    """Check the metadata of an array before Zarr believes them.

    Parameters
    ----------
    name
        Its name; arrays that the format knows must have its dimensions and type.
    metadata
        Content of its ``zarr.json``.

    Returns
    -------
    _Blocks
        How it is cut into files.

    Raises
    ------
    ValueError, TypeError, KeyError
        It is not plainly an array, or larger than anything that fits the format.
    """
    shape = _lengths(metadata["shape"], least=0)
    itemsize = np.dtype(metadata["data_type"]).itemsize
    _check_shape(spec_of(name), shape, itemsize)
    grid = metadata["chunk_grid"]
    if grid["name"] != "regular" or metadata.get("storage_transformers"):
        raise ValueError("its chunks are not on a regular grid")
    outer = _lengths(grid["configuration"]["chunk_shape"], least=1)
    codecs = _codecs(metadata["codecs"])
    inner, packed = outer, codecs
    if "sharding_indexed" in codecs:
        if len(codecs) != 1:
            raise ValueError("files of chunks are packed once more")
        about = metadata["codecs"][0]["configuration"]
        inner, packed = _lengths(about["chunk_shape"], least=1), _codecs(about["codecs"])
        if "sharding_indexed" in packed or set(_codecs(about["index_codecs"])) & _PACKERS:
            raise ValueError("files of chunks inside of files of chunks, or a packed index")
    if not len(shape) == len(outer) == len(inner) or packed[-1:] == ["zstd"]:
        raise ValueError(f"shape {shape}, files of {outer}, chunks of {inner}, {packed}")
    chunk_bytes = math.prod(inner) * itemsize
    chunks = math.prod(-(-a // b) for a, b in zip(outer, inner, strict=True))
    if chunk_bytes > MAX_CHUNK_BYTES or chunks > MAX_CHUNKS_IN_FILE:
        raise ValueError(f"{chunks} chunks of {chunk_bytes:,} bytes in a file")
    file_bytes = chunks * (chunk_bytes + chunk_bytes // 64 + 64) + _SLACK_BYTES
    sharded = "sharding_indexed" in codecs
    return _Blocks(chunk_bytes, file_bytes, chunks if sharded else 0, packed[-1:] == ["blosc"])


def _check_shape(spec: ArraySpec | None, shape: tuple[int, ...], itemsize: int) -> None:
    """Bound the lengths of dimensions, the number of maps and what is read at once.

    An array that is not what the format says is a matter of ``rmtools validate``, if it is small.
    """
    at_once = shape
    if spec is not None and len(spec.dims) == len(shape):
        for dim, length in zip(spec.dims, shape, strict=True):
            if length > MAX_LENGTHS[dim]:
                raise ValueError(f"{length:,} in the dimension {dim}")
        if MAPS_NAME.fullmatch(spec.name) and math.prod(shape[:-2]) > MAX_MAPS:
            raise ValueError(f"{math.prod(shape[:-2]):,} maps")
        if "x" in spec.dims:
            at_once = shape[spec.split :]
    if math.prod(at_once) * itemsize > MAX_UNIT_BYTES:
        raise ValueError(f"the shape {shape}, of which {at_once} is read at once")


def _lengths(value: Any, least: int) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(n) is int and n >= least for n in value):
        raise ValueError(f"{value!r:.80} is no list of lengths")
    return tuple(value)


def _codecs(found: Any) -> list[str]:
    """Names of the codecs, all of which must be known here."""
    names = [codec["name"] for codec in found]
    if unknown := [name for name in names if name not in _CODECS]:
        raise ValueError(f"the codec {unknown[0]!r:.80} is not part of the format")
    return names


def _begins(data: np.ndarray[Any, Any], chunks: int) -> np.ndarray[Any, Any]:
    """Where the chunks of a whole file begin: its index stands at the end, before a checksum."""
    size = 16 * chunks + 4
    if len(data) < size:
        return np.zeros(0, np.int64)  # Zarr will say what is wrong with it
    index = data[len(data) - size : len(data) - 4].copy().view("<u8").reshape(-1, 2)
    return index[index[:, 0] != _NO_CHUNK, 0]


def _unpacked(data: np.ndarray[Any, Any], begins: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Sizes that Blosc promises for the chunks: bytes 4 to 7 of their headers."""
    at = begins[begins <= max(len(data) - 16, 0)].astype(np.int64)
    if len(data) < 16:
        at = at[:0]
    return data[at[:, None] + np.arange(4, 8)].copy().view("<u4").ravel()


def _said(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)
