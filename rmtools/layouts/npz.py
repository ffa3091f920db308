"""Compressed npz archives: written the same every time, read without pickle and within bounds."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import deflate
import numpy as np

from rmtools.errors import InputError
from rmtools.files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import ArrayLike

_LEVEL = 4
"""Of libdeflate; two thirds of the time of zlib's fastest, for files 1 % smaller."""

_STAMP = (0, 1 << 5 | 1)
"""Midnight of the first of January 1980, as zip archives have time and date."""

_ZIP_VERSION, _UNIX = 20, 3
_SMALL = 1024
_SCALARS = (bool, int, float, str)
MAX_MEMBERS = 64
MAX_METADATA_BYTES = 256 * 1024

_NOT_AN_ARCHIVE = (
    *(OSError, ValueError, EOFError, KeyError, TypeError, SyntaxError, tokenize.TokenError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, MemoryError, Warning),
)
"""What zipfile and numpy's header parser raise at damaged files."""


def npz_bytes(arrays: Mapping[str, ArrayLike]) -> bytes:
    """Bytes of a compressed npz archive that ``numpy.load(allow_pickle=False)`` reads.

    Small members are not compressed, and every field of the zip headers is fixed: the bytes depend
    on the arguments and the version of libdeflate only.

    Notes
    -----
    The archive is put together here, by the ZIP specification (PKWARE's APPNOTE 6.3): a map has
    twenty members, for which :mod:`zipfile` takes as long as libdeflate for the pixels, and it can
    not be given what libdeflate has packed (docs/throughput.md).
    """
    members, directory, begin = [], [], 0
    for name, value in arrays.items():
        file = f"{name}.npy".encode("ascii")
        data = _scalar(repr(value), value) if isinstance(value, _SCALARS) else _npy(value)
        packed = deflate.deflate_compress(data, _LEVEL) if len(data) > _SMALL else data
        method = zipfile.ZIP_STORED if packed is data else zipfile.ZIP_DEFLATED
        about = struct.pack(
            "<5H3L2H",
            *(_ZIP_VERSION, 0, method, *_STAMP, deflate.crc32(data), len(packed), len(data)),
            *(len(file), 0),
        )
        members += [b"PK\3\4", about, file, packed]
        directory += [
            *(b"PK\1\2", bytes((_ZIP_VERSION, _UNIX)), about),
            *(struct.pack("<3H2L", 0, 0, 0, 0o644 << 16, begin), file),
        ]
        begin += 4 + len(about) + len(file) + len(packed)
    index = b"".join(directory)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(arrays), len(arrays), len(index), begin, 0)
    return b"".join([*members, index, end])


def _npy(value: ArrayLike) -> bytes:
    """A ``.npy`` file."""
    member = io.BytesIO()
    np.lib.format.write_array(member, np.asarray(value), allow_pickle=False)
    return member.getvalue()


@lru_cache(maxsize=256)
def _scalar(_: str, value: float | str) -> bytes:
    """The same of a number or text, most of which stand in all maps of a sequence.

    It also asks for its representation, because 1, 1.0 and True are equal, and 0.0 and -0.0.
    """
    return _npy(value)


def read_npz(path: Path, max_array_bytes: int) -> dict[str, np.ndarray[Any, Any]]:
    """Read all arrays of an npz archive.

    Parameters
    ----------
    path
        The archive.
    max_array_bytes
        What the arrays of the archive may need together, beside their metadata.

    Raises
    ------
    InputError
        Missing, damaged, too large when unpacked, or holding Python objects.
    """
    limit = max_array_bytes + MAX_METADATA_BYTES
    data = read_bytes(path, limit)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns of headers that Python 2 wrote
            members = archive.infolist()
            if len(members) > MAX_MEMBERS or sum(m.file_size for m in members) > limit:
                raise ValueError(f"{len(members)} members that unpack to more than expected")
            return {
                member.filename.removesuffix(".npy"): _array(_unpacked(archive, member))
                for member in members
            }
    except _NOT_AN_ARCHIVE as error:
        raise InputError(
            f"not a readable npz archive ({type(error).__name__}: {error}).",
            where=path,
            remedy="The file is damaged or was not written by rmtools; write it again.",
        ) from error


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Bytes of a member, never more than its header promises.

    ``ZipFile.read`` would unpack everything before it cuts to that size, and bzip2 and LZMA
    cannot be unpacked piece by piece at all.
    """
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"compression method {member.compress_type} is not supported")
    with archive.open(member) as stream:
        return stream.read(member.file_size)


def _array(data: bytes) -> np.ndarray[Any, Any]:
    """Decode one ``.npy`` member after checking that its header promises what it holds."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"npy version {version} is not supported")
    if dtype.hasobject:
        raise ValueError("it holds Python objects (pickle), which are never loaded")
    if math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise ValueError("the header of a member does not fit its length")
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C").copy()
