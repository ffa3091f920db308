"""How an array of a store is cut into files and chunks, told from metadata that may lie.

Zarr believes what the metadata say and unpacks what a chunk promises. Here both are checked first:
an array must fit the format of rmtools, and a chunk must unpack to the size of a chunk.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rmtools.store_format import (
    MAPS_NAME,
    MAX_CHUNK_BYTES,
    MAX_LENGTHS,
    MAX_MAPS,
    MAX_UNIT_BYTES,
    spec_of,
)

if TYPE_CHECKING:
    from rmtools.store_format import ArraySpec
    from rmtools.types import ByteArray, IntArray

MAX_CHUNKS_IN_FILE = 2**20

_KINDS = "biuf"  # of types: bool, integers, floats
_KEYS = {"name": "default", "configuration": {"separator": "/"}}
_SLACK_BYTES = 2**16
_INDEX_ENTRY, _CHECKSUM = 16, 4  # bytes
_NO_CHUNK = 2**64 - 1


class Blocks(NamedTuple):
    """How an array is cut.

    Attributes
    ----------
    chunk_bytes
        Of an unpacked chunk.
    chunks
        In a file; 0 where a file is a chunk and has no index.
    packed
        Whether chunks are packed with Blosc.
    """

    chunk_bytes: int
    chunks: int
    packed: bool

    @property
    def file_bytes(self) -> int:
        """The most that a file can have: what does not get smaller grows a little."""
        one = self.chunk_bytes + self.chunk_bytes // 64 + 64
        return max(self.chunks, 1) * one + _SLACK_BYTES

    def is_index(self, data: ByteArray) -> bool:
        """Whether all that an index names can lie in a file, at places that do not overflow."""
        return bool((_entries(data) <= self.file_bytes).all())

    def are_sound(self, data: ByteArray, *, whole: bool) -> bool:
        """Whether chunks unpack to the size of a chunk, and end where their frames say.

        Parameters
        ----------
        data
            A file, or one chunk of it.
        whole
            Whether it is the file.
        """
        alone = np.array([[0, len(data)]], np.uint64)
        places = _places(data, self.chunks) if whole and self.chunks else alone
        begins, lengths = places[:, 0], places[:, 1]
        if (begins > len(data)).any() or (lengths > len(data) - begins).any():
            return False
        if not self.packed:
            return bool((lengths == self.chunk_bytes).all())
        if (lengths < 16).any():
            return False
        # the header of a Blosc frame: four single bytes, then bytes unpacked, of a block, packed
        header = begins.astype(np.intp)[:, None] + np.arange(4, 16)
        unpacked, _, packed = data[header].view("<u4").T
        return bool((unpacked == self.chunk_bytes).all() and (packed == lengths).all())


def _places(data: ByteArray, chunks: int) -> IntArray:
    """Begin and length of the chunks of a file: its index stands at the end, before a checksum."""
    size = _INDEX_ENTRY * chunks + _CHECKSUM
    if len(data) < size:
        return np.zeros((0, 2), np.uint64)  # Zarr will say what is wrong with it
    return _entries(data[len(data) - size :])


def _entries(index: ByteArray) -> IntArray:
    """Begin and length of the chunks that are there, from an index and its checksum."""
    whole = (len(index) - _CHECKSUM) // _INDEX_ENTRY * _INDEX_ENTRY
    entries = index[: max(whole, 0)].copy().view("<u8").reshape(-1, 2)
    return entries[(entries != _NO_CHUNK).any(axis=1)]


def check_array(name: str, metadata: dict[str, Any]) -> Blocks:
    """Check the metadata of an array before Zarr believes them.

    Parameters
    ----------
    name
        Its name; arrays that the format knows must have its dimensions and type.
    metadata
        Content of its ``zarr.json``.

    Returns
    -------
    Blocks
        How it is cut into files.

    Raises
    ------
    ValueError, TypeError, KeyError
        It is not plainly an array, not packed as rmtools packs, or larger than anything that fits
        the format.
    """
    shape = _lengths(metadata["shape"], least=0)
    dtype = np.dtype(metadata["data_type"])
    if dtype.kind not in _KINDS:
        raise ValueError(f"values of the type {dtype}")
    if not isinstance(metadata.get("attributes", {}), dict):
        raise TypeError("its attributes have no names")
    _check_shape(spec_of(name), shape, dtype.itemsize)
    grid = metadata["chunk_grid"]
    if grid["name"] != "regular" or metadata.get("storage_transformers"):
        raise ValueError("its chunks are not on a regular grid")
    if metadata["chunk_key_encoding"] != _KEYS:
        raise ValueError("its files have other names than those of rmtools")
    outer = _lengths(grid["configuration"]["chunk_shape"], least=1)
    codecs = metadata["codecs"]
    if not (sharded := codecs[0]["name"] == "sharding_indexed"):
        return _blocks(shape, outer, outer, dtype.itemsize, sharded=False, packed=_packed(codecs))
    about = codecs[0]["configuration"]
    index = [codec["name"] for codec in about["index_codecs"]]
    if len(codecs) > 1 or index != ["bytes", "crc32c"] or about.get("index_location") != "end":
        raise ValueError("its files of chunks are made in another way than those of rmtools")
    inner = _lengths(about["chunk_shape"], least=1)
    packed = _packed(about["codecs"])
    return _blocks(shape, outer, inner, dtype.itemsize, sharded=sharded, packed=packed)


def _blocks(
    shape: tuple[int, ...],
    outer: tuple[int, ...],
    inner: tuple[int, ...],
    itemsize: int,
    *,
    sharded: bool,
    packed: bool,
) -> Blocks:
    """Blocks of files of the shape `outer` with chunks of the shape `inner`, if they can be."""
    if not len(shape) == len(outer) == len(inner) > 0:
        raise ValueError(f"shape {shape}, files of {outer}, chunks of {inner}")
    if any(a % b for a, b in zip(outer, inner, strict=True)):
        raise ValueError(f"files of {outer} hold no whole chunks of {inner}")
    chunks = math.prod(outer) // math.prod(inner)
    chunk_bytes = math.prod(inner) * itemsize
    if (
        chunk_bytes > MAX_CHUNK_BYTES
        or chunks > MAX_CHUNKS_IN_FILE
        or chunks * chunk_bytes > MAX_UNIT_BYTES
    ):
        raise ValueError(f"{chunks} chunks of {chunk_bytes:,} bytes in a file")
    return Blocks(chunk_bytes, chunks if sharded else 0, packed)


def _packed(codecs: list[dict[str, Any]]) -> bool:
    """Whether chunks are packed: with Blosc, once, or not at all."""
    names = [codec["name"] for codec in codecs]
    if unknown := [name for name in names if name not in ("bytes", "blosc")]:
        raise ValueError(f"the codec {unknown[0]!r:.80} is not part of the format")
    if names not in (["bytes"], ["bytes", "blosc"]):
        raise ValueError(f"the codecs {', '.join(names)}")
    return len(names) > 1


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
